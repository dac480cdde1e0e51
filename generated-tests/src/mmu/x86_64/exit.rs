//! Reading a verdict from a VM exit, by the manual's encoding.

use super::layout::PAGE;
use super::program::TAG_MARK;
use super::{Batch, Error};
use crate::mmu::{Access, Fault, FaultKind, Probe, Verdict};

/// Fields of the VMCS that the stub gives after a probe, in the order of [`Exit`]; ended by 0, which is none of them.
pub(super) const FIELDS: [u32; 6] = [0x4402, 0x6400, 0x2400, 0x4404, 0x4406, 0];

/// What a probe ended with.
pub(super) struct Exit {
    /// The guest's RAX: a tag, if it got to read one.
    rax: u64,
    /// The VM-instruction error: not 0 if the guest did not run.
    refused: u64,
    reason: u64,
    qualification: u64,
    guest_physical_address: u64,
    interruption_information: u64,
    interruption_error_code: u64,
}

/// Basic exit reasons (SDM appendix *VMX Basic Exit Reasons*).
mod reason {
    pub(super) const EXCEPTION: u64 = 0;
    pub(super) const VMCALL: u64 = 18;
    pub(super) const EPT_VIOLATION: u64 = 48;
    pub(super) const EPT_MISCONFIGURATION: u64 = 49;
}

impl Exit {
    /// How many words it is.
    pub(super) const WORDS: usize = 7;

    /// An exit from the words that the stub gave for it.
    pub(super) fn new(words: &[u64; Self::WORDS]) -> Self {
        let &[
            rax,
            refused,
            reason,
            qualification,
            guest_physical_address,
            interruption_information,
            interruption_error_code,
        ] = words;
        Self {
            rax,
            refused,
            reason,
            qualification,
            guest_physical_address,
            interruption_information,
            interruption_error_code,
        }
    }

    /// What it says about a probe of the batch.
    pub(super) fn verdict(&self, batch: &Batch<'_>, probe: &Probe) -> Result<Verdict, Error> {
        if self.refused != 0 {
            return Err(Error::EntryRefused { eptp: batch.eptp, error: self.refused });
        }
        match self.reason {
            reason::VMCALL => Ok(self.translated(probe)),
            reason::EXCEPTION if self.is_reserved_bit_page_fault() => Ok(self.fault(FaultKind::AddressSize)),
            // A fetch ends in the breakpoint of a tag; where there is none, in what exception the bytes there cause.
            reason::EXCEPTION if probe.access == Access::Execute => Ok(self.translated(probe)),
            reason::EPT_VIOLATION if self.is_for_the_access() => Ok(self.fault(match self.granted(batch) {
                0 => FaultKind::NotMapped,
                _ => FaultKind::Permission,
            })),
            reason::EPT_MISCONFIGURATION => Ok(self.fault(FaultKind::Misconfigured)),
            reason => Err(Error::StrangeExit { probe: *probe, reason, qualification: self.qualification }),
        }
    }

    fn translated(&self, probe: &Probe) -> Verdict {
        let tagged = self.rax >> 48 == TAG_MARK >> 48;
        Verdict::Translated(tagged.then_some((self.rax ^ TAG_MARK) + probe.address % PAGE))
    }

    fn fault(&self, kind: FaultKind) -> Verdict {
        let mut report = vec![("exit_reason", self.reason)];
        match self.reason {
            reason::EXCEPTION => report.extend([
                ("exit_interruption_information", self.interruption_information),
                ("exit_interruption_error_code", self.interruption_error_code),
            ]),
            // A misconfiguration leaves the qualification undefined.
            reason::EPT_MISCONFIGURATION => report.push(("guest_physical_address", self.guest_physical_address)),
            _ => report.extend([
                ("qualification", self.qualification),
                ("guest_physical_address", self.guest_physical_address),
            ]),
        }
        Verdict::Fault(Fault { kind, level: None, report })
    }

    /// Whether the guest's page walk met an address of too many bits: exception 14, RSVD in its error code.
    fn is_reserved_bit_page_fault(&self) -> bool {
        self.interruption_information & 0xff == 14 && self.interruption_error_code & 1 << 3 != 0
    }

    /// Whether an EPT violation was for the access itself, not for a step of the guest's page walk (SDM table *Exit
    /// Qualification for EPT Violations*, bits 7 and 8).
    fn is_for_the_access(&self) -> bool {
        self.qualification >> 7 & 0b11 == 0b11
    }

    /// The rights at the address of an EPT violation: read, write, execute (bits 5:3 of the same table); and with
    /// mode-based control, user-mode execute (bit 6, otherwise undefined).
    fn granted(&self, batch: &Batch<'_>) -> u64 {
        self.qualification >> 3 & if batch.mode_based_execute { 0b1111 } else { 0b111 }
    }
}
