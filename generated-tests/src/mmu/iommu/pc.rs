//! The PCI bus of a PC.

use super::{Board, IDENTITY};

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
