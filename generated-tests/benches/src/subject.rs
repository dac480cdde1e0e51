//! The operations of contenders, as traits. Each contender implements those that it can do; rows name the contenders.

use crate::work::PAGE;

/// A page table or an address space. Dropping it frees all frames.
pub trait Subject: Sized {
    /// Its name in the table.
    const NAME: &'static str;

    /// An empty one.
    fn new() -> Self;
}

/// Mapping given memory.
pub trait Linear: Subject {
    /// Maps `size` bytes from `ia` on to `oa`, with all rights, in leaves of at most `1 << largest` bytes.
    fn map(&mut self, ia: u64, size: u64, oa: u64, largest: u8);

    /// Unmaps what was mapped, as in a live table.
    fn unmap(&mut self, ia: u64, size: u64);

    /// The output address of `ia`.
    fn translate(&self, ia: u64) -> Option<u64>;
}

/// Taking rights away, and giving them back.
pub trait Protect: Linear {
    /// Allows or forbids writes to everything that is mapped there.
    fn protect(&mut self, ia: u64, size: u64, write: bool);
}

/// Taking rights away from single pages, and giving them back.
pub trait ProtectPage: Protect {
    /// Allows or forbids writing to the page at `ia`.
    fn protect_page(&mut self, ia: u64, write: bool) {
        self.protect(ia, PAGE, write);
    }
}

/// Taking rights from a part of a leaf.
pub trait Split: Linear {
    /// Forbids writes to a page that is part of a larger leaf.
    fn protect_part(&mut self, ia: u64);
}

/// Moving mappings.
pub trait Move: Linear {
    /// Moves the pages in `size` bytes from `ia` on to the addresses from `to` on, where there is no table yet.
    fn move_range(&mut self, ia: u64, size: u64, to: u64);
}

/// Memory that is allocated on first use.
pub trait Lazy: Subject {
    /// `size` bytes from `ia` on are to be allocated on first use.
    fn lazy(&mut self, ia: u64, size: u64);

    /// The first use of the page at `ia`, which may need tables at all levels. Returns whether a frame was installed.
    fn fault(&mut self, ia: u64) -> bool;

    /// Frees all frames.
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

/// Single pages that the guest returns for a while, as by a balloon driver.
pub trait Balloon: Populate {
    /// Unmaps the page at `ia`, and frees its frame.
    fn take_page(&mut self, ia: u64) {
        self.unpopulate(ia, PAGE);
    }

    /// Maps the page at `ia`, among others that are mapped, to a new frame.
    fn give_page(&mut self, ia: u64) {
        self.populate(ia, PAGE);
    }
}

/// Replacing pages by larger frames, with their contents.
pub trait Enlarge: Subject {
    /// Allocates and maps `size` bytes from `ia` on, in pages that may become larger.
    fn populate_small(&mut self, ia: u64, size: u64);

    /// Replaces each 2 MiB of them by one frame.
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

/// Finding out what was written.
pub trait Harvest: Linear {
    /// Sets the bits of the dirty pages among `size` bytes from `ia` on, and makes these clean: where hardware does not mark
    /// them, a page is dirty as long as it may be written.
    fn harvest(&mut self, ia: u64, size: u64, pages: &mut [u64]);
}

/// Many areas.
pub trait Areas: Subject {
    /// An area of `size` bytes from `ia` on, mapped to `oa`.
    fn add(&mut self, ia: u64, size: u64, oa: u64);

    /// Removes the area of `size` bytes from `ia` on.
    fn remove(&mut self, ia: u64, size: u64);

    /// Removes all areas in `size` bytes from `ia` on.
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
