//! The fields of the virtual-machine control structure that the stub's guest needs (SDM volume 3, appendix B).
//!
//! Fields that are not written stay zero: no MSR lists, no event injection, null selectors.

use super::layout::{CODE, HOST_TOP};

/// Secondary processor-based control: EPT.
pub(super) const ENABLE_EPT: u64 = 1 << 1;
/// Secondary processor-based control: mode-based execute control for EPT.
pub(super) const MODE_BASED_EXECUTE: u64 = 1 << 22;

pub(super) const SECONDARY_CONTROLS: u64 = 0x401e;
pub(super) const EPT_POINTER: u64 = 0x201a;
pub(super) const GUEST_CR3: u64 = 0x6802;

/// A control field, the capability MSR that says which of its bits must and may be 1 (SDM appendix A), and the bits
/// wanted.
pub(super) const CONTROLS: [(u64, u32, u64); 4] = [
    (0x4000, 0x481, 0),                                    // pin-based
    (0x4002, 0x482, 1 << 7 | 1 << 23 | 1 << 24 | 1 << 31), // exit on HLT, MOV DR, I/O; secondary controls
    (0x400c, 0x483, 1 << 9),                               // exit: to a 64-bit host
    (0x4012, 0x484, 1 << 9),                               // entry: a 64-bit guest
];
/// Capability MSR of the secondary controls.
pub(super) const SECONDARY_CAPABILITY: u32 = 0x48b;
/// IA32_VMX_EPT_VPID_CAP.
pub(super) const EPT_CAPABILITY: u32 = 0x48c;

/// Of host and guest alike.
pub(super) const CR0: u64 = 1 << 31 | 1 << 5 | 1 << 4 | 1; // PG, NE, ET, PE
/// Of host and guest alike.
pub(super) const CR4: u64 = 1 << 13 | 1 << 5; // VMXE, PAE
const CODE_64: u64 = 0xa09b;
const DATA: u64 = 0xc093;
const BUSY_TSS: u64 = 0x8b;
const UNUSABLE: u64 = 1 << 16;

/// Everything else that does not change from probe to probe.
pub(super) const STATE: [(u64, u64); 34] = [
    (0x4004, 0xffff_ffff), // every exception exits: the guest has no IDT
    (0x2800, u64::MAX),    // VMCS link pointer
    // Guest selectors, limits and access rights.
    (0x0802, 0x18), // CS
    (0x0804, 0x10), // SS
    (0x080e, 0x20), // TR
    (0x4802, 0xffff_ffff),
    (0x4804, 0xffff_ffff),
    (0x480e, 0x67),
    (0x4814, UNUSABLE), // ES
    (0x4816, CODE_64),  // CS
    (0x4818, DATA),     // SS
    (0x481a, UNUSABLE), // DS
    (0x481c, UNUSABLE), // FS
    (0x481e, UNUSABLE), // GS
    (0x4820, UNUSABLE), // LDTR
    (0x4822, BUSY_TSS), // TR
    // Guest registers.
    (0x6800, CR0),
    (0x6804, CR4),
    (0x681a, 0x400), // DR7
    (0x6820, 2),     // RFLAGS
    // Host.
    (0x0c00, 0x10), // ES
    (0x0c02, 0x18), // CS
    (0x0c04, 0x10), // SS
    (0x0c06, 0x10), // DS
    (0x0c0c, 0x20), // TR, which may not be null
    (0x6c00, CR0),
    (0x6c02, HOST_TOP),
    (0x6c04, CR4),
    (0x6c06, 0),    // FS base
    (0x6c08, 0),    // GS base
    (0x6c0a, 0),    // TR base
    (0x6c0c, CODE), // GDTR base; nothing loads a segment after VM entry
    (0x6c0e, 0),    // IDTR base
    (0x4c00, 0),    // SYSENTER_CS
];
