//! `aarch64-paging`: stage 2 of that architecture, with four levels of 4 KiB tables, which have EPT's shape.
//!
//! The table counts as active while it is changed, so that the library does what a live one needs; an empty table is
//! filled before it becomes active. Its instructions for the TLB are compiled on that architecture only, so the
//! invalidations that it requests are not counted.

use std::ptr::NonNull;

use ::aarch64_paging::{
    Mapping,
    descriptor::{PhysicalAddress, Stage2Attributes},
    paging::{Constraints, MemoryRegion, PageTable, Stage2, Translation},
};

use crate::{
    frames,
    subject::{Balloon, Lazy, Linear, Populate, Protect, ProtectPage, Relax, Subject},
    work::PAGE,
};

/// The arena.
pub struct Arena;

impl Translation<Stage2Attributes> for Arena {
    fn allocate_table(&mut self) -> (NonNull<PageTable<Stage2Attributes>>, PhysicalAddress) {
        let address = PhysicalAddress(frames::take(12).expect("a frame") as usize);
        let table = self.physical_to_virtual(address);
        // SAFETY: a frame that nobody else has, as large as a table; empty entries are zero.
        unsafe { table.write_bytes(0, 1) };
        (table, address)
    }

    unsafe fn deallocate_table(&mut self, table: NonNull<PageTable<Stage2Attributes>>) {
        frames::give(table.addr().get() as u64, 12);
    }

    fn physical_to_virtual(&self, address: PhysicalAddress) -> NonNull<PageTable<Stage2Attributes>> {
        NonNull::new(address.0 as *mut _).expect("an address of the arena")
    }
}

const ALL: Stage2Attributes = Stage2Attributes::VALID
    .union(Stage2Attributes::MEMATTR_NORMAL_OUTER_WB)
    .union(Stage2Attributes::MEMATTR_NORMAL_INNER_WB)
    .union(Stage2Attributes::S2AP_ACCESS_RW)
    .union(Stage2Attributes::SH_INNER)
    .union(Stage2Attributes::ACCESS_FLAG);

/// The bit of `S2AP` that allows writes.
const WRITE: Stage2Attributes = Stage2Attributes::S2AP_ACCESS_WO;

fn region(ia: u64, size: u64) -> MemoryRegion {
    MemoryRegion::new(ia as usize, (ia + size) as usize)
}

/// Its [`Mapping`].
pub struct Aarch64(Mapping<Arena, Stage2>);

impl Aarch64 {
    fn set(&mut self, ia: u64, size: u64, oa: u64, attributes: Stage2Attributes) {
        let oa = PhysicalAddress(oa as usize);
        self.0.map_range(&region(ia, size), oa, attributes, Constraints::empty()).expect("nothing in the way");
    }

    fn while_active(&mut self, change: impl FnOnce(&mut Self)) {
        self.0.mark_active();
        change(self);
        self.0.mark_inactive();
    }

    /// Calls `leaf` with the output address and the size of each leaf in the range.
    fn leaves(&self, ia: u64, size: u64, mut leaf: impl FnMut(u64, u64)) {
        let walked = self.0.walk_range(&region(ia, size), &mut |_, descriptor, level| {
            if descriptor.is_valid() {
                leaf(descriptor.output_address().0 as u64, PAGE << (9 * (3 - level)));
            }
            Ok(())
        });
        walked.expect("a legal range");
    }
}

impl Subject for Aarch64 {
    const NAME: &'static str = "aarch64-paging";

    fn new() -> Self {
        Self(Mapping::new(Arena, 0, Stage2))
    }
}

impl Linear for Aarch64 {
    fn map(&mut self, ia: u64, size: u64, oa: u64, _largest: u8) {
        self.set(ia, size, oa, ALL);
    }

    fn unmap(&mut self, ia: u64, size: u64) {
        self.while_active(|table| table.set(ia, size, 0, Stage2Attributes::empty()));
    }

    fn translate(&self, ia: u64) -> Option<u64> {
        let mut found = None;
        self.leaves(ia, 1, |oa, size| found = Some(oa | ia & (size - 1)));
        found
    }
}

/// It refuses to [split](crate::subject::Split) a block that is live.
impl Protect for Aarch64 {
    fn protect(&mut self, ia: u64, size: u64, write: bool) {
        let (set, clear) = if write { (WRITE, Stage2Attributes::empty()) } else { (Stage2Attributes::empty(), WRITE) };
        self.while_active(|table| {
            let changed = table.0.modify_range(&region(ia, size), &|_, descriptor| {
                if descriptor.is_table() { Ok(()) } else { descriptor.modify_flags(set, clear) }
            });
            changed.expect("no larger leaf");
        });
    }
}

impl ProtectPage for Aarch64 {}

impl Populate for Aarch64 {
    fn populate(&mut self, ia: u64, size: u64) {
        for ia in (ia..ia + size).step_by(PAGE as usize) {
            self.set(ia, PAGE, frames::take(12).expect("a frame"), ALL);
        }
    }

    fn unpopulate(&mut self, ia: u64, size: u64) {
        let mut used = Vec::new();
        self.leaves(ia, size, |frame, _| used.push(frame));
        self.unmap(ia, size);
        used.into_iter().for_each(|frame| frames::give(frame, 12));
    }
}

impl Balloon for Aarch64 {}

impl Lazy for Aarch64 {
    fn lazy(&mut self, _ia: u64, _size: u64) {}

    /// The library would replace existing mappings, so this checks that there are none.
    fn fault(&mut self, ia: u64) -> bool {
        let missing = self.translate(ia).is_none();
        if missing {
            self.set(ia, PAGE, frames::take(12).expect("a frame"), ALL);
        }
        missing
    }

    fn release(&mut self, ia: u64, size: u64) {
        self.unpopulate(ia, size);
    }
}

impl Relax for Aarch64 {
    fn relax(&mut self, ia: u64) {
        self.protect(ia, PAGE, true);
    }
}
