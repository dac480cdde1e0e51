//! What contenders are asked to do. Each does it in its own way; a row names those that can.

use crate::work::PAGE;

/// A page table or an address space. Dropping it gives all frames back.
pub trait Subject: Sized {
    /// What the table calls it.
    const NAME: &'static str;

    /// An empty one.
    fn new() -> Self;
}

/// Mapping given memory.
pub trait Linear: Subject {
    /// Maps `size` bytes from `ia` on to `oa`, with all rights, in leaves of at most `1 << largest` bytes.
    fn map(&mut self, ia: u64, size: u64, oa: u64, largest: u8);

    /// Unmaps what was mapped, and does what is needed for a live table.
    fn unmap(&mut self, ia: u64, size: u64);

    /// Where `ia` leads.
    fn translate(&self, ia: u64) -> Option<u64>;
}

/// Taking rights away, and giving them back.
pub trait Protect: Linear {
    /// Allows or forbids writing to all that is mapped there.
    fn protect(&mut self, ia: u64, size: u64, write: bool);
}

/// The same for single pages.
pub trait ProtectPage: Protect {
    /// Allows or forbids writing to the page at `ia`.
    fn protect_page(&mut self, ia: u64, write: bool) {
        self.protect(ia, PAGE, write);
    }
}

/// Taking rights from a part of a leaf.
pub trait Split: Linear {
    /// Forbids writing to a page that is a part of a larger leaf.
    fn protect_part(&mut self, ia: u64);
}

/// Moving what is mapped.
pub trait Move: Linear {
    /// Moves the pages in `size` bytes from `ia` on to the addresses from `to` on, where there is no table yet.
    fn move_range(&mut self, ia: u64, size: u64, to: u64);
}

/// Memory that comes when it is used.
pub trait Lazy: Subject {
    /// `size` bytes from `ia` on are to be allocated on first use.
    fn lazy(&mut self, ia: u64, size: u64);

    /// The first use of the page at `ia`, up to four levels of tables away; whether a frame was installed.
    fn fault(&mut self, ia: u64) -> bool;

    /// Gives all frames back.
    fn release(&mut self, ia: u64, size: u64);
}

/// Such memory, used by several CPUs at once.
pub trait Shared: Lazy + Sync {
    /// As [`Lazy::fault`], while others may do the same.
    fn fault_shared(&self, ia: u64) -> bool;
}

/// Memory that is allocated at once.
pub trait Populate: Subject {
    /// Allocates and maps `size` bytes from `ia` on, in pages.
    fn populate(&mut self, ia: u64, size: u64);

    /// Unmaps them, and gives the frames back.
    fn unpopulate(&mut self, ia: u64, size: u64);
}

/// Single pages that the guest gives back for a while, as a balloon does.
pub trait Balloon: Populate {
    /// Unmaps the page at `ia`, and gives its frame back.
    fn take_page(&mut self, ia: u64) {
        self.unpopulate(ia, PAGE);
    }

    /// Maps the page at `ia`, among others that are mapped, to a new frame.
    fn give_page(&mut self, ia: u64) {
        self.populate(ia, PAGE);
    }
}

/// Larger frames in place of pages, with what is in them.
pub trait Enlarge: Subject {
    /// Allocates and maps `size` bytes from `ia` on, in pages that may become larger.
    fn populate_small(&mut self, ia: u64, size: u64);

    /// Gives each 2 MiB of them one frame.
    fn enlarge(&mut self, ia: u64, size: u64);

    /// Unmaps them, and gives the frames back.
    fn unpopulate_large(&mut self, ia: u64, size: u64);
}

/// Single pages that get a right.
pub trait Relax: Protect {
    /// Forbids writing until a page is relaxed.
    fn watch(&mut self, ia: u64, size: u64) {
        self.protect(ia, size, false);
    }

    /// Allows writing to the page at `ia`.
    fn relax(&mut self, ia: u64);
}

/// Telling what was written.
pub trait Harvest: Linear {
    /// Sets the bits of the dirty pages among `size` bytes from `ia` on, and makes these clean: where hardware does not mark
    /// them, a page is dirty as long as it may be written.
    fn harvest(&mut self, ia: u64, size: u64, pages: &mut [u64]);
}

/// Many areas.
pub trait Areas: Subject {
    /// An area of `size` bytes from `ia` on, mapped to `oa`.
    fn add(&mut self, ia: u64, size: u64, oa: u64);

    /// Takes out the area of `size` bytes from `ia` on.
    fn remove(&mut self, ia: u64, size: u64);

    /// Takes out all areas in `size` bytes from `ia` on.
    fn remove_all(&mut self, ia: u64, size: u64) {
        self.remove(ia, size);
    }
}

/// Taking rights away from many areas.
pub trait ProtectAreas: Areas {
    /// Allows or forbids writing to all areas in `size` bytes from `ia` on.
    fn protect_all(&mut self, ia: u64, size: u64, write: bool);
}

/// Looking areas up.
pub trait Find: Areas {
    /// Whether `ia` is in an area.
    fn find(&self, ia: u64) -> bool;
}

/// The guest's memory as the host reads it.
pub trait Read: Populate {
    /// The 8 bytes at `ia`, which are on one page.
    fn read(&self, ia: u64) -> u64;
}

/// The guest's memory as the host copies it.
pub trait CopyOut: Populate {
    /// Fills `buffer` with what is there from `ia` on.
    fn copy(&self, ia: u64, buffer: &mut [u8]);
}
