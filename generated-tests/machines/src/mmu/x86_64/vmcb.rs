//! The fields of the virtual-machine control block that the stub's guest needs (APM volume 2, appendix *VMCB Layout*), as
//! words of 64 bits at their offsets.
//!
//! Fields that are not written stay zero: nothing is injected, and only what is named here is intercepted.

use super::stub::{CODE_64, DATA};

/// What the guest ended with: EXITCODE, EXITINFO1, EXITINFO2.
pub(super) const EXIT: [i32; 3] = [0x070, 0x078, 0x080];
pub(super) const RIP: i32 = 0x578;
pub(super) const RAX: i32 = 0x5f8;

/// Guest ASID, and what of the TLB is flushed by VMRUN.
pub(super) const ASID: u64 = 0x058;
/// TLB_CONTROL: everything.
pub(super) const FLUSH: u64 = 1 << 32;
/// Bit 0: nested paging.
pub(super) const NESTED_CONTROL: u64 = 0x090;
pub(super) const N_CR3: u64 = 0x0b0;
pub(super) const EFER: u64 = 0x4d0;
pub(super) const CR4: u64 = 0x548;
pub(super) const CR3: u64 = 0x550;
pub(super) const CR0: u64 = 0x558;
pub(super) const RFLAGS: u64 = 0x570;

/// EFER.SVME, which must be 1 in the guest too (APM *Canonicalization and Consistency Checks*).
pub(super) const SVM_ENABLE: u64 = 1 << 12;

/// A selector, the attributes and the limit of a segment.
const fn segment(selector: u16, attributes: u64, limit: u64) -> u64 {
    selector as u64 | attributes << 16 | limit << 32
}

/// What depends on the privilege level: CS, SS, CPL.
pub(super) fn privilege(level: u16) -> [(u64, u64); 3] {
    let dpl = u64::from(level) << 5;
    [
        (0x410, segment(CODE_64 | level, 0xa9b | dpl, 0xffff_ffff)),
        (0x420, segment(DATA | level, 0xc93 | dpl, 0xffff_ffff)),
        (0x4c8, u64::from(level) << 24),
    ]
}

/// Everything else that does not change from probe to probe.
pub(super) const STATE: [(u64, u64); 6] = [
    (0x008, 0xffff_ffff | 1 << (24 + 32) | 1 << (31 + 32)), // every exception, as the guest has no IDT; HLT; shutdown
    (0x010, 0b11),                                          // VMRUN and VMMCALL
    (0x490, segment(0x20, 0x8b, 0x67)),                     // TR
    (0x560, 0x400),                                         // DR7
    (0x568, 0xffff_0ff0),                                   // DR6
    (0x668, 0x0007_0406_0007_0406),                         // the guest's PAT, as after reset
];
