//! Entries that software would not write: random bits, and legal entries of which some bits are wrong.
//!
//! One table at a time is filled with them. The MMU must do what the library says they mean: a leaf translates to its
//! address with its rights, whatever the bits that hardware ignores; an entry that is illegal or not present faults,
//! with the right cause at the right level.

use std::env;

use fastrand::Rng;
use libtest_mimic::Failed;
use tablewright::{
    Attributes, ByName, Entry, EntryWord, Format, HostPhysAddr, Level, Options, Rights, Tag, WalkError, WalkStep,
    Walked, walk,
};
use tablewright_archdefs::builtin;
use tablewright_archdefs::interpret::Walk;

use super::image::Image;
use super::probes::needs;
use super::{Ground, Judge, Setup, TABLES};
use crate::laws::Subject;
use crate::mmu::{Access, Fault, FaultKind, Probe, Verdict};
use crate::verdicts::{self, Outcome, Recorded, Tables, Words};

/// The number of entries that are judged at each level.
const ENTRIES: u64 = 500;

/// The number of verdicts that are recorded for each level.
const RECORDED: usize = 20;

/// The most tables over which they may be spread.
const TABLES_EACH: u64 = 16;

/// The seed of the random numbers.
const SEED: u64 = 0x5eed;

/// The expected result of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It goes to this address.
    Reaches(u64),
    /// It faults like this, at this level.
    Faults(FaultKind, Level),
}

/// A probe of an entry, and the expected result by the library's reading of the entry.
struct Question {
    probe: Probe,
    raw: u64,
    /// Everything that the walk reads.
    words: Words,
    expected: Expected,
    readable: bool,
}

/// Fills a table at each level, and asks about its entries. With `BLESS=1`, some of the judge's verdicts are recorded.
pub(super) fn conforms<F: ByName>(setup: &Setup<F>, judge: &mut impl Judge, test: &str) -> Result<usize, Failed> {
    let ram = judge.ram();
    let ground = Ground::judged(setup, ram.start + TABLES..ram.end, judge);
    let mut random = Rng::with_seed(SEED);
    let mut judged = 0;
    let mut recorded = Vec::new();
    for level in 0..ground.geometry.levels {
        // The slots of a table that addresses which can be probed reach.
        let room = u32::from(ground.reach.saturating_sub(ground.geometry.entry_bits(level)));
        let slots = (ground.geometry.entries(level) as u64).min(1 << room);
        let tables = (ENTRIES / slots).clamp(1, TABLES_EACH);
        let mut here = 0;
        for _ in 0..tables {
            let mut said = one_table(setup, judge, &ground, (level, slots), &mut random)?;
            here += said.accesses.len();
            let all = said.accesses.len() * tables as usize;
            said.accesses = said.accesses.into_iter().step_by(all.div_ceil(RECORDED).max(1)).collect();
            recorded.push(said);
        }
        if (here as u64) < slots.min(ENTRIES) * tables / 2 {
            return Err(format!("only {here} probes were judged at level {level}").into());
        }
        judged += here;
    }
    let (format, config) = (&setup.case.format, &setup.case.config.id.value);
    // Only for configurations that a built-in file names: others are derived from these, and verdicts on other files
    // are not used.
    let named = format.configs.iter().any(|known| known.id.value == *config);
    if named && builtin(&format.name.value).is_some() && env::var_os("BLESS").is_some() {
        let test = judge.name().map_or_else(|| test.to_owned(), |name| format!("{name}.{test}"));
        verdicts::write(&format.name.value, config, &test, &recorded)?;
    }
    Ok(judged)
}

fn one_table<F: ByName>(
    setup: &Setup<F>,
    judge: &mut impl Judge,
    ground: &Ground,
    (level, slots): (Level, u64),
    random: &mut Rng,
) -> Result<Tables, Failed> {
    let ram = judge.ram();
    let format = &setup.generated.format;
    let mut image = Image::new(&setup.generated, ram.start);
    let (root, table) = image.path_to(level);
    let below = (level > 0).then(|| image.tree(level - 1, ground, random));
    let writer = Writer { setup, ground, level, below };
    let mut entries = Vec::new();
    for index in spread(slots) {
        let mut drawn = (0..100).map(|_| writer.entry(random));
        if let Some(raw) = drawn.find(|&raw| judge.can_judge(&setup.case.params, level, raw)) {
            image.set(table + (index << F::Word::SIZE), raw);
            entries.push((index, raw));
        }
    }
    let mut questions = Vec::new();
    for (index, raw) in entries.into_iter().flat_map(|entry| [entry; 2]) {
        let address = index << ground.geometry.entry_bits(level) | offset(setup, ground, level, raw, random);
        let address = ground.geometry.extend(address);
        let (access, user) = judge.draw(random);
        let probe = Probe { address, access, user };
        if !judge.may_ask(&probe) {
            continue;
        }
        questions.extend(question(setup, judge, &image, ground, root, probe, raw)?);
    }

    let registers = format.registers(HostPhysAddr::from_usize(root as usize), Tag(1))?;
    let probes: Vec<Probe> = questions.iter().map(|question| question.probe).collect();
    let verdicts = judge.judge(&image.chunks(), &F::register_values(&registers).collect::<Vec<_>>(), &probes);
    let mut complaints = Vec::new();
    for (question, verdict) in questions.iter().zip(&verdicts) {
        let wrong = question.complaint(setup, judge, verdict);
        if let Some(wrong) = wrong {
            let Question { probe, raw, expected, .. } = question;
            complaints.push(format!(
                "{wrong}: entry {raw:#018x} at level {level}, which is {:x?}\n{probe:x?}: expected {expected:x?}, \
                 the MMU says {verdict:x?}",
                format.decode(level, *raw)
            ));
        }
    }
    if verdicts.len() != probes.len() {
        return Err(format!("{} of {} probes were judged at level {level}", verdicts.len(), probes.len()).into());
    }
    match complaints.as_slice() {
        [] => {
            let said = questions.into_iter().zip(&verdicts);
            let accesses = said.map(|(question, verdict)| question.record(setup, judge, verdict)).collect();
            Ok(Tables { root, controls: judge.controls(), accesses })
        }
        [first, ..] => {
            Err(format!("{} complaints with the seed {SEED:#x}, the first: {first}", complaints.len()).into())
        }
    }
}

/// At most [`ENTRIES`] of the slots of a table, from its first to its last.
fn spread(slots: u64) -> impl Iterator<Item = u64> {
    let count = slots.min(ENTRIES);
    (0..count).map(move |i| if count == 1 { 0 } else { i * (slots - 1) / (count - 1) })
}

/// Makes the entries of one table.
struct Writer<'a, F: ByName> {
    setup: &'a Setup<F>,
    ground: &'a Ground,
    level: Level,
    /// A table that entries may point to.
    below: Option<u64>,
}

impl<F: ByName> Writer<'_, F> {
    fn entry(&self, random: &mut Rng) -> u64 {
        let legal = self.legal(random);
        match random.u8(..8) {
            0 => random.u64(..),
            // Everything but the address is random.
            1 | 2 => legal & self.address_bits() | random.u64(..) & !self.address_bits(),
            3 => legal,
            // A few bits are wrong.
            _ => (0..random.u8(1..4)).fold(legal, |entry, _| entry ^ 1 << random.u8(..64)),
        }
    }

    /// An entry for a table, or an item of a leaf of any size.
    fn legal(&self, random: &mut Rng) -> u64 {
        let sizes: Vec<u8> = self.setup.generated.page_sizes(self.level).iter().collect();
        match self.below {
            Some(below) if sizes.is_empty() || random.u8(..3) == 0 => self.table(below),
            _ => {
                let size = sizes[random.usize(..sizes.len())];
                let attributes = Attributes {
                    rights: self.ground.rights[random.usize(..self.ground.rights.len())],
                    memory: self.ground.memory[random.usize(..self.ground.memory.len())],
                    accessed: random.u8(..4) != 0,
                    dirty: random.u8(..4) != 0,
                    options: Options::DEFAULT,
                };
                let items = self.leaf(size, self.ground.target(size), &attributes);
                items[random.usize(..items.len())]
            }
        }
    }

    fn table(&self, below: u64) -> u64 {
        self.setup.generated.table(self.level, below).expect("a table in memory")
    }

    fn leaf(&self, size: u8, oa: u64, attributes: &Attributes) -> Vec<u64> {
        // Not every memory type has all rights.
        let leaf = self.setup.generated.leaf(self.level, size, oa, attributes);
        let plain = Attributes::new(self.ground.full, self.ground.memory[0]);
        leaf.or_else(|_| self.setup.generated.leaf(self.level, size, oa, &plain)).expect("a plain leaf")
    }

    /// The bits of an entry that hold its address.
    fn address_bits(&self) -> u64 {
        match self.below {
            Some(below) => {
                // Not every address need be one of a table.
                let other = |bit: u32| self.setup.generated.table(self.level, below ^ 1 << bit).ok();
                let bits = self.ground.geometry.table_bits(self.level - 1).into()
                    ..64 - self.ground.geometry.last_output().leading_zeros();
                bits.filter_map(other).fold(0, |bits, entry| bits | entry ^ self.table(below))
            }
            None => {
                let size = self.ground.geometry.entry_bits(self.level);
                let plain = Attributes::new(self.ground.full, self.ground.memory[0]);
                let last = self.ground.geometry.last_output() >> size << size;
                self.leaf(size, last, &plain)[0] ^ self.leaf(size, 0, &plain)[0]
            }
        }
    }
}

/// The address to probe in the range of an entry: for a leaf, one that maps to memory which may be accessed, if there
/// is one.
fn offset<F: ByName>(setup: &Setup<F>, ground: &Ground, level: Level, raw: u64, random: &mut Rng) -> u64 {
    let within = (1 << ground.geometry.entry_bits(level)) - 1;
    let anywhere = random.u64(..);
    let target = match setup.generated.format.decode(level, raw) {
        Entry::Leaf(leaf) => {
            let first = leaf.address.max(ground.targets.start);
            let last = (leaf.address | within).min(ground.targets.end - 1);
            if first < last { random.u64(first..=last) } else { anywhere }
        }
        _ => anywhere,
    };
    target & within & !7
}

/// The probe with its expected result. `None` if the access would reach memory that it must not, if the walk leaves the
/// tables, or if it meets an entry that the model cannot judge.
fn question<F: ByName>(
    setup: &Setup<F>,
    judge: &impl Judge,
    image: &Image<'_, F>,
    ground: &Ground,
    root: u64,
    probe: Probe,
    raw: u64,
) -> Result<Option<Question>, Failed> {
    let mut met = Vec::new();
    let see = |step: &WalkStep| met.push((step.level, step.raw));
    let walked = walk(&setup.generated.format, root, probe.address, |at| image.read(at), see);
    let mut words = Words::new();
    let read = |at| {
        let word = image.read(at)?;
        words.insert(at, word);
        Some(word)
    };
    let interpreted = setup.case.bound.walk(root, probe.address, read);
    if !agree(&walked, &interpreted) {
        return Err(format!("{probe:x?} of {raw:#x}: generated {walked:x?}, interpreted {interpreted:x?}").into());
    }
    let params = &setup.case.params;
    let judged = |&(level, raw): &(Level, u64)| {
        judge.can_judge(params, level, raw) && judge.deviates(params, level, raw).is_none()
    };
    let (expected, readable) = match walked {
        _ if !met.iter().all(judged) => return Ok(None),
        Err(WalkError::NotMapped { level }) => {
            (Expected::Faults(judge.not_mapped(&probe, limit(&setup.generated.format, &met)), level), false)
        }
        Err(WalkError::Reserved { level, .. }) => {
            (Expected::Faults(judge.reserved(&probe, params, level, raw_of(&met)), level), false)
        }
        Err(WalkError::Input | WalkError::Unreadable { .. }) => return Ok(None),
        Ok(leaf) => {
            let readable = leaf.attributes.rights.contains(if probe.user { Rights::UR } else { Rights::PR });
            permitted(setup, judge, &probe, &leaf, raw_of(&met))?;
            (access(&setup.generated.format, judge, &probe, &leaf), readable)
        }
    };
    let harmless = match expected {
        Expected::Reaches(address) => ground.targets.contains(&address),
        Expected::Faults(..) => true,
    };
    Ok(harmless.then_some(Question { probe, raw, words, expected, readable }))
}

/// The rights that the tables on the way grant.
fn limit<F: Format>(format: &F, met: &[(Level, u64)]) -> Rights {
    met.iter().fold(Rights::all(), |limit, &(level, raw)| match format.decode(level, raw) {
        Entry::Table(table) => limit & table.limit,
        _ => limit,
    })
}

/// The last entry on the way.
fn raw_of(met: &[(Level, u64)]) -> u64 {
    met.last().map_or(0, |&(_, raw)| raw)
}

/// Generated code and interpreter must apply the controls as the judge does.
fn permitted<F: ByName>(
    setup: &Setup<F>,
    judge: &impl Judge,
    probe: &Probe,
    leaf: &Walked,
    raw: u64,
) -> Result<(), Failed> {
    let Some(controls) = judge.controls() else { return Ok(()) };
    let (rights, needs) = (leaf.attributes.rights, needs(probe));
    let subjects: [&dyn Subject; 2] = [&setup.generated, &*setup.interpreted];
    let permits = subjects.map(|subject| subject.permits(leaf.level, raw, rights, needs, &controls));
    if permits == [judge.grants(probe, rights); 2] {
        Ok(())
    } else {
        Err(format!("{probe:x?} of {raw:#x}, {rights:?}, under {controls:x?}: permitted {permits:?}").into())
    }
}

/// The result of an access to a leaf. A clear accessed flag is reported before missing rights.
fn access<F: Format>(format: &F, judge: &impl Judge, probe: &Probe, leaf: &Walked) -> Expected {
    let Walked { address, level, attributes, .. } = *leaf;
    let states = format.accessed_dirty(level);
    let by_software = |mask: u64| mask != 0 && !states.hardware;
    if by_software(states.accessed_mask) && !attributes.accessed {
        Expected::Faults(judge.unmarked(), level)
    } else if !judge.grants(probe, attributes.rights) {
        Expected::Faults(judge.fault(probe, Some(attributes.rights)), level)
    } else if by_software(states.dirty_mask) && probe.access == Access::Write && !attributes.dirty {
        Expected::Faults(judge.unmarked(), level)
    } else {
        Expected::Reaches(address)
    }
}

/// Whether generated code and interpreter agree.
fn agree(generated: &Result<Walked, WalkError>, interpreted: &Walk) -> bool {
    match (generated, interpreted) {
        (Ok(leaf), Walk::Translated(translation)) => {
            leaf.address == translation.address
                && leaf.level == translation.level
                && leaf.size == translation.size
                && leaf.attributes.rights == Rights::from_bits_truncate(translation.facts.bits())
        }
        (Err(WalkError::NotMapped { level }), Walk::NotMapped { level: other })
        | (Err(WalkError::Reserved { level, .. }), Walk::Reserved { level: other, .. }) => level == other,
        (Err(WalkError::Unreadable { address }), Walk::ReadFailed { address: other, .. }) => address == other,
        (Err(WalkError::Input), Walk::InputTooWide) => true,
        _ => false,
    }
}

impl Question {
    /// The judge's verdict, for tests without the judge.
    fn record<F: ByName>(self, setup: &Setup<F>, judge: &impl Judge, verdict: &Verdict) -> Recorded {
        let told = match verdict {
            Verdict::Fault(fault) => judge.told(&self.probe, fault),
            Verdict::Translated(_) => None,
        };
        let names = setup.case.format.fault.iter().flat_map(|fault| &fault.registers);
        let names: Vec<&str> = names.map(|register| register.name.value.as_str()).collect();
        Recorded { probe: self.probe, words: self.words, outcome: Outcome::new(verdict, &names, told) }
    }

    /// What is wrong with the verdict, or with what is read from its report.
    fn complaint<F: ByName>(&self, setup: &Setup<F>, judge: &impl Judge, verdict: &Verdict) -> Option<String> {
        let right = match (self.expected, verdict) {
            (Expected::Reaches(address), Verdict::Translated(seen)) => {
                seen.map_or(!self.readable, |seen| seen == address)
            }
            (Expected::Faults(kind, level), Verdict::Fault(fault)) => {
                fault.kind == kind && fault.level.is_none_or(|seen| seen == level)
            }
            _ => false,
        };
        match verdict {
            _ if !right => Some("the MMU disagrees".into()),
            Verdict::Fault(fault) => self.misread(setup, judge, fault),
            Verdict::Translated(_) => None,
        }
    }

    fn misread<F: ByName>(&self, setup: &Setup<F>, judge: &impl Judge, fault: &Fault) -> Option<String> {
        let told = judge.told(&self.probe, fault);
        let read = setup.read(fault);
        read.iter().any(|read| *read != told).then(|| format!("a report that tells {told:x?} was read as {read:x?}"))
    }
}
