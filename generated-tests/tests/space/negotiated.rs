//! Spaces as the machine's identification registers allow them, with values from the manuals.

use tablewright::{AddrSpace, Error, SpaceError, Tag, aarch64::stage2_4k, sim::Machine, x86_64::ept};

use crate::rig::{RW, gpa};

/// A Cortex-A53: 40 bits of physical address (ID_AA64MMFR0_EL1.PARange is 2), granules of 4 and 64 KiB, and nothing new.
const CORTEX_A53: stage2_4k::Capabilities =
    stage2_4k::Capabilities { id_aa64mmfr0_el1: 0x1122, id_aa64mmfr1_el1: 0, id_aa64mmfr2_el1: 0 };

#[test]
fn a_board_of_40_bits_has_three_levels_and_two_tables_at_the_root() {
    let config = stage2_4k::Config::from_capabilities(&CORTEX_A53, 3, 40);
    let machine = Machine::new(0, 1 << 20);
    let mut space = AddrSpace::new_empty(stage2_4k::Format::new(&config).unwrap(), machine.clone(), Tag(5)).unwrap();
    assert_eq!((space.size(), machine.used()), (1 << 40, 0x2000));
    let last = gpa((1 << 40) - 0x1000);
    space.map_alloc(last, 0x1000, RW, true).unwrap();
    // The second table of the root, and one at each level below.
    assert_eq!(machine.used(), 0x2000 + 3 * 0x1000);
    let registers = space.registers().unwrap();
    // VTCR_EL2: T0SZ is 24, SL0 is 1 (level 1), PS is 2 (40 bits).
    assert_eq!((registers.vtcr_el2 & 0x3f, registers.vtcr_el2 >> 6 & 3, registers.vtcr_el2 >> 16 & 7), (24, 1, 2));
    assert_eq!(registers.vttbr_el2, 5 << 48 | space.page_table_root().as_usize() as u64);
    // It has no 16 KiB granule, and its registers do not reach further than its memory.
    assert!(space.map_alloc(gpa(1 << 40), 0x1000, RW, true).is_err());
}

#[test]
fn five_levels_are_there_where_the_processor_walks_them() {
    // Write-back tables, 4 levels of walk (bit 6), 2 MiB and 1 GiB pages, INVEPT; with bit 7, 5 levels, too.
    let capabilities = |five: u64| ept::Capabilities {
        ia32_vmx_ept_vpid_cap: 0x0633_4141 | five << 7,
        ia32_arch_capabilities: 0,
        cpuid_80000008_eax: 0x392e,
    };
    let space = |five| {
        let format = ept::Format::new(&ept::Config::from_capabilities(&capabilities(five), 5, 57));
        let format = format.map_err(|error| SpaceError::Table(Error::Config(error)))?;
        AddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))
    };
    let mut five = space(1).unwrap();
    assert_eq!(five.size(), 1 << 57);
    five.map_alloc(gpa((1 << 57) - 0x1000), 0x1000, RW, true).unwrap();
    // EPTP: the walk's length less one in bits 5:3.
    assert_eq!(five.registers().unwrap().eptp >> 3 & 7, 4);
    assert!(matches!(space(0), Err(SpaceError::Table(Error::Config(_)))));
}
