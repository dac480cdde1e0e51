//! If a HAL omits invalidations, the simulated MMU finds the stale entries in its caches, wherever in a page an access
//! is.

use std::{ptr::NonNull, sync::Arc};

use tablewright::{
    AddrSpace, Format, Hal, HostPhysAddr, Invalidation, Rights, Tag,
    riscv64::sv_x4,
    sim::{Machine, Mmu, Violation, built_in},
    x86_64::ept,
};

use crate::rig::{READ, RW, distant, gpa};

const TAG: Tag = Tag(3);

/// A HAL that does not pass invalidations on.
#[derive(Clone)]
struct Deaf(Machine);

// SAFETY: nothing but the simulated MMU, which is there to complain, relies on the invalidations.
unsafe impl Hal for Deaf {
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        self.0.allocate(size)
    }

    unsafe fn free(&self, frame: HostPhysAddr, size: u8) {
        // SAFETY: as the caller promises.
        unsafe { self.0.free(frame, size) }
    }

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        self.0.phys_to_virt(address)
    }

    fn invalidate<F: Format>(&self, _: &F, _: HostPhysAddr, _: Tag, _: &Invalidation) {}
}

/// A guest under the deaf HAL, and the MMU that its tables are loaded into.
fn guest<F: Format>(
    file: &str,
    row: &str,
    mut config: F::Config,
    set: fn(&mut F::Config, &str, i64) -> bool,
) -> (AddrSpace<F, Deaf>, Machine, Arc<Mmu>) {
    let bound = built_in(file, row).expect("such a row");
    for (name, value) in bound.params.iter() {
        assert!(set(&mut config, name, value), "{name} cannot be {value}");
    }
    let machine = Machine::new(0, 16 << 20);
    let format = F::new(&config).expect("a legal configuration");
    let space = AddrSpace::new_empty(format, Deaf(machine.clone()), TAG).expect("a space");
    let mmu = Mmu::new(&machine, 0x5eed);
    mmu.load(TAG, space.page_table_root(), bound);
    (space, machine, mmu)
}

/// Everything around an address gets into the caches.
fn fill(mmu: &Mmu, machine: &Machine, address: u64) {
    for _ in 0..64 {
        let _ = mmu.access(machine, TAG, address, Rights::empty());
    }
}

fn is_stale(mmu: &Mmu, machine: &Machine) -> bool {
    mmu.check(machine);
    mmu.take_violations().iter().any(|violation| matches!(violation, Violation::Stale { .. }))
}

#[test]
fn a_block_stays_cached_of_which_a_page_in_the_middle_is_gone() {
    for take in [true, false] {
        let (mut space, machine, mmu) =
            guest::<ept::Format>("ept", "baseline", ept::Config::new(4, 48), ept::Config::set);
        let block = 2 << 20;
        space.map_linear(gpa(0), distant(8 * block, block), RW).unwrap();
        fill(&mmu, &machine, 0x5000);
        assert!(!is_stale(&mmu, &machine));
        match take {
            true => space.unmap(gpa(0x7000), 0x1000).unwrap(),
            false => space.protect(gpa(0x7000), 0x1000, READ).unwrap(),
        }
        assert!(is_stale(&mmu, &machine));
    }
}

#[test]
fn a_hole_stays_cached_in_the_middle_of_which_a_page_was_mapped() {
    let (mut space, machine, mmu) =
        guest::<sv_x4::Format>("sv_x4", "sv39x4", sv_x4::Config::new(3, 41), sv_x4::Config::set);
    fill(&mmu, &machine, 0x5000);
    assert!(!is_stale(&mmu, &machine));
    space.map_linear(gpa(0x7000), distant(0, 0x1000), RW).unwrap();
    assert!(is_stale(&mmu, &machine));
}
