//! Frames of physical memory, and the names of devices.

use tablewright::{
    Error, GuestPhysAddr, GuestPhysAddrRange, GuestVirtAddr, HostPhysAddr, HostPhysAddrRange, HostVirtAddr, PhysFrame,
    device::{AccessWidth, DeviceAddrRange, Port, PortRange, SysRegAddr, SysRegAddrRange},
    sim::Machine,
};

use crate::rig::{gpa, hpa};

#[test]
fn the_frame_at_address_0_is_a_frame_like_any_other() {
    let machine = Machine::new(0, 1 << 20);
    let frame = PhysFrame::alloc(&machine).unwrap();
    assert_eq!(frame.start_paddr(), Some(hpa(0)));
    assert_eq!(machine.used(), 0x1000);
    drop(frame);
    assert_eq!(machine.used(), 0);
}

#[test]
fn frames_are_filled_to_their_end() {
    let machine = Machine::new(0x8000_0000, 1 << 20);
    let mut frame = PhysFrame::alloc_sized(&machine, 16).unwrap();
    frame.fill(0x5a);
    let start = frame.start_paddr().unwrap();
    assert!(machine.dump(start, 16).iter().all(|&byte| byte == 0x5a));
    let zeroed = PhysFrame::alloc_zero(&machine).unwrap();
    assert!(machine.dump(zeroed.start_paddr().unwrap(), 12).iter().all(|&byte| byte == 0));
    // SAFETY: the frame is held, and nobody else uses it.
    unsafe { zeroed.as_mut_ptr().add(0xfff).write_volatile(1) };
    assert_eq!(machine.dump(zeroed.start_paddr().unwrap(), 12)[0xfff], 1);
}

#[test]
fn a_placeholder_holds_nothing() {
    let mut frame = PhysFrame::<Machine>::uninit();
    frame.fill(1);
    assert_eq!((frame.start_paddr(), frame.size(), frame.as_mut_ptr().is_null()), (None, None, true));
    assert_eq!(frame.into_raw(), None);
}

#[test]
fn no_frame_is_an_error() {
    let machine = Machine::new(0, 1 << 20);
    machine.fail_allocation(0);
    assert_eq!(PhysFrame::alloc(&machine).map(|_| ()), Err(Error::NoMemory { size: 12 }));
    assert_eq!(PhysFrame::alloc_sized(&machine, 30).map(|_| ()), Err(Error::NoMemory { size: 30 }));
}

#[test]
fn addresses_say_what_they_are_of() {
    let shown = |at: usize| {
        let (guest, host) = (GuestPhysAddr::from_usize(at), HostPhysAddr::from_usize(at));
        let (guest_virt, host_virt) = (GuestVirtAddr::from_usize(at), HostVirtAddr::from_usize(at));
        format!("{guest:?} {host:x} {guest_virt:X} {host_virt:?}")
    };
    assert_eq!(shown(0x1abc), "GPA:0x1abc HPA:0x1abc GVA:0x1ABC HVA:0x1abc");
    let range = GuestPhysAddrRange::new(gpa(0x1000), gpa(0x1000) + 0x1000);
    assert_eq!((range.size(), range.contains(gpa(0x1fff)), range.contains(gpa(0x2000))), (0x1000, true, false));
    assert_eq!(HostPhysAddrRange::from_start_size(hpa(0), 0x10).size(), 0x10);
    assert_eq!(format!("{range:?}"), "GPA:0x1000..GPA:0x2000");
}

#[test]
fn widths_count_bytes_and_bits() {
    let widths = [AccessWidth::Byte, AccessWidth::Word, AccessWidth::Dword, AccessWidth::Qword];
    for (width, size) in widths.into_iter().zip([1, 2, 4, 8]) {
        assert_eq!((width.size(), usize::from(width), width.bits_range()), (size, size, 0..8 * size));
        assert_eq!(AccessWidth::try_from(size), Ok(width));
    }
    assert!([0, 3, 16, usize::MAX].into_iter().all(|size| AccessWidth::try_from(size).is_err()));
}

#[test]
fn devices_are_shown_as_their_users_know_them() {
    let (port, register) = (Port::new(0x3f8), SysRegAddr::new(0xc0b));
    assert_eq!(format!("{port:?} {port:#x} {port:X}"), "Port(1016) Port(0x3f8) Port(0x3F8)");
    assert_eq!(format!("{register:?} {register:x}"), "SysRegAddr(3083) SysRegAddr(0xc0b)");
    assert_eq!((port.number(), register.addr()), (0x3f8, 0xc0b));
    assert_eq!(format!("{:x}", PortRange::new(port, Port::new(0x3ff))), "0x3f8..=0x3ff");
    assert_eq!(format!("{:x}", SysRegAddrRange::new(SysRegAddr::new(0), register)), "0x0..=0xc0b");
}

#[test]
fn port_and_register_ranges_include_both_ends() {
    let ports = PortRange::new(Port::new(0xfff8), Port::new(u16::MAX));
    assert!(ports.contains(Port::new(u16::MAX)) && ports.contains(Port::new(0xfff8)));
    assert!(!ports.contains(Port::new(0xfff7)));
    let registers = SysRegAddrRange::new(SysRegAddr::new(8), SysRegAddr::new(8));
    assert!(registers.contains(SysRegAddr::new(8)) && !registers.contains(SysRegAddr::new(9)));
    let memory = GuestPhysAddrRange::new(gpa(0x1000), gpa(0x2000));
    assert!(DeviceAddrRange::contains(&memory, gpa(0x1fff)) && !DeviceAddrRange::contains(&memory, gpa(0x2000)));
}
