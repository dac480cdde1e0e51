//! Reading a verdict from how the guest came back, by the manuals' encodings.

use super::layout::{Extension, PAGE};
use super::program::TAG_MARK;
use super::{Batch, Error, Nested, vmcb};
use crate::mmu::{Access, Fault, FaultKind, Probe, Verdict};

/// Fields of the VMCS that the stub gives after a probe, in the order in which [`Exit::vmx`] takes them.
pub(super) const VMX_FIELDS: [i32; 5] = [0x4402, 0x6400, 0x2400, 0x4404, 0x4406];

/// What a guest ended with.
pub(super) struct Exit {
    /// The guest's RAX: a tag, if it got to read one.
    rax: u64,
    end: End,
    /// The raw report of a fault.
    report: Vec<(&'static str, u64)>,
}

enum End {
    /// The guest did what it was to do.
    Call,
    Exception {
        vector: u64,
        error_code: u64,
        /// CR2, of a page fault.
        address: u64,
    },
    /// A fault in the nested tables.
    Nested {
        kind: FaultKind,
        /// Whether on the walk of the guest's own tables.
        guest_walk: bool,
    },
    /// The processor did not enter the guest.
    Refused(u64),
    Other,
}

/// Basic exit reasons (SDM appendix *VMX Basic Exit Reasons*).
mod reason {
    pub(super) const EXCEPTION: u64 = 0;
    pub(super) const VMCALL: u64 = 18;
    pub(super) const EPT_VIOLATION: u64 = 48;
    pub(super) const EPT_MISCONFIGURATION: u64 = 49;
}

/// Exit codes (APM volume 2, appendix *SVM Intercept Exit Codes*).
mod code {
    pub(super) const FIRST_EXCEPTION: u64 = 0x40;
    pub(super) const LAST_EXCEPTION: u64 = 0x5f;
    pub(super) const VMMCALL: u64 = 0x81;
    pub(super) const NESTED_PAGE_FAULT: u64 = 0x400;
    pub(super) const INVALID: u64 = u64::MAX;
}

/// Exceptions.
const GENERAL_PROTECTION: u64 = 13;
const PAGE_FAULT: u64 = 14;
const STACK_FAULT: u64 = 12;

impl Exit {
    /// How many words it is.
    pub(super) fn words(extension: Extension) -> usize {
        match extension {
            Extension::Vmx => 2 + VMX_FIELDS.len(),
            Extension::Svm { .. } => 1 + vmcb::EXIT.len(),
        }
    }

    /// An exit from the words that the stub gave for it; `None` if there are too few.
    pub(super) fn new(words: &[u64], batch: &Batch<'_>) -> Option<Self> {
        match *words {
            [rax, refused, reason, qualification, address, information, error_code] => {
                let mode_based = matches!(batch.nested, Nested::Ept { mode_based_execute: true, .. });
                Some(Self::vmx(
                    rax,
                    refused,
                    [reason, qualification, address, information, error_code],
                    if mode_based { 0b1111 } else { 0b111 },
                ))
            }
            [rax, code, information_1, information_2] => Some(Self::svm(rax, code, information_1, information_2)),
            _ => None,
        }
    }

    /// `rights`: which bits of the qualification tell the rights of an entry, from bit 3 on (SDM table *Exit
    /// Qualification for EPT Violations*; bit 6 is undefined without mode-based control).
    fn vmx(rax: u64, refused: u64, fields: [u64; 5], rights: u64) -> Self {
        let [reason, qualification, guest_physical_address, information, error_code] = fields;
        let mut report = vec![("exit_reason", reason)];
        let end = match reason {
            _ if refused != 0 => End::Refused(refused),
            reason::VMCALL => End::Call,
            reason::EXCEPTION => {
                let vector = information & 0xff;
                report = exception(vector, error_code, qualification);
                End::Exception { vector, error_code, address: qualification }
            }
            reason::EPT_VIOLATION => {
                report.extend([("qualification", qualification), ("guest_physical_address", guest_physical_address)]);
                let nothing = qualification >> 3 & rights == 0;
                let kind = if nothing { FaultKind::NotMapped } else { FaultKind::Permission };
                End::Nested { kind, guest_walk: qualification >> 7 & 0b11 == 0b01 }
            }
            // A misconfiguration leaves the qualification undefined.
            reason::EPT_MISCONFIGURATION => {
                report.push(("guest_physical_address", guest_physical_address));
                End::Nested { kind: FaultKind::Misconfigured, guest_walk: false }
            }
            _ => End::Other,
        };
        Self { rax, end, report }
    }

    fn svm(rax: u64, code: u64, information_1: u64, information_2: u64) -> Self {
        let mut report = vec![("exit_code", code), ("exit_info_1", information_1), ("exit_info_2", information_2)];
        let end = match code {
            code::INVALID => End::Refused(code),
            code::VMMCALL => End::Call,
            code::FIRST_EXCEPTION..=code::LAST_EXCEPTION => {
                let vector = code - code::FIRST_EXCEPTION;
                report = exception(vector, information_1, information_2);
                End::Exception { vector, error_code: information_1, address: information_2 }
            }
            // EXITINFO1 has the error code, and in bit 33 whether it was on the walk of the guest's tables (APM *Nested
            // versus Guest Page Faults, Fault Ordering*).
            code::NESTED_PAGE_FAULT => {
                End::Nested { kind: kind_of(information_1), guest_walk: information_1 >> 33 & 1 == 1 }
            }
            _ => End::Other,
        };
        Self { rax, end, report }
    }

    /// What it says about a probe of the batch. A fetch is seen to have been made by what came of a second entry, which
    /// runs the tag.
    pub(super) fn verdict(self, batch: &Batch<'_>, probe: &Probe, second: Option<&Self>) -> Result<Verdict, Error> {
        let fault = |kind| Ok(Verdict::Fault(Fault { kind, level: None, report: self.report.clone() }));
        match self.end {
            End::Refused(error) => Err(Error::EntryRefused { nested: batch.nested, error }),
            End::Call => Ok(translated(self.rax, probe)),
            End::Nested { kind, guest_walk } if batch.guest.is_some() || !guest_walk => fault(kind),
            End::Exception { vector, error_code, address } => match (vector, batch.guest) {
                // The guest's own walk met an address of too many bits.
                (PAGE_FAULT, None) if error_code & RESERVED != 0 => fault(FaultKind::AddressSize),
                (PAGE_FAULT, Some(_)) if address == probe.address => fault(kind_of(error_code)),
                // A fetch ends in the breakpoint of a tag; where there is none, in what exception the bytes there cause.
                _ if probe.access == Access::Execute => {
                    Ok(translated(second.map_or(self.rax, |second| second.rax), probe))
                }
                (GENERAL_PROTECTION | STACK_FAULT, Some(_)) => fault(FaultKind::AddressSize),
                _ => Err(self.strange(probe)),
            },
            _ => Err(self.strange(probe)),
        }
    }

    fn strange(&self, probe: &Probe) -> Error {
        Error::StrangeExit { probe: *probe, report: self.report.clone() }
    }
}

/// Bits of the error code of a page fault (SDM and APM *Page-Fault Error Code*).
const PRESENT: u64 = 1 << 0;
const RESERVED: u64 = 1 << 3;

fn kind_of(error_code: u64) -> FaultKind {
    if error_code & RESERVED != 0 {
        FaultKind::Misconfigured
    } else if error_code & PRESENT == 0 {
        FaultKind::NotMapped
    } else {
        FaultKind::Permission
    }
}

/// Of a page fault, what is in its registers; of another exception, which it was.
fn exception(vector: u64, error_code: u64, address: u64) -> Vec<(&'static str, u64)> {
    match vector {
        PAGE_FAULT => vec![("error_code", error_code), ("cr2", address)],
        _ => vec![("vector", vector)],
    }
}

fn translated(rax: u64, probe: &Probe) -> Verdict {
    let tagged = rax >> 48 == TAG_MARK >> 48;
    Verdict::Translated(tagged.then_some((rax ^ TAG_MARK) + probe.address % PAGE))
}
