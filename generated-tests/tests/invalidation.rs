//! Invalidations that no CPU executes: commands for queues and values for the next entry, by hand from the manuals.

use tablewright::x86_64::{amd_iommu_v1, ept, npt, vtd_first_stage, vtd_second_stage};
use tablewright::{AtEntry, ClosedRange, ConfigError, Format, Invalidation, Tag};

fn range(start: u64, last: u64, granule: u8, leaf_only: bool) -> Invalidation {
    Invalidation::Range { range: ClosedRange::new(start, last).unwrap(), leaf_only, granule }
}

/// The commands for `set`; `None` if the format has none.
fn commands<F: Format>(format: &F, tag: u32, set: &Invalidation) -> Option<Vec<Vec<u64>>> {
    let mut found = Vec::new();
    format.commands(Tag(tag), set, |words| found.push(words.to_vec())).then_some(found)
}

#[test]
fn vtd_has_iotlb_descriptors() {
    let config = vtd_second_stage::Config { page_selective: true, ..vtd_second_stage::Config::new(4, 48) };
    let format = vtd_second_stage::Format::new(&config).unwrap();
    // IOTLB Invalidate Descriptor: type 2, granularity 3 (pages), both drains, domain 5; the hint is bit 6.
    assert_eq!(
        commands(&format, 5, &range(0x1000, 0x2fff, 12, true)),
        Some(vec![vec![0x5_00f2, 0x1040], vec![0x5_00f2, 0x2040]])
    );
    assert_eq!(commands(&format, 5, &range(0x20_0000, 0x3f_ffff, 21, false)), Some(vec![vec![0x5_00f2, 0x20_0009]]));
    assert_eq!(commands(&format, 5, &Invalidation::Space), Some(vec![vec![0x5_00e2, 0]]));
    assert_eq!(commands(&format, 5, &Invalidation::All), Some(vec![vec![0xd2, 0]]));
    // Too many pages, or an IOMMU that cannot invalidate single ones: the whole domain.
    assert_eq!(commands(&format, 5, &range(0, (1 << 30) - 1, 12, true)), Some(vec![vec![0x5_00e2, 0]]));
    let whole = vtd_second_stage::Format::new(&vtd_second_stage::Config::new(4, 48)).unwrap();
    assert_eq!(commands(&whole, 5, &range(0x1000, 0x1fff, 12, true)), Some(vec![vec![0x5_00e2, 0]]));
}

#[test]
fn the_first_stage_of_vtd_is_invalidated_by_pasid() {
    let config = vtd_first_stage::Config { page_selective: true, ..vtd_first_stage::Config::new(4, 48) };
    let config = |pasid| vtd_first_stage::Config { pasid, ..config };
    // PASID-based-IOTLB Invalidate Descriptor: type 6, granularity 3 (pages) or 2 (PASID); domain 16, PASID 32 upwards.
    let format = vtd_first_stage::Format::new(&config(0x12345)).unwrap();
    assert_eq!(commands(&format, 5, &range(0x1000, 0x1fff, 12, true)), Some(vec![vec![0x1_2345_0005_0036, 0x1040]]));
    assert_eq!(
        commands(&format, 5, &range(0x20_0000, 0x3f_ffff, 21, false)),
        Some(vec![vec![0x1_2345_0005_0036, 0x20_0009]])
    );
    assert_eq!(commands(&format, 5, &Invalidation::Space), Some(vec![vec![0x1_2345_0005_0026, 0]]));
    assert_eq!(commands(&format, 5, &Invalidation::All), Some(vec![vec![0xd2, 0]]));
    // Requests without a PASID.
    let format = vtd_first_stage::Format::new(&config(0)).unwrap();
    assert_eq!(commands(&format, 5, &Invalidation::Space), Some(vec![vec![0x5_0026, 0]]));
    // A PASID has 20 bits, and is not cut to them.
    assert!(vtd_first_stage::Format::new(&config(0xf_ffff)).is_ok());
    for wide in [1 << 20, u64::MAX] {
        assert_eq!(vtd_first_stage::Format::new(&config(wide)).unwrap_err(), ConfigError::Rule("pasid <= 0xfffff"));
    }
}

#[test]
fn amd_iommus_have_commands() {
    let config = amd_iommu_v1::Config { invalidate_all: true, ..amd_iommu_v1::Config::new(4, 48) };
    let format = amd_iommu_v1::Format::new(&config).unwrap();
    // INVALIDATE_IOMMU_PAGES: opcode 3, domain from bit 32 on; S is bit 0 of the second word, PDE bit 1.
    let opcode = 0x3000_0012_0000_0000;
    assert_eq!(commands(&format, 0x12, &range(0x1000, 0x1fff, 12, true)), Some(vec![vec![opcode, 0x1000]]));
    assert_eq!(commands(&format, 0x12, &range(0x1000, 0x1fff, 12, false)), Some(vec![vec![opcode, 0x1002]]));
    assert_eq!(commands(&format, 0x12, &range(0x2000, 0x3fff, 13, true)), Some(vec![vec![opcode, 0x2001]]));
    assert_eq!(commands(&format, 0x12, &range(0x40_0000, 0x5f_ffff, 21, false)), Some(vec![vec![opcode, 0x4f_f003]]));
    assert_eq!(commands(&format, 0x12, &Invalidation::Space), Some(vec![vec![opcode, 0x7fff_ffff_ffff_f003]]));
    assert_eq!(commands(&format, 0x12, &Invalidation::All), Some(vec![vec![0x8000_0000_0000_0000, 0]]));
    // Without INVALIDATE_IOMMU_ALL, nothing reaches every domain.
    let old = amd_iommu_v1::Format::new(&amd_iommu_v1::Config::new(4, 48)).unwrap();
    assert_eq!(commands(&old, 0x12, &Invalidation::All), None);
}

#[test]
fn the_last_page_and_odd_sizes_end() {
    let format = amd_iommu_v1::Format::new(&amd_iommu_v1::Config::new(6, 64)).unwrap();
    let last = commands(&format, 0, &range(u64::MAX - 0xfff, u64::MAX, 12, true));
    assert_eq!(last, Some(vec![vec![0x3000_0000_0000_0000, 0xffff_ffff_ffff_f000]]));
    for granule in [0, 11, 63, 64, 255] {
        assert!(commands(&format, 0, &range(0, u64::MAX, granule, true)).is_some());
    }
}

#[test]
fn a_guest_of_svm_flushes_when_it_is_entered() {
    let told = |value| Some(AtEntry { control: "tlb_control", value });
    let sets = [range(0x1000, 0x1fff, 12, true), Invalidation::Space];
    let by_asid = npt::Config { flush_by_asid: true, ..npt::Config::new(4, 48) };
    let by_asid = npt::Format::new(&by_asid).unwrap();
    let old = npt::Format::new(&npt::Config::new(4, 48)).unwrap();
    for set in &sets {
        assert_eq!(by_asid.at_entry(Tag(1), set), told(3));
        assert_eq!(old.at_entry(Tag(1), set), told(1));
        assert_eq!(commands(&old, 1, set), None);
    }
    assert_eq!(by_asid.at_entry(Tag(1), &Invalidation::All), told(1));
}

#[test]
fn others_say_that_they_have_nothing_to_tell() {
    let ept = ept::Format::new(&ept::Config::new(4, 48)).unwrap();
    assert_eq!(ept.at_entry(Tag(0), &Invalidation::Space), None);
    assert_eq!(commands(&ept, 0, &Invalidation::Space), None);
}
