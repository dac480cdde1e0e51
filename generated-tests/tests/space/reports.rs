//! Faults as the hardware reports them, with the values of its registers.

use tablewright::{
    AddrSpace, Cause, DeviceAccess, FaultOutcome, GuestMemoryAccessor, MappingFlags, NestedPageFaultInfo, Operation,
    ReportError, Rights, Tag, aarch64::stage2_4k, device::AccessWidth, riscv64::sv_x4, sim::Machine, x86_64::ept,
};

use crate::{
    formats,
    rig::{READ, RW, gpa},
    shy::Shy,
};

#[test]
fn an_ept_violation_is_resolved() {
    let mut rig = formats::ept("server");
    rig.space.map_alloc(gpa(0x4000_0000), 0x1000, RW, false).unwrap();
    rig.space.map_device(gpa(0xfee0_0000), 0x1000, 3).unwrap();
    // Intel SDM Vol. 3C, Exit Qualification for EPT Violations: bits 2:0 are the access, 5:3 what is allowed.
    let report = |exit_reason, qualification, guest_physical_address| ept::Report {
        exit_reason,
        qualification,
        guest_physical_address,
    };
    let store = report(48, 0b00_0010, 0x4000_0008);
    let info = NestedPageFaultInfo { access_flags: MappingFlags::WRITE, fault_guest_paddr: gpa(0x4000_0008) };
    assert_eq!(rig.space.fault_info(&store), Ok(info));
    assert_eq!(rig.space.handle_report(&store), Ok(FaultOutcome::Mapped));
    assert_eq!(rig.space.handle_report(&store), Ok(FaultOutcome::Spurious));
    assert_eq!(rig.space.handle_report(&report(48, 0b01_1100, 0x4000_0000)), Ok(FaultOutcome::Denied));
    let access = DeviceAccess { handle: 3, offset: 0x300, access: Rights::R, width: None };
    let device = Ok(FaultOutcome::Device(access));
    assert_eq!(rig.space.handle_report(&report(48, 1, 0xfee0_0300)), device);
    // A device has no page tables of the guest's: an access of the walk is none for whoever emulates it.
    assert_eq!(rig.space.handle_report(&report(48, 0x81, 0xfee0_0300)), Ok(FaultOutcome::NotMapped));
    // A misconfiguration is nobody's to resolve; other exits are no faults of this translation.
    assert_eq!(rig.space.handle_report(&report(49, 0, 0x4000_0000)), Ok(FaultOutcome::Misconfigured));
    let misconfigured = rig.space.fault_info(&report(49, 0, 0x4000_0000));
    assert!(matches!(misconfigured, Err(ReportError::Cause(info)) if info.cause == Cause::Misconfigured));
    assert_eq!(rig.space.handle_report(&report(10, 0, 0)), Err(ReportError::NotAFault));
}

#[test]
fn a_stage_2_abort_is_resolved_or_has_to_be_looked_up() {
    let mut rig = formats::stage2_4k("4k-40");
    rig.space.map_alloc(gpa(0x4567_8000), 0x1000, READ, false).unwrap();
    let report = |esr_el2, hpfar_el2| stage2_4k::Report { esr_el2, far_el2: 0xffff_0000_1234_5678, hpfar_el2 };
    // Data abort from a lower level (EC 0x24), translation fault at level 3 (0b000111), WnR in bit 6.
    assert_eq!(rig.space.handle_report(&report(0x9200_0047, 0x45_6780)), Ok(FaultOutcome::Denied));
    assert_eq!(rig.space.handle_report(&report(0x9200_0007, 0x45_6780)), Ok(FaultOutcome::Mapped));
    // After a permission fault HPFAR_EL2 is unknown.
    let denied = rig.space.handle_report(&report(0x9200_004f, 0x45_6780));
    assert!(matches!(denied, Err(ReportError::NoAddress(info)) if info.cause == Cause::Permission), "{denied:x?}");
    // The caller translates the virtual address, and goes on with what the report said.
    rig.space.map_device(gpa(0x900_0000), 0x1000, 5).unwrap();
    let Err(ReportError::NoAddress(info)) = rig.space.handle_report(&report(0x9342_004f, 0)) else { panic!() };
    let outcome = rig.space.handle_resolved(&info, gpa(0x900_0678), &mut rig.space.frame_cache());
    let access = DeviceAccess { handle: 5, offset: 0x678, access: Rights::W, width: Some(AccessWidth::Word) };
    assert_eq!(outcome, FaultOutcome::Device(access));
}

#[test]
fn a_guest_page_fault_is_resolved() {
    let mut rig = formats::sv_x4("sv39x4");
    rig.space.map_alloc(gpa(0x8020_0000), 0x2000, RW, false).unwrap();
    // htval holds the address shifted right by 2, stval its lowest bits.
    let report = |scause| sv_x4::Report { scause, stval: 0x1003, htval: 0x2008_0400, htinst: 0 };
    assert_eq!(rig.space.handle_report(&report(20)), Ok(FaultOutcome::Denied));
    assert_eq!(rig.space.handle_report(&report(23)), Ok(FaultOutcome::Mapped));
    assert_eq!(rig.space.handle_report(&report(21)), Ok(FaultOutcome::Spurious));
    assert_eq!(rig.space.handle_report(&report(5)), Err(ReportError::NotAFault));
    // A transformed `lw`: of a device, the hart says how much is read.
    rig.space.map_device(gpa(0x1000_0000), 0x1000, 1).unwrap();
    let load = sv_x4::Report { scause: 21, stval: 0x2004, htval: 0x400_0001, htinst: 0x2503 };
    let access = DeviceAccess { handle: 1, offset: 4, access: Rights::R, width: Some(AccessWidth::Dword) };
    assert_eq!(rig.space.handle_report(&load), Ok(FaultOutcome::Device(access)));
    assert_eq!(rig.space.read_obj::<u8>(gpa(0x8020_1003)), Ok(0));
}

/// What a report says reaches the backend on both ways to it.
#[test]
fn exclusive_access_forgets_nothing_of_the_report() {
    let format = stage2_4k::Format::new(&stage2_4k::Config::new(3, 39)).unwrap();
    let machine = Machine::new(0, 1 << 20);
    let mut space = AddrSpace::<_, _, Shy>::with_backend(format, machine, Tag(1), gpa(0), 1 << 30).unwrap();
    space.map(gpa(0x900_0000), 0x1000, RW, Shy::default()).unwrap();
    let store = stage2_4k::Report { esr_el2: 0x9384_0047, far_el2: 0x1010, hpfar_el2: 0x9_0000 };
    assert_eq!(space.handle_report(&store), Ok(FaultOutcome::NeedsExclusive(Operation::CopyOnWrite)));
    let access = DeviceAccess { handle: 0, offset: 0, access: Rights::W, width: Some(AccessWidth::Dword) };
    assert_eq!(space.handle_report_exclusive(&store), Ok(FaultOutcome::Device(access)));
    // Bit 7: the fault was met on a walk of the guest's tables, which cannot be in a device.
    let walk = stage2_4k::Report { esr_el2: 0x9384_00c7, ..store };
    assert_eq!(space.handle_report_exclusive(&walk), Ok(FaultOutcome::NotMapped));
}
