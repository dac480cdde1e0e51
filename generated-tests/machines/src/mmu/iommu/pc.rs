//! A PC, and its PCI bus.

use super::{Board, REGISTERS_SIZE};

/// Without timers that nobody needs: time stops at each of them before it comes to what a device waits for.
pub(super) const MACHINE: &str = "q35,kernel-irqchip=off,pit=off,hpet=off,memory-backend=ram";

/// Makes the devices answer, at addresses that nothing else has.
pub(super) fn plug(board: &mut Board) -> u64 {
    for (number, identity) in board.devices() {
        configure(board, identity, 0x10, DEVICE_REGISTERS + number * REGISTERS_SIZE);
        configure(board, identity, 4, 0b110);
    }
    DEVICE_REGISTERS
}

/// Writes to a device's configuration space.
fn configure(board: &mut Board, identity: u64, offset: u64, value: u64) {
    board.machine.write_port(0xcf8, (1 << 31 | identity << 8 | offset) as u32);
    board.machine.write_port(0xcfc, value as u32);
}

const DEVICE_REGISTERS: u64 = 0xc000_0000;
