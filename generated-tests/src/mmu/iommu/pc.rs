//! A PC, and its PCI bus.

use super::{Board, IDENTITY};

/// Without timers that nobody needs: time stops at each of them before it comes to what a device waits for.
pub(super) const MACHINE: &str = "q35,kernel-irqchip=off,pit=off,hpet=off,memory-backend=ram";

/// Makes the device answer, at an address that nothing else has.
pub(super) fn plug(board: &mut Board) -> u64 {
    configure(board, 0x10, DEVICE_REGISTERS);
    configure(board, 4, 0b110);
    DEVICE_REGISTERS.into()
}

/// Writes to the device's configuration space.
fn configure(board: &mut Board, offset: u32, value: u32) {
    board.machine.write_port(0xcf8, 1 << 31 | (IDENTITY as u32) << 8 | offset);
    board.machine.write_port(0xcfc, value);
}

const DEVICE_REGISTERS: u32 = 0xc000_0000;
