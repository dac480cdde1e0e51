//! The fields of the virtual-machine control structure that the stub's guest needs (SDM volume 3, appendix B).
//!
//! Fields that are not written stay zero, as their region is: no MSR lists, no event injection, null selectors.

use super::layout::HOST_TOP;
use super::stub::{CODE_64, DATA};

/// Secondary processor-based control: EPT.
pub(super) const ENABLE_EPT: u64 = 1 << 1;
/// Secondary processor-based control: mode-based execute control for EPT.
pub(super) const MODE_BASED_EXECUTE: u64 = 1 << 22;

/// Fields that differ from batch to batch.
pub(super) const SECONDARY_CONTROLS: u64 = 0x401e;
pub(super) const EPT_POINTER: u64 = 0x201a;
pub(super) const GUEST_CR0: u64 = 0x6800;
pub(super) const GUEST_CR3: u64 = 0x6802;
pub(super) const GUEST_CR4: u64 = 0x6804;
pub(super) const GUEST_RFLAGS: u64 = 0x6820;
pub(super) const GUEST_EFER: u64 = 0x2806;

/// A control field, the capability MSR that says which of its bits must and may be 1 (SDM appendix A), and the bits
/// wanted.
pub(super) const CONTROLS: [(u64, u32, u64); 4] = [
    (0x4000, 0x481, 0),                                    // pin-based
    (0x4002, 0x482, 1 << 7 | 1 << 23 | 1 << 24 | 1 << 31), // exit on HLT, MOV DR, I/O; secondary controls
    (0x400c, 0x483, 1 << 9 | 1 << 21),                     // exit: to a 64-bit host, with its own EFER
    (0x4012, 0x484, 1 << 9 | 1 << 15),                     // entry: a 64-bit guest, with an EFER of its own
];
/// Capability MSR of the secondary controls.
pub(super) const SECONDARY_CAPABILITY: u32 = 0x48b;
/// IA32_VMX_EPT_VPID_CAP.
pub(super) const EPT_CAPABILITY: u32 = 0x48c;

/// CR0 of host and guest: PG, NE, ET, PE.
pub(super) const CR0: u64 = 1 << 31 | 1 << 5 | 1 << 4 | 1;
/// CR4 of host and guest: VMXE, PAE.
pub(super) const CR4: u64 = VMX_ENABLE | 1 << 5;
/// CR4.VMXE, which must be 1 in the guest too.
pub(super) const VMX_ENABLE: u64 = 1 << 13;
/// EFER of host and guest: LMA, LME.
pub(super) const EFER: u64 = 1 << 10 | 1 << 8;

/// Task registers must be usable, though no task is ever switched; there is no such descriptor.
const TSS: u64 = 0x20;

// Access rights of segments (SDM *Guest Register State*).
const CODE_SEGMENT: u64 = 0xa09b;
const DATA_SEGMENT: u64 = 0xc093;
const BUSY_TSS: u64 = 0x8b;
const UNUSABLE: u64 = 1 << 16;

/// What depends on the privilege level: selectors and access rights of CS and SS.
pub(super) fn privilege(level: u16) -> [(u64, u64); 4] {
    let dpl = u64::from(level) << 5;
    [
        (0x0802, (CODE_64 | level).into()),
        (0x0804, (DATA | level).into()),
        (0x4816, CODE_SEGMENT | dpl),
        (0x4818, DATA_SEGMENT | dpl),
    ]
}

/// Everything else that does not change from probe to probe.
pub(super) const STATE: [(u64, u64); 22] = [
    (0x4004, 0xffff_ffff), // every exception exits: the guest has no IDT
    (0x2800, u64::MAX),    // VMCS link pointer
    // Guest: selectors, limits and access rights.
    (0x080e, TSS),         // TR
    (0x4802, 0xffff_ffff), // CS
    (0x4804, 0xffff_ffff), // SS
    (0x480e, 0x67),        // TR
    (0x4814, UNUSABLE),    // ES
    (0x481a, UNUSABLE),    // DS
    (0x481c, UNUSABLE),    // FS
    (0x481e, UNUSABLE),    // GS
    (0x4820, UNUSABLE),    // LDTR
    (0x4822, BUSY_TSS),    // TR
    // Guest: registers.
    (0x681a, 0x400), // DR7
    // Host.
    (0x0c00, DATA as u64),    // ES
    (0x0c02, CODE_64 as u64), // CS
    (0x0c04, DATA as u64),    // SS
    (0x0c06, DATA as u64),    // DS
    (0x0c0c, TSS),            // TR
    (0x2c02, EFER),
    (0x6c00, CR0),
    (0x6c02, HOST_TOP), // CR3
    (0x6c04, CR4),
];
