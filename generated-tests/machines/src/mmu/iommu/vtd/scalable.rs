//! Scalable mode: what leads to tables is an entry of a PASID table.

use super::{FAULT, FORGET, LEGACY, STRUCTURES, VTD, VTD_SECOND_STAGE, reason, take_fault, turn_on};
use crate::mmu::FaultKind;
use crate::mmu::iommu::{Board, Path, Registers, pc, value};

/// How it translates for a device by second-stage tables.
pub const SECOND_STAGE: Path = Path {
    model: &VTD_SECOND_STAGE,
    forget: FORGET,
    plug,
    translate: |board, registers| set_entry(board, [value(registers, "entry0"), value(registers, "entry1"), 0]),
    bypass,
    told_by: FAULT,
    faults: take_fault,
    // VTD_RECORDS_LEGACY_REASONS.
    kind: LEGACY.kind,
};

/// How it does by first-stage tables.
pub const FIRST_STAGE: Path = Path {
    model: &VTD,
    forget: FORGET,
    plug,
    translate: |board, registers| {
        let [low, middle, high] = first_stage(registers);
        // VTD_TAKES_WIDTH_OF_SECOND_STAGE: AW, 48 bits.
        set_entry(board, [low | 2 << 2, middle, high]);
    },
    bypass,
    told_by: FAULT,
    faults: take_fault,
    // Fault Reason Encodings, Scalable Mode: SFS.2 and SFS.3, SGN.1 to SGN.3, SGN.5 and SGN.6.
    kind: |report| match reason(report) {
        0x71 => FaultKind::NotMapped,
        0x72 => FaultKind::Misconfigured,
        0x80 => FaultKind::AddressSize,
        0x81 | 0x85 | 0x86 => FaultKind::Permission,
        _ => FaultKind::Bus,
    },
};

/// The same without a width of the second stage.
pub const FIRST_STAGE_ALONE: Path =
    Path { translate: |board, registers| set_entry(board, first_stage(registers)), ..FIRST_STAGE };

/// The PASID of requests that have none (RID_PASID): a directory of 2^7 entries, each for 2^6 PASIDs, has it.
pub const PASID: u64 = 0x1345;

const CONTEXTS: u64 = STRUCTURES + 0x1000;
const DIRECTORY: u64 = STRUCTURES + 0x2000;
const PASIDS: u64 = STRUCTURES + 0x3000;

/// A root entry for bus 0, a context entry of 256 bits for each device, and a directory entry; all are present.
fn plug(board: &mut Board) -> u64 {
    board.write(STRUCTURES, CONTEXTS | 1);
    board.devices().for_each(|(_, identity)| board.write_words(CONTEXTS + identity * 32, &[DIRECTORY | 1, PASID]));
    board.write(DIRECTORY + (PASID >> 6) * 8, PASIDS | 1);
    // TTM: scalable mode.
    turn_on(board, STRUCTURES | 1 << 10);
    pc::plug(board)
}

/// The words of an entry for the first stage.
fn first_stage(registers: Registers<'_>) -> [u64; 3] {
    ["pasid0", "pasid1", "pasid2"].map(|name| value(registers, name))
}

/// PGTT: pass-through, of 4 levels.
fn bypass(board: &mut Board) {
    set_entry(board, [4 << 6 | 2 << 2 | 1, 0, 0]);
}

/// Sets the lower words of the PASID-table entry, and has all such entries and contexts forgotten. What the IOTLB holds
/// stays.
fn set_entry(board: &mut Board, entry: [u64; 3]) {
    board.write_words(PASIDS + (PASID & 0x3f) * 64, &entry);
    board.push(&[0x11, 0]);
    board.push(&[0x37, 0]);
    assert!(board.done(), "it does not forget");
}
