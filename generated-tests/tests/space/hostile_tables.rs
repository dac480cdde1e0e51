//! Guest memory by virtual addresses, where a guest's tables end early, point outside its memory or to themselves, or
//! change between two reads.

use std::cell::Cell;

use tablewright::{
    Format, GuestFault, GuestMemoryAccessor, GuestPhysAddr, GuestSlice, GuestTables, GuestVirtAddr, Rights,
    Stage1Cause, VirtError, VirtFault, riscv64::sv,
};

use crate::rig::{RW, Rig, gpa};
use crate::witness::DIRECT;

/// The guest has its memory from here on, and so much.
const BASE: usize = 0x40_0000;
const SIZE: usize = 0x8000;

/// A guest, and the format that its own tables have.
fn sv39(svadu: bool) -> (Rig<impl Format>, sv::Format) {
    let mut rig = Rig::new(DIRECT);
    rig.space.map_alloc(gpa(BASE), SIZE, RW, false).unwrap();
    let format = sv::Format::new(&sv::Config { svadu, ..sv::Config::new(3, 39) }).unwrap();
    (rig, format)
}

fn gva(address: usize) -> GuestVirtAddr {
    GuestVirtAddr::from_usize(address)
}

/// A leaf or table entry of Sv39.
fn pte(address: usize, bits: u64) -> u64 {
    (address as u64) >> 12 << 10 | bits
}

#[test]
fn bytes_cross_pages_and_stop_where_the_tables_do() {
    let (rig, format) = sv39(true);
    let space = &rig.space;
    let (root, middle, low) = (BASE, BASE + 0x1000, BASE + 0x2000);
    space.write_obj(gpa(root), pte(middle, 1)).unwrap();
    space.write_obj(gpa(middle), pte(low, 1)).unwrap();
    // Pages 0 and 1 in reverse order; page 2 read-only; page 3 outside of the guest's memory.
    let leaves = [pte(BASE + 0x5000, 0x17), pte(BASE + 0x4000, 0x17), pte(BASE + 0x6000, 0x13), pte(0x1000, 0x17)];
    space.write_obj(gpa(low), leaves).unwrap();
    let tables = GuestTables::new(space, &format, gpa(root), sv::Controls::default());

    tables.write_obj(gva(0xffc), Rights::UW, 0x1122_3344_5566_7788_u64).unwrap();
    assert_eq!(space.read_obj::<u32>(gpa(BASE + 0x5ffc)).unwrap(), 0x5566_7788);
    assert_eq!(space.read_obj::<u32>(gpa(BASE + 0x4000)).unwrap(), 0x1122_3344);
    assert_eq!(tables.read_obj::<u64>(gva(0xffc), Rights::UR).unwrap(), 0x1122_3344_5566_7788);
    // Written pages are accessed and dirty.
    assert_eq!(space.read_obj::<u64>(gpa(low + 8)).unwrap(), leaves[1] | 0xc0);

    // What is below the root's alignment is no address.
    let flagged = GuestTables::new(space, &format, gpa(root + 0xfff), sv::Controls::default());
    assert_eq!(flagged.read_obj::<u64>(gva(0xffc), Rights::UR).unwrap(), 0x1122_3344_5566_7788);

    let denied = VirtFault::Stage1 { level: 0, cause: Stage1Cause::Denied };
    let stopped = VirtError { address: gva(0x2000), done: 3, fault: denied };
    assert_eq!(tables.write_buffer(gva(0x1ffd), Rights::UW, &[7; 8]), Err(stopped));
    assert_eq!(space.read_obj::<[u8; 3]>(gpa(BASE + 0x4ffd)).unwrap(), [7; 3]);
    // The supervisor is kept off user pages but for SSTATUS.SUM.
    let kept_off = tables.read_obj::<u8>(gva(0x2000), Rights::PR).unwrap_err();
    assert_eq!(kept_off.fault, denied);
    let summoned = GuestTables::new(space, &format, gpa(root), sv::Controls { sstatus: 1 << 18 });
    assert_eq!(summoned.read_obj::<u8>(gva(0x2000), Rights::PR), Ok(0));

    let outside = VirtFault::Stage2 { address: gpa(0x1000), fault: GuestFault::NotMapped };
    let mut buffer = [0; 8];
    let stopped = VirtError { address: gva(0x3000), done: 2, fault: outside };
    assert_eq!(tables.read_buffer(gva(0x2ffe), Rights::UR, &mut buffer), Err(stopped));
    let wrapped = tables.read_buffer(gva(usize::MAX), Rights::UR, &mut buffer).unwrap_err();
    assert_eq!(wrapped.fault, VirtFault::Overflow);
    assert_eq!(tables.read_buffer(gva(usize::MAX), Rights::UR, &mut []), Ok(()));
}

#[test]
fn roots_that_lead_to_themselves_or_nowhere_are_errors() {
    let (rig, format) = sv39(true);
    rig.space.write_obj(gpa(BASE), pte(BASE, 1)).unwrap();
    let translate = |root| {
        let tables = GuestTables::new(&rig.space, &format, gpa(root), sv::Controls::default());
        tables.translate(gva(0), Rights::PR)
    };
    // At level 0 there are no tables, so a loop ends there.
    assert!(matches!(translate(BASE), Err(VirtFault::Stage1 { level: 0, cause: Stage1Cause::Reserved(_) })));
    for root in [0, usize::MAX, BASE + SIZE] {
        let (entry, fault) = (gpa(root & !0xfff), GuestFault::NotMapped);
        assert_eq!(translate(root), Err(VirtFault::Walk { entry, fault }), "{root:#x}");
    }
}

/// Guest memory in which another CPU of the guest flips a word just before each of the next atomic accesses.
struct Fickle<'a, M> {
    memory: &'a M,
    word: GuestPhysAddr,
    flip: u64,
    times: Cell<usize>,
}

impl<M: GuestMemoryAccessor> GuestMemoryAccessor for Fickle<'_, M> {
    fn guest_slice(&self, address: GuestPhysAddr, length: usize, access: Rights) -> Result<GuestSlice<'_>, GuestFault> {
        if access == Rights::RW && self.times.get() > 0 {
            self.times.set(self.times.get() - 1);
            let old: u64 = self.memory.read_obj(self.word).expect("it is mapped");
            self.memory.write_obj(self.word, old ^ self.flip).expect("it is mapped");
        }
        self.memory.guest_slice(address, length, access)
    }
}

#[test]
fn a_leaf_that_changes_before_it_is_marked_is_walked_anew() {
    let (rig, format) = sv39(true);
    let (first, second) = (pte(0x4000_0000, 0x17), pte(0x8000_0000, 0x17));
    let run = |start, flip, times| {
        rig.space.write_obj(gpa(BASE), start).unwrap();
        let memory = Fickle { memory: &rig.space, word: gpa(BASE), flip, times: Cell::new(times) };
        let found =
            GuestTables::new(&memory, &format, gpa(BASE), sv::Controls::default()).translate(gva(0x123), Rights::UW);
        (found.map(|found| found.address.as_usize()), rig.space.read_obj::<u64>(gpa(BASE)).unwrap())
    };
    // Never the old address with marks on the new entry.
    for times in 0..6 {
        let (address, last) = if times % 2 == 0 { (0x4000_0000, first) } else { (0x8000_0000, second) };
        assert_eq!(run(first, first ^ second, times), (Ok(address + 0x123), last | 0xc0));
    }
    // What is no longer there is not brought back.
    let gone = VirtFault::Stage1 { level: 2, cause: Stage1Cause::NotMapped };
    assert_eq!(run(first, first, 1), (Err(gone), 0));
    // A guest that never stops does not hold up the host.
    assert_eq!(run(first, first ^ second, usize::MAX).0, Err(VirtFault::Changing));
}

#[test]
fn without_hardware_flags_the_guest_gets_the_fault() {
    let (rig, format) = sv39(false);
    rig.space.write_obj(gpa(BASE), [pte(0, 0x17), pte(0, 0x57)]).unwrap();
    let tables = GuestTables::new(&rig.space, &format, gpa(BASE), sv::Controls::default());
    let fault = Err(VirtFault::Stage1 { level: 2, cause: Stage1Cause::NotMarked });
    assert_eq!(tables.translate(gva(0), Rights::UR), fault);
    assert_eq!(tables.translate(gva(1 << 30), Rights::UW), fault);
    assert_eq!(tables.translate(gva(1 << 30), Rights::UR).map(|found| found.page_bits), Ok(30));
    assert_eq!(rig.space.read_obj::<[u64; 2]>(gpa(BASE)).unwrap(), [pte(0, 0x17), pte(0, 0x57)]);
}
