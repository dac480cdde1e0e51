//! The type that holds a space in whichever format the machine has.

use tablewright::{
    Attributes, Change, ClosedRange, DeviceAccess, Error, FaultOutcome, GuestMemoryAccessor, MemoryType, PageBitmap,
    Relax, ReportError, Rights, State, Tag,
    aarch64::{self, stage2_4k, stage2_16k, stage2_64k},
    riscv64,
    sim::Machine,
    x86_64::{self, ept, npt},
};

use crate::rig::{READ, RW, gpa};

/// What any hypervisor does, in each architecture's type.
macro_rules! runs_a_guest {
    ($module:ident, $format:expr) => {{
        let machine = Machine::new(0, 16 << 20);
        let mut space = $module::NestedAddrSpace::<Machine>::new_empty($format, machine.clone(), Tag(1)).unwrap();
        space.map_alloc(gpa(0), 1 << 20, RW, false).unwrap();
        space.map_device(gpa(1 << 20), 1 << 16, 3).unwrap();
        assert_eq!(space.handle_fault(gpa(0x1_0000), Rights::W), FaultOutcome::Mapped);
        space.write_obj(gpa(0x1_0008), 7_u64).unwrap();
        assert_eq!(space.read_obj::<u64>(gpa(0x1_0008)).unwrap(), 7);
        assert_eq!(
            space.handle_fault(gpa(1 << 20), Rights::R),
            FaultOutcome::Device(DeviceAccess { handle: 3, offset: 0, access: Rights::R, width: None })
        );
        let page_bits = space.query(gpa(0x1_0000)).unwrap().page_bits;
        let all = ClosedRange::from_start_size(0, 1 << 20).unwrap();
        let mut words = [0; 4];
        let mut pages = PageBitmap::new(all, page_bits, &mut words).unwrap();
        space.harvest(State::Dirty, &mut pages).unwrap();
        assert_eq!(pages.len(), 1);
        space.registers().unwrap();
        space.split(gpa(0), 1 << 20, page_bits).unwrap();
        space.protect(gpa(0), 1 << 16, READ).unwrap();
        assert!(!space.handle_page_fault(gpa(0), RW));
        assert!(space.handle_page_fault(gpa(1 << 16), RW));
        let statistics = space.statistics();
        assert_eq!((statistics.areas, statistics.table_bytes + statistics.mapped_bytes()), (3, machine.used() as u64));
        space.collapse(gpa(0), 1 << 20).unwrap();
        assert_eq!(space.find_area(gpa(1 << 16)).unwrap().rest(gpa(1 << 16)), Some((1 << 20) - (1 << 16)));
        space.unmap(gpa(0), 1 << 20).unwrap();
        assert!(space.translate(gpa(0x1_0000)).is_none());
        space.clear().unwrap();
        assert_eq!(space.areas().len(), 0);
        drop(space);
        assert_eq!(machine.used(), 0);
    }};
}

#[test]
fn each_architecture_has_one_type_for_its_formats() {
    runs_a_guest!(x86_64, ept::Format::new(&ept::Config { pa_bits: 46, ..ept::Config::new(4, 48) }).unwrap());
    runs_a_guest!(x86_64, npt::Format::new(&npt::Config { pa_bits: 46, ..npt::Config::new(4, 48) }).unwrap());
    let granule_4k = stage2_4k::Format::new(&stage2_4k::Config { pa_bits: 40, ..stage2_4k::Config::new(3, 40) });
    runs_a_guest!(aarch64, granule_4k.unwrap());
    let granule_64k = stage2_64k::Format::new(&stage2_64k::Config { pa_bits: 40, ..stage2_64k::Config::new(2, 40) });
    runs_a_guest!(aarch64, granule_64k.unwrap());
    let granule_16k = stage2_16k::Format::new(&stage2_16k::Config { pa_bits: 42, ..stage2_16k::Config::new(3, 40) });
    runs_a_guest!(aarch64, granule_16k.unwrap());
    for (levels, input_bits) in [(3, 41), (4, 50), (5, 59)] {
        let config = riscv64::sv_x4::Config::new(levels, input_bits);
        runs_a_guest!(riscv64, riscv64::sv_x4::Format::new(&config).unwrap());
    }
    let five = ept::Config { pa_bits: 46, five_level: true, ..ept::Config::new(5, 57) };
    runs_a_guest!(x86_64, ept::Format::new(&five).unwrap());
    let five = npt::Config { pa_bits: 46, five_level: true, ..npt::Config::new(5, 57) };
    runs_a_guest!(x86_64, npt::Format::new(&five).unwrap());
}

#[test]
fn formats_are_not_mixed_up() {
    let machine = Machine::new(0, 16 << 20);
    let ept = ept::Format::new(&ept::Config { pa_bits: 46, ..ept::Config::new(4, 48) }).unwrap();
    let npt = npt::Format::new(&npt::Config { pa_bits: 46, ..npt::Config::new(4, 48) }).unwrap();
    let mut table = x86_64::NestedPageTable::new(ept, machine.clone(), Tag(1)).unwrap();
    let other = x86_64::NestedPageTable::new(npt, machine.clone(), Tag(1)).unwrap();
    let all = ClosedRange::from_start_size(0, 1 << 20).unwrap();
    assert_eq!(table.unmap(all, &mut other.gather()), Err(Error::ForeignGather));
    let mut gather = table.gather();
    assert_eq!(table.unmap(all, &mut gather), Ok(()));
    let mut space = x86_64::NestedAddrSpace::<Machine>::new_empty(ept, machine, Tag(1)).unwrap();
    let report = x86_64::NestedReport::Npt(npt::Report { exit_code: 0x400, exit_info_1: 6, exit_info_2: 0x1000 });
    let mut frames = space.frame_cache();
    assert_eq!(space.handle_report(&report), Err(ReportError::NotAFault));
    assert_eq!(space.handle_report_cached(&report, &mut frames), Err(ReportError::NotAFault));
    assert_eq!(space.handle_report_exclusive(&report), Err(ReportError::NotAFault));
    // An EPT violation by a write.
    let report = ept::Report { exit_reason: 48, qualification: 2, guest_physical_address: 0x1000 };
    let report = x86_64::NestedReport::Ept(report);
    assert_eq!(space.handle_report(&report), Ok(FaultOutcome::NotMapped));
    space.map_alloc(gpa(0x1000), 0x1000, RW, false).unwrap();
    assert_eq!(space.handle_report_cached(&report, &mut frames), Ok(FaultOutcome::Mapped));
    assert_eq!(space.handle_report_exclusive(&report), Ok(FaultOutcome::Spurious));
}

/// A table's own operations, each with a gather of its format.
macro_rules! edits_a_table {
    ($module:ident, $format:expr) => {{
        let machine = Machine::new(0, 16 << 20);
        let mut table = $module::NestedPageTable::<Machine>::new($format, machine.clone(), Tag(1)).unwrap();
        let range = ClosedRange::from_start_size(0, 1 << 20).unwrap();
        let page = ClosedRange::from_start_size(0, 1 << 16).unwrap();
        let write = Attributes::new(Rights::RWX, MemoryType::WriteBack);
        let mut gather = table.gather();
        table.reserve(table.tables_needed(range).unwrap()).unwrap();
        assert!(table.reserved() > 0);
        table.populate(page, &write, 16, &mut gather).unwrap();
        let read = Change { rights: Some(Rights::R), ..Change::default() };
        table.protect(page, &read, &mut gather).unwrap();
        gather.flush();
        assert!(gather.is_empty());
        assert_eq!(table.relax_exclusive(0, Rights::W, &mut gather), Ok(Relax::Relaxed));
        // SAFETY: the leaves map frames of the machine's, which nobody uses.
        unsafe { table.depopulate(page, &mut gather).unwrap() };
        drop(gather);
        assert_eq!(table.translate(0), None);
        drop(table);
        assert_eq!(machine.used(), 0);
    }};
}

#[test]
fn each_architecture_has_one_type_for_its_tables() {
    edits_a_table!(x86_64, ept::Format::new(&ept::Config { pa_bits: 46, ..ept::Config::new(4, 48) }).unwrap());
    edits_a_table!(x86_64, npt::Format::new(&npt::Config::new(4, 48)).unwrap());
    edits_a_table!(aarch64, stage2_4k::Format::new(&stage2_4k::Config::new(4, 48)).unwrap());
    edits_a_table!(aarch64, stage2_64k::Format::new(&stage2_64k::Config::new(3, 48)).unwrap());
    edits_a_table!(riscv64, riscv64::sv_x4::Format::new(&riscv64::sv_x4::Config::new(3, 41)).unwrap());
}
