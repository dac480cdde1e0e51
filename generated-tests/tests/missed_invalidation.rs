//! The negative control of all tests with the simulated MMU: if the HAL does not invalidate, the MMU must report it.

use std::ptr::NonNull;

use tablewright::sim::{Machine, Mmu, Violation, built_in};
use tablewright::{AddrSpace, ClosedRange, Format, GuestPhysAddr, Hal, HostPhysAddr, HostRegion, Invalidation};
use tablewright::{MappingFlags, Rights, Tag, aarch64::stage2_4k, riscv64::sv_x4, x86_64::ept};

/// A machine that hears no invalidation.
#[derive(Clone)]
struct Deaf(Machine);

// SAFETY: none at all as to `invalidate`, which is the point; no real MMU translates through this.
unsafe impl Hal for Deaf {
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        self.0.allocate(size)
    }

    unsafe fn free(&self, frame: HostPhysAddr, size: u8) {
        // SAFETY: as the caller promises.
        unsafe { self.0.free(frame, size) };
    }

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        self.0.phys_to_virt(address)
    }

    fn invalidate<F: Format>(&self, _: &F, _: HostPhysAddr, _: Tag, _: &Invalidation) {}
}

const TAG: Tag = Tag(3);

#[test]
fn ept_without_invalidation_is_caught() {
    let config = ept::Config { pa_bits: 46, ..ept::Config::new(4, 48) };
    is_caught(ept::Format::new(&config).expect("a format"), "ept", "server");
}

#[test]
fn stage_2_without_invalidation_is_caught() {
    let config = stage2_4k::Config { pa_bits: 40, ..stage2_4k::Config::new(3, 40) };
    is_caught(stage2_4k::Format::new(&config).expect("a format"), "stage2", "4k-40");
}

#[test]
fn the_g_stage_without_invalidation_is_caught() {
    is_caught(sv_x4::Format::new(&sv_x4::Config::new(3, 41)).expect("a format"), "sv_x4", "sv39x4");
}

/// A page is mapped, used, and unmapped: its translation is stale, and its table is freed under the walk cache.
fn is_caught<F: Format>(format: F, file: &str, row: &str) {
    let machine = Machine::new(0x4000_0000, 16 << 20);
    let mmu = Mmu::new(&machine, 1);
    let mut space = AddrSpace::<F, Deaf>::new_empty(format, Deaf(machine.clone()), TAG).expect("a space");
    mmu.load(TAG, space.page_table_root(), built_in(file, row).expect("a format"));
    let page = 1 << F::PAGE_BITS;
    // SAFETY: nothing accesses it but the simulated MMU, which accesses no memory.
    let region = unsafe { HostRegion::device(HostPhysAddr::from_usize(0x8000_0000), page) }.expect("a region");
    space.map_linear(GuestPhysAddr::from_usize(page), region, MappingFlags::READ).expect("room");
    // Often enough for the translation to be cached.
    for _ in 0..8 {
        mmu.access(&machine, TAG, page as u64, Rights::R);
    }
    mmu.take_violations();
    space.unmap(GuestPhysAddr::from_usize(page), page).expect("an area");
    mmu.check(&machine);

    let violations = mmu.take_violations();
    let mapped = ClosedRange::from_start_size(page as u64, page as u64);
    let stale = |violation: &Violation| matches!(violation, Violation::Stale { range, .. } if Some(*range) == mapped);
    assert!(violations.iter().any(stale), "the stale translation went unnoticed: {violations:?}");
    let freed = |violation: &Violation| matches!(violation, Violation::FreedWhileCached { .. });
    assert!(violations.iter().any(freed), "the free went unnoticed: {violations:?}");
    mmu.unload(TAG);
}
