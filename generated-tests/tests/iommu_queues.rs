//! The commands of IOMMU formats, executed by QEMU's IOMMUs: all are accepted, a completion writes the right data to
//! the right address, and an invalid command is refused. The formats' parameters come from the models' own capability
//! registers.

use tablewright::aarch64::smmu_v3_4k;
use tablewright::riscv64::{riscv_iommu, riscv_iommu_first_stage};
use tablewright::x86_64::{amd_iommu_v1, vtd_first_stage, vtd_second_stage};
use tablewright::{ClosedRange, Format, HostPhysAddr, Invalidation, Signal, Tag};
use tablewright_tests::mmu::iommu::Board;
use tablewright_tests::mmu::iommu::amd::{AMD, EXTENDED_FEATURE};
use tablewright_tests::mmu::iommu::riscv::{CAPABILITIES, RISCV};
use tablewright_tests::mmu::iommu::smmu_v3::{REGISTERS, SMMU_V3};
use tablewright_tests::mmu::iommu::vtd::{self, VTD};

/// Where in its own RAM an IOMMU is told to write that it is done.
const RECORD: u64 = 0xf_0000;

/// What a format may have to invalidate.
fn sets() -> Vec<Invalidation> {
    let mut sets = vec![Invalidation::Space, Invalidation::All];
    for (granule, leaf_only) in [(12, true), (12, false), (21, true), (21, false)] {
        let range = ClosedRange::new(0x4000_0000, 0x4000_0000 + (2 << granule) - 1).expect("it is not empty");
        sets.push(Invalidation::Range { range, leaf_only, granule });
    }
    sets
}

/// Every command is taken; each completion tells.
fn takes_all<F: Format>(board: &mut Board, format: &F) {
    let record = board.model.own + RECORD;
    for set in sets() {
        for tag in [1, 5, 0xff] {
            assert!(format.commands(Tag(tag), &set, |words| board.push(words)), "no command for {set:x?}");
            assert!(board.done(), "refused: {set:x?}");
        }
    }
    for (number, address) in [(1, record), (0xffff_fff0, record + 8)] {
        let write = Signal::Write { address: HostPhysAddr::from_usize(address as usize), data: number };
        board.write(address, 0);
        // Not each model can write.
        if format.completion(write, |words| board.push(words)).is_ok() {
            assert!(board.done(), "refused: {write:x?}");
            assert_eq!(board.read(address), number, "{write:x?}");
        } else {
            format.completion(Signal::Consumed, |words| board.push(words)).expect("one of both there is");
            assert!(board.done(), "refused: {number}");
        }
    }
    format.completion(Signal::Interrupt, |words| board.push(words)).expect("each has an interrupt");
    assert!(board.done(), "refused: an interrupt");
    assert!(board.model.interrupts.is_none_or(|interrupts| interrupts(board)), "no interrupt");
}

/// What is no command is refused, and what is no request to write writes nothing, or the rest proves nothing.
fn refuses_what_is_wrong(board: &mut Board) {
    match board.model.wrong {
        Some(wrong) => {
            board.push(&wrong);
            assert!(!board.done(), "the negative control was taken");
        }
        None => {
            let record = board.model.own + RECORD;
            board.write(record, 0);
            // COMPLETION_WAIT without S.
            board.push(&[1 << 60 | record, 7]);
            assert!(board.done());
            assert_eq!(board.read(record), 0, "the negative control wrote");
        }
    }
}

#[test]
fn riscv_iommu_executes() {
    let Some(mut board) = Board::start(&RISCV) else { return };
    let capabilities = board.machine.read(CAPABILITIES, 8);
    let of_machine = riscv_iommu::Capabilities { capabilities };
    let config = riscv_iommu::Config::from_capabilities(&of_machine, 3, 41);
    takes_all(&mut board, &riscv_iommu::Format::new(&config).unwrap());
    let of_machine = riscv_iommu_first_stage::Capabilities { capabilities };
    let config = riscv_iommu_first_stage::Config::from_capabilities(&of_machine, 3, 39);
    for globals in [false, true] {
        let config = riscv_iommu_first_stage::Config { globals, ..config };
        takes_all(&mut board, &riscv_iommu_first_stage::Format::new(&config).unwrap());
    }
    refuses_what_is_wrong(&mut board);
}

#[test]
fn smmu_v3_executes() {
    let Some(mut board) = Board::start(&SMMU_V3) else { return };
    let mut register = |offset| board.machine.read(REGISTERS + offset, 4);
    let (smmu_idr0, smmu_idr3, smmu_idr5) = (register(0), register(0xc), register(0x14));
    let of_machine = smmu_v3_4k::Capabilities { smmu_idr0, smmu_idr3, smmu_idr5 };
    let config = smmu_v3_4k::Config::from_capabilities(&of_machine, 3, 39);
    takes_all(&mut board, &smmu_v3_4k::Format::new(&config).unwrap());
    refuses_what_is_wrong(&mut board);
}

#[test]
fn amd_iommu_executes() {
    let Some(mut board) = Board::start(&AMD) else { return };
    let extended_feature = board.machine.read(EXTENDED_FEATURE, 8);
    let of_machine = amd_iommu_v1::Capabilities { extended_feature, capability_header: 0 };
    let config = amd_iommu_v1::Config::from_capabilities(&of_machine, 4, 48);
    takes_all(&mut board, &amd_iommu_v1::Format::new(&config).unwrap());
    refuses_what_is_wrong(&mut board);
}

#[test]
fn vtd_executes() {
    let Some(mut board) = Board::start(&VTD) else { return };
    let (cap, ecap) = (board.machine.read(vtd::CAPABILITIES, 8), board.machine.read(vtd::EXTENDED_CAPABILITIES, 8));
    let config = vtd_second_stage::Config::from_capabilities(&vtd_second_stage::Capabilities { cap, ecap }, 4, 48);
    takes_all(&mut board, &vtd_second_stage::Format::new(&config).unwrap());
    let config = vtd_first_stage::Config::from_capabilities(&vtd_first_stage::Capabilities { cap, ecap }, 4, 48);
    for pasid in [0, 0xf_ffff] {
        let config = vtd_first_stage::Config { pasid, ..config };
        takes_all(&mut board, &vtd_first_stage::Format::new(&config).unwrap());
    }
    refuses_what_is_wrong(&mut board);
}
