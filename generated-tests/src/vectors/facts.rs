//! Single facts: how input addresses continue above their highest bit, whether nothing may be cached, whether hardware
//! sets accessed and dirty states, and which memory type a leaf has that was asked for one that the format does not name.

use tablewright::{Attributes, Entry, Extension, MemoryType, Rights};

use crate::laws::{Interpreted, Subject};

use Extension::{One, Sign, Zero};
use MemoryType::{
    DeviceGRE, DeviceNGRE, DeviceNGnRE, DeviceNGnRnE, Inherit, NonCacheable, Uncached, WriteBack, WriteCombining,
    WriteThrough,
};

/// Facts about one configuration.
struct Facts {
    format: &'static str,
    config: &'static str,
    extension: Extension,
    /// Whether hardware may keep an entry that is not present.
    invalid_cached: bool,
    /// Whether hardware sets accessed and dirty states.
    hardware: bool,
    /// The manual's number of the level of pages.
    label: i64,
    /// What is asked for, and what is had.
    memory: &'static [(MemoryType, MemoryType)],
}

/// Of architectures without device types, these are as uncached as it gets.
const DEVICES_ARE_UNCACHED: &[(MemoryType, MemoryType)] =
    &[(DeviceNGnRnE, Uncached), (DeviceNGnRE, Uncached), (DeviceNGRE, Uncached), (DeviceGRE, Uncached)];

#[rustfmt::skip]
const FACTS: &[Facts] = &[
    Facts { format: "ept", config: "server", extension: Zero, invalid_cached: false, hardware: true, label: 1, memory: &[(NonCacheable, WriteCombining)] },
    Facts { format: "ept", config: "baseline", extension: Zero, invalid_cached: false, hardware: false, label: 1, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "npt", config: "server", extension: Zero, invalid_cached: false, hardware: true, label: 1, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "long_mode", config: "server", extension: Sign, invalid_cached: false, hardware: true, label: 1, memory: &[(NonCacheable, Uncached), (WriteCombining, Uncached)] },
    Facts { format: "long_mode", config: "five-level", extension: Sign, invalid_cached: false, hardware: true, label: 1, memory: &[(NonCacheable, WriteCombining)] },
    Facts { format: "long_mode", config: "five-level", extension: Sign, invalid_cached: false, hardware: true, label: 1, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "long_mode", config: "baseline", extension: Sign, invalid_cached: false, hardware: true, label: 1, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "pae", config: "plain", extension: Zero, invalid_cached: true, hardware: true, label: 1, memory: &[(NonCacheable, Uncached), (WriteCombining, Uncached)] },
    Facts { format: "pae", config: "nx", extension: Zero, invalid_cached: true, hardware: true, label: 1, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "pae", config: "wide", extension: Zero, invalid_cached: true, hardware: true, label: 1, memory: &[(NonCacheable, WriteCombining)] },
    Facts { format: "legacy", config: "blocks", extension: Zero, invalid_cached: false, hardware: true, label: 1, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "legacy", config: "wide-blocks", extension: Zero, invalid_cached: false, hardware: true, label: 1, memory: &[(NonCacheable, WriteCombining)] },
    Facts { format: "vtd_first_stage", config: "four-level", extension: Sign, invalid_cached: false, hardware: true, label: 1, memory: &[(WriteBack, Inherit)] },
    Facts { format: "vtd_second_stage", config: "legacy", extension: Zero, invalid_cached: false, hardware: false, label: 1, memory: &[(WriteBack, Inherit)] },
    Facts { format: "vtd_second_stage", config: "scalable-five-level", extension: Zero, invalid_cached: false, hardware: true, label: 1, memory: &[(NonCacheable, WriteCombining)] },
    Facts { format: "vtd_second_stage", config: "scalable-five-level", extension: Zero, invalid_cached: false, hardware: true, label: 1, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "vtd_second_stage", config: "legacy-snooping", extension: Zero, invalid_cached: true, hardware: false, label: 1, memory: &[] },
    Facts { format: "amd_iommu_v1", config: "four-level", extension: Zero, invalid_cached: false, hardware: true, label: 1, memory: &[(WriteBack, Inherit)] },
    Facts { format: "amd_iommu_v1", config: "six-level", extension: Zero, invalid_cached: true, hardware: false, label: 1, memory: &[] },
    Facts { format: "sv", config: "sv39", extension: Sign, invalid_cached: true, hardware: false, label: 0, memory: &[(WriteBack, Inherit), (Uncached, Inherit)] },
    Facts { format: "sv", config: "sv39-rich", extension: Sign, invalid_cached: false, hardware: true, label: 0, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "sv", config: "sv48", extension: Sign, invalid_cached: true, hardware: false, label: 0, memory: &[(WriteBack, Inherit), (WriteCombining, NonCacheable)] },
    Facts { format: "sv32", config: "sv32", extension: Zero, invalid_cached: true, hardware: false, label: 0, memory: &[(WriteBack, Inherit), (Uncached, Inherit)] },
    Facts { format: "sv32", config: "sv32-rich", extension: Zero, invalid_cached: false, hardware: true, label: 0, memory: &[(DeviceNGnRnE, Inherit), (DeviceNGnRE, Inherit), (DeviceNGRE, Inherit), (DeviceGRE, Inherit)] },
    Facts { format: "sv_x4", config: "sv39x4", extension: Zero, invalid_cached: true, hardware: false, label: 0, memory: &[(WriteBack, Inherit)] },
    Facts { format: "sv_x4", config: "sv39x4-rich", extension: Zero, invalid_cached: false, hardware: true, label: 0, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "riscv_iommu", config: "sv48x4", extension: Zero, invalid_cached: true, hardware: true, label: 0, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "riscv_iommu_first_stage", config: "sv48", extension: Sign, invalid_cached: true, hardware: true, label: 0, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "riscv_iommu_first_stage", config: "sv39", extension: Sign, invalid_cached: true, hardware: false, label: 0, memory: &[(WriteBack, Inherit), (Uncached, Inherit)] },
    Facts { format: "loongarch64", config: "4k-39", extension: Zero, invalid_cached: true, hardware: false, label: 0, memory: &[(Inherit, WriteBack), (NonCacheable, WriteCombining)] },
    Facts { format: "loongarch64", config: "4k-47", extension: Zero, invalid_cached: true, hardware: true, label: 0, memory: DEVICES_ARE_UNCACHED },
    Facts { format: "loongarch64", config: "4k-upper", extension: One, invalid_cached: true, hardware: false, label: 0, memory: &[] },
    Facts { format: "stage1", config: "4k-48", extension: Zero, invalid_cached: false, hardware: false, label: 3, memory: &[(Uncached, DeviceNGnRnE), (WriteCombining, NonCacheable), (Inherit, WriteBack), (DeviceGRE, DeviceNGnRE), (DeviceNGRE, DeviceNGnRE)] },
    Facts { format: "stage1", config: "4k-small", extension: Zero, invalid_cached: false, hardware: false, label: 3, memory: &[(DeviceNGnRE, DeviceNGnRnE)] },
    Facts { format: "stage1", config: "16k-48", extension: One, invalid_cached: false, hardware: true, label: 3, memory: &[] },
    Facts { format: "stage1_el2", config: "4k-48", extension: Zero, invalid_cached: false, hardware: false, label: 3, memory: &[(Uncached, DeviceNGnRnE), (WriteCombining, NonCacheable)] },
    Facts { format: "stage2", config: "4k-40", extension: Zero, invalid_cached: false, hardware: false, label: 3, memory: &[(Uncached, DeviceNGnRnE), (WriteCombining, NonCacheable), (Inherit, WriteBack), (WriteThrough, WriteThrough), (DeviceNGnRE, DeviceNGnRE)] },
    Facts { format: "stage2", config: "4k-48", extension: Zero, invalid_cached: false, hardware: true, label: 3, memory: &[(Inherit, Inherit)] },
    Facts { format: "smmu_v3", config: "4k-48", extension: Zero, invalid_cached: false, hardware: true, label: 3, memory: &[(Inherit, Inherit)] },
];

pub(super) fn check(format: &str, config: &str, subject: &Interpreted) -> Result<(), String> {
    for facts in FACTS.iter().filter(|facts| facts.format == format && facts.config == config) {
        let of_hardware = [subject.invalid_cached(), subject.0.hardware];
        let label = subject.0.level(0).map(|level| level.label);
        if subject.geometry().extension != facts.extension
            || of_hardware != [facts.invalid_cached, facts.hardware]
            || label != Some(facts.label)
        {
            return Err(format!("{:?}, {of_hardware:?}, {label:?}", subject.geometry()));
        }
        for &(asked, had) in facts.memory {
            let found = memory(subject, asked);
            if found != Some(had) {
                return Err(format!("{asked:?} becomes {found:?}, and should be {had:?}"));
            }
        }
    }
    Ok(())
}

/// The memory type of a page that was asked for one.
fn memory(subject: &Interpreted, asked: MemoryType) -> Option<MemoryType> {
    let size = subject.geometry().page_bits;
    // Some leaves have to be readable, and some cannot be without executing.
    let rights = [Rights::RW, Rights::RWX, Rights::all()];
    let raw = rights.iter().find_map(|&rights| subject.leaf(0, size, 0, &Attributes::new(rights, asked)).ok())?;
    match subject.decode(0, raw[0]) {
        Entry::Leaf(leaf) => Some(leaf.attributes.memory),
        _ => None,
    }
}
