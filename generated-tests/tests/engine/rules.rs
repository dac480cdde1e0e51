//! What the manuals say about caching, written by hand and not taken from the files of the formats.

use tablewright::{
    Rights,
    riscv64::sv_x4,
    sim::{Bound, ByAddress, Rules, built_in},
};

use crate::rig::{Rig, attributes, range};

/// The rules for a built-in format, in the configuration that `bound` has.
pub(crate) fn of(file: &str, bound: &Bound) -> Rules {
    let has = |name: &str| bound.params.iter().any(|(param, value)| param == name && value != 0);
    let (invalid_cached, by_address) = match file {
        // Intel SDM Vol. 3C, 29.4.2: no mapping is made of entries that are not present or misconfigured. 29.4.3.1:
        // INVEPT has no address.
        "ept" => (false, ByAddress::Nothing),
        // APM Vol. 2, 5.5: an entry whose P bit is 0 is not cached. 15.16: TLB_CONTROL flushes an ASID, or all.
        "npt" => (false, ByAddress::Nothing),
        // APM Vol. 2, 5.5: not cached. INVLPG and INVPCID type 0 drop the final translation of an address and all
        // entries of the upper levels, whatever their address.
        "long_mode" | "legacy" => (false, ByAddress::LeavesOrAll),
        // Intel SDM Vol. 3A, 4.4.1: the entries of the root, present or not, are those that a load of CR3 found.
        "pae" => (true, ByAddress::Leaves),
        // AMD I/O Virtualization Technology, 2.2.3: with NpCache, entries that are not present are cached. 2.4.3:
        // INVALIDATE_IOMMU_PAGES has an address, a size, and PDE for what is cached of tables.
        "amd_iommu_v1" => (has("np_cache"), ByAddress::LeavesOrAll),
        // Arm ARM, D8.16: what gives rise to a translation fault is not held in a TLB. TLBI IPAS2LE1IS drops the last
        // level only, TLBI IPAS2E1IS all of them.
        "stage2" => (false, ByAddress::LeavesOrAll),
        // RISC-V Privileged Architecture, 11.2.1 and 11.3.2: an entry that is not valid may be cached, unless Svvptc.
        // SFENCE.VMA and HFENCE.GVMA with an address order accesses to leaf entries only.
        "sv" | "sv_x4" | "sv32" | "sv32_x4" | "sv32_be" => (!has("svvptc"), ByAddress::Leaves),
        // Arm Architecture Reference Manual, ARMv7-A, B3.9.1: what gives rise to a translation fault is not held in a TLB.
        // TLBIMVAIS drops what is held of all levels.
        "short" => (false, ByAddress::LeavesOrAll),
        // The SPARC Architecture Manual, Version 8, H.3.4: a flush of a region drops its entries of all levels.
        "srmmu" => (false, ByAddress::LeavesOrAll),
        // MC68040 User's Manual, 3.3: an ATC entry without R is of a page that is not there. There are none of tables.
        "m68040" => (true, ByAddress::LeavesOrAll),
        // Nobody has read its manual for this yet: the file is believed, and nothing beyond what was asked is dropped.
        _ => (bound.invalid_cached, ByAddress::LeavesOrAll),
    };
    Rules { invalid_cached, by_address }
}

/// Pages are mapped where CPUs have just looked in vain.
fn map_after_a_miss(claims_svvptc: bool) {
    let bound = built_in("sv_x4", "sv39x4").unwrap();
    let config = sv_x4::Config { svvptc: claims_svvptc, ..sv_x4::Config::new(3, 41) };
    let mut rig = Rig::judged(sv_x4::Format::new(&config).unwrap(), bound.clone(), of("sv_x4", &bound));
    for page in [0, 2, 4, 6] {
        rig.miss(page << 12);
    }
    rig.map(range(0, 8 << 12), 1 << 30, attributes(Rights::RW)).unwrap();
}

#[test]
fn a_cached_hole_is_dropped_when_a_page_is_mapped() {
    map_after_a_miss(false);
}

/// The negative control: a format that is wrong about what is cached, on a machine that goes by the manual.
#[test]
#[should_panic = "Stale"]
fn the_machine_does_not_believe_the_format() {
    map_after_a_miss(true);
}
