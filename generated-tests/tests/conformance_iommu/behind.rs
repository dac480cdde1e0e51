//! A judge that is a device behind an IOMMU.

use std::ops::Range;

use fastrand::Rng;
use tablewright::{Cause, FaultInfo, Level, Rights};
use tablewright_archdefs::bound::{Geometry, Params};
use tablewright_tests::conformance::{Judge, Live, access, cause, needs};
use tablewright_tests::formats::Configured;
use tablewright_tests::mmu::deviations::Deviation;
use tablewright_tests::mmu::iommu::{Dma, Path};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

/// What an IOMMU's manual says about faults, and what its model supports.
pub(crate) struct Rules {
    /// Whether the device's accesses count as a user's.
    pub(crate) user: bool,
    /// The controls that modify rights, if there are any.
    pub(crate) controls: Option<&'static [u64]>,
    /// How many bits the addresses have that the model can be asked about, where tables are for addresses of so many bits.
    pub(crate) reach: fn(u8) -> u8,
    /// What is called a fault of an input address that is not too wide, or is, where a leaf or nothing is mapped.
    pub(crate) fault: fn(fits: bool, mapped: bool) -> FaultKind,
    /// What it is called where nothing is mapped below tables that do not grant the access, if that is something else.
    pub(crate) denied_above: Option<FaultKind>,
    /// What is called a fault of an illegal entry.
    pub(crate) reserved: fn(&Probe, &Params, Level, raw: u64) -> FaultKind,
    /// What is called a fault where software has to set a state first.
    pub(crate) unmarked: FaultKind,
    /// Whether a store marks a page dirty that was loaded from.
    pub(crate) marks_loaded: bool,
    /// The model's deviations from the manual.
    pub(crate) deviates: fn(&Params, Level, raw: u64) -> Option<&'static Deviation>,
    /// What of an address a report tells.
    pub(crate) address: fn(u64) -> u64,
    /// What of a kind of fault it tells; `None`: it is no report of this translation.
    pub(crate) cause: fn(FaultKind) -> Option<Cause>,
}

impl Rules {
    /// Those of most IOMMUs.
    pub(crate) const COMMON: Self = Self {
        user: false,
        controls: None,
        reach: |_| 64,
        fault: |_, mapped| if mapped { FaultKind::Permission } else { FaultKind::NotMapped },
        denied_above: None,
        reserved: |_, _, _, _| FaultKind::Misconfigured,
        unmarked: FaultKind::AccessFlag,
        marks_loaded: true,
        deviates: |_, _, _| None,
        address: |address| address,
        cause: |kind| Some(cause(kind)),
    };
}

/// A configuration, and the one that it is made from, with other parameters.
pub(crate) type Made = (&'static str, &'static str, &'static [(&'static str, i64)]);

/// A device behind an IOMMU.
pub(crate) struct Behind {
    dma: Dma,
    rules: &'static Rules,
    /// Of the tables that are judged.
    geometry: Option<Geometry>,
}

impl Behind {
    /// Starts the machine.
    pub(crate) fn start(path: &'static Path, rules: &'static Rules) -> Self {
        Self { dma: Dma::start(path).expect("it was found before"), rules, geometry: None }
    }
}

impl Judge for Behind {
    fn prepare(&mut self, case: &Configured) {
        self.geometry = Some(case.bound.geometry);
    }

    fn ram(&self) -> Range<u64> {
        self.dma.ram()
    }

    fn reach(&self) -> u8 {
        self.geometry.map_or(0, |geometry| (self.rules.reach)(geometry.input_bits))
    }

    /// The device has one mode and runs no code.
    fn may_ask(&self, probe: &Probe) -> bool {
        probe.access != Access::Execute && probe.user == self.rules.user
    }

    fn draw(&self, random: &mut Rng) -> (Access, bool) {
        (if random.bool() { Access::Read } else { Access::Write }, self.rules.user)
    }

    /// The device makes every access, whatever its privilege should be.
    fn grants(&self, probe: &Probe, rights: Rights) -> bool {
        rights.contains(needs(&Probe { user: self.rules.user, ..*probe }))
    }

    fn controls(&self) -> Option<Vec<u64>> {
        self.rules.controls.map(<[u64]>::to_vec)
    }

    fn fault(&self, probe: &Probe, mapped: Option<Rights>) -> FaultKind {
        let fits = self.geometry.is_some_and(|geometry| geometry.extend(probe.address) == probe.address);
        (self.rules.fault)(fits, mapped.is_some())
    }

    fn not_mapped(&self, probe: &Probe, tables: Rights) -> FaultKind {
        let denied = self.rules.denied_above.filter(|_| !self.grants(probe, tables));
        denied.unwrap_or_else(|| self.fault(probe, None))
    }

    fn reserved(&self, probe: &Probe, params: &Params, level: Level, raw: u64) -> FaultKind {
        (self.rules.reserved)(probe, params, level, raw)
    }

    fn unmarked(&self) -> FaultKind {
        self.rules.unmarked
    }

    /// Too few entries would be left if those that it gets wrong were drawn.
    fn can_judge(&self, params: &Params, level: Level, raw: u64) -> bool {
        self.deviates(params, level, raw).is_none()
    }

    fn deviates(&self, params: &Params, level: Level, raw: u64) -> Option<&'static Deviation> {
        (self.rules.deviates)(params, level, raw)
    }

    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        let cause = (self.rules.cause)(fault.kind)?;
        Some(FaultInfo {
            address: Some((self.rules.address)(probe.address)),
            access: access(probe),
            cause,
            level: None,
            width: None,
            guest_walk: false,
        })
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        self.dma.clear();
        self.dma.load(tables);
        self.dma.translate(registers);
        self.dma.probe(probes)
    }
}

impl Live for Behind {
    const REMEMBERED: Access = Access::Read;

    fn begin(&mut self, registers: &[(&'static str, u64)], _targets: &Range<u64>) {
        self.dma.clear();
        self.dma.translate(registers);
    }

    fn write(&mut self, chunks: &[Chunk]) {
        self.dma.load(chunks);
    }

    fn read(&mut self, address: u64, length: usize) -> Vec<u8> {
        self.dma.dump(address, length)
    }

    fn command(&mut self, commands: &[Vec<u64>]) {
        commands.iter().for_each(|words| self.dma.board.push(words));
        assert!(self.dma.board.done(), "refused: {commands:x?}");
    }

    fn marks_loaded(&self) -> bool {
        self.rules.marks_loaded
    }

    fn remembered(&mut self, addresses: &[u64]) -> Vec<Verdict> {
        self.dma.remembered(addresses)
    }

    fn ask(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        self.dma.probe(probes)
    }
}
