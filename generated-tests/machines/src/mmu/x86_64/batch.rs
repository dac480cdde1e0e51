//! How a batch becomes a program for the stub, and what the stub gives becomes verdicts.

use std::ops::Range;

use super::{
    Batch, Error, Machine, Nested, Outcome, Paging,
    exit::Exit,
    layout::{self, PAGE},
    program::{self, Entry, Program},
    question::{LONG_MODE, LONG_MODE_ACTIVE, PAE},
    stub, vmcb, vmcs,
};
use crate::mmu::{Access, Probe};

impl Machine {
    /// What is done once in a run.
    pub(super) fn setup(&self) -> Program {
        let mut program = Program::default();
        program.tag(Self::RAM.start, Self::RAM.end);
        match &self.vmx {
            Some(vmx) => vmx.controls.iter().chain(&vmcs::STATE).for_each(|&field| program.set_guest(field)),
            None => vmcb::STATE.into_iter().for_each(|field| program.set_guest(field)),
        }
        program
    }

    /// What is done for a batch. It leaves memory as it was.
    pub(super) fn program(&self, batch: &Batch<'_>) -> Result<Program, Error> {
        let mut program = Program::default();
        for field in self.guest_state(batch.guest).into_iter().chain(self.nested_state(batch.nested)?) {
            program.set_guest(field);
        }
        for (address, bytes) in batch.image {
            self.check_ram(*address, bytes.len() as u64)?;
            let pages = pages(*address, bytes);
            program.zero(pages.start, pages.end);
        }
        for (address, bytes) in batch.image {
            program.load(*address, bytes);
        }
        self.ask(batch, &mut program)?;
        for words in batch.peek.chunk_by(|word, next| word + 8 == *next) {
            self.check_ram(words[0], words.len() as u64 * 8)?;
            program.peek(words[0], words.len() as u64);
        }
        for (address, bytes) in batch.image {
            let pages = pages(*address, bytes);
            program.zero(pages.start, pages.end);
            program.tag(pages.start, pages.end);
        }
        Ok(program)
    }

    /// The guest's control registers but CR3, which follows the overlay where its own tables are not under test.
    fn guest_state(&self, guest: Option<Paging>) -> [(u64, u64); 4] {
        let plain = Paging { cr0: vmcs::CR0, cr3: 0, cr4: PAE, efer: LONG_MODE, rflags: 0, root: 0 };
        let Paging { cr0, cr4, efer, rflags, .. } = guest.unwrap_or(plain);
        let (cr0, cr4, efer, rflags) = (cr0 | vmcs::CR0, cr4 | PAE, efer | LONG_MODE | LONG_MODE_ACTIVE, rflags | 2);
        if self.vmx.is_some() {
            [
                (vmcs::GUEST_CR0, cr0),
                (vmcs::GUEST_CR4, cr4 | vmcs::VMX_ENABLE),
                (vmcs::GUEST_EFER, efer),
                (vmcs::GUEST_RFLAGS, rflags),
            ]
        } else {
            [(vmcb::CR0, cr0), (vmcb::CR4, cr4), (vmcb::EFER, efer | vmcb::SVM_ENABLE), (vmcb::RFLAGS, rflags)]
        }
    }

    /// The controls of nested tables.
    fn nested_state(&self, nested: Nested) -> Result<Vec<(u64, u64)>, Error> {
        if let Some(root) = nested.root() {
            self.check_ram(root, PAGE)?;
        }
        Ok(match (nested, &self.vmx) {
            (Nested::Off, Some(_)) => vec![(vmcs::SECONDARY_CONTROLS, 0)],
            (Nested::Off, None) => vec![(vmcb::NESTED_CONTROL, 0), (vmcb::ASID, 1 | vmcb::FLUSH)],
            (Nested::Ept { eptp, mode_based_execute }, Some(_)) => {
                let mut controls = vmcs::ENABLE_EPT;
                if mode_based_execute {
                    self.require(vmcs::MODE_BASED_EXECUTE, "mode-based execute control")?;
                    controls |= vmcs::MODE_BASED_EXECUTE;
                }
                vec![(vmcs::SECONDARY_CONTROLS, controls), (vmcs::EPT_POINTER, eptp)]
            }
            (Nested::Npt { nested_control, n_cr3, guest_asid }, None) => vec![
                (vmcb::NESTED_CONTROL, nested_control),
                (vmcb::N_CR3, n_cr3),
                (vmcb::ASID, guest_asid | vmcb::FLUSH),
            ],
            (Nested::Ept { .. }, None) => return Err(self.lacks("EPT")),
            (Nested::Npt { .. }, Some(_)) => return Err(self.lacks("nested tables of AMD's")),
        })
    }

    /// The probes of a batch.
    fn ask(&self, batch: &Batch<'_>, program: &mut Program) -> Result<(), Error> {
        let extension = self.pc.extension;
        let cr3 = if self.vmx.is_some() { vmcs::GUEST_CR3 } else { vmcb::CR3 };
        let mut now = None;
        for probe in batch.probes {
            if batch.guest.is_none() && probe.address >> 52 != 0 {
                return Err(Error::NoSuchAddress { address: probe.address });
            }
            // The guest's own tables are in entry 0 if they are under test, and so is what they map.
            let nested_address = if batch.guest.is_some() { 0 } else { probe.address };
            let nested_slot = batch.nested.root().map(|_| extension.nested_slot(nested_address));
            let window = || (0, layout::CODE);
            let own = |guest: Paging| layout::guest_slot(probe.address, guest.five_level(), probe.user);
            let (guest_slot, code) = batch.guest.map_or_else(window, own);
            let user = batch.guest.is_some() && probe.user;
            if now != Some((nested_slot, guest_slot, user)) {
                now = Some((nested_slot, guest_slot, user));
                let (guest_entry, guest_overlay, top) = match batch.guest {
                    None => (layout::NOWHERE, 0, extension.guest_top(nested_slot)),
                    Some(guest) => {
                        self.check_ram(guest.root, PAGE)?;
                        let overlay = extension.guest_overlay(nested_slot, guest.five_level());
                        (guest.root + guest_slot * 8, overlay, guest.cr3)
                    }
                };
                let nested_entry = batch.nested.root().zip(nested_slot).map(|(root, slot)| root + slot * 8);
                program.lend(0, guest_entry, guest_overlay);
                program.lend(1, nested_entry.unwrap_or(layout::NOWHERE), extension.nested_overlay());
                program.set_guest((cr3, top));
                self.privilege(user).into_iter().for_each(|field| program.set_guest(field));
            }
            entries(batch, probe, code).into_iter().for_each(|entry| program.enter(entry));
        }
        Ok(())
    }

    fn privilege(&self, user: bool) -> Vec<(u64, u64)> {
        let level = if user { 3 } else { 0 };
        if self.vmx.is_some() { vmcs::privilege(level).into() } else { vmcb::privilege(level).into() }
    }

    /// How many words the stub gives for a batch.
    pub(super) fn results(&self, batch: &Batch<'_>) -> usize {
        let entries: usize = batch.probes.iter().map(entries_of).sum();
        entries * Exit::words(self.pc.extension) + batch.peek.len()
    }

    /// What these words mean.
    pub(super) fn outcome(&self, batch: &Batch<'_>, words: &[u64]) -> Result<Outcome, Error> {
        let (exits, words) = words.split_at(words.len() - batch.peek.len());
        let mut exits = exits.chunks(Exit::words(self.pc.extension)).filter_map(|words| Exit::new(words, batch));
        let mut verdicts = Vec::with_capacity(batch.probes.len());
        for probe in batch.probes {
            let Some(first) = exits.next() else { break };
            let second = (entries_of(probe) == 2).then(|| exits.next()).flatten();
            verdicts.push(first.verdict(batch, probe, second.as_ref())?);
        }
        Ok(Outcome { verdicts, words: words.to_vec() })
    }
}

/// How often the guest is entered for a probe: it fetches what is at the address, and then the tag of that page.
fn entries_of(probe: &Probe) -> usize {
    if probe.access == Access::Execute { 2 } else { 1 }
}

/// The entries for a probe, by a guest whose code is at this linear address.
fn entries(batch: &Batch<'_>, probe: &Probe, code: u64) -> Vec<Entry> {
    let offset = probe.address % PAGE;
    let page = probe.address - offset;
    let (linear, window) = match batch.guest {
        Some(_) => (page, 0),
        None => (layout::WINDOW, layout::window_entry(page, probe.user)),
    };
    let address = linear + offset;
    let tag = linear + if offset < PAGE / 2 { program::SECOND_TAG } else { 0 };
    let enter = |rip| Entry { address, tag, rip, window };
    match probe.access {
        Access::Read => vec![enter(code + stub::GUEST_LOAD)],
        Access::Write => vec![enter(code + stub::GUEST_STORE)],
        Access::Execute => vec![enter(address), enter(tag)],
    }
}

/// The whole pages that bytes lie in.
fn pages(address: u64, bytes: &[u8]) -> Range<u64> {
    address / PAGE * PAGE..(address + bytes.len() as u64).next_multiple_of(PAGE)
}
