//! The values that a format's file cites from the manual, with their meaning.

use crate::{Attributes, ClosedRange, Entry, Invalidation, MemoryType, Options, Rights, Translated};
use std::prelude::rust_2024::*;
use tablewright_archdefs::bound::BoundMeaning;
use tablewright_archdefs::eval::{Env, eval};
use tablewright_archdefs::model::{
    AccessExample, CapabilityExample, Class, CompletionExample, EntryExample, Example, Facts, FaultExample,
    InvalidationExample, RegisterExample, Scope, TranslatedExample,
};

use super::interpreted::{access, cause, memory_in, shareability, signal_of};
use super::{Case, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let id = &case.config.id.value;
    for example in &case.format.examples {
        match example {
            Example::Entry(example) if example.config.value == *id => entry(case, example)?,
            Example::Register(example) if example.config.value == *id => register(case, example)?,
            Example::Fault(example) if example.config.value == *id => fault(case, example)?,
            Example::Access(example) if example.config.value == *id => access_through(case, example)?,
            Example::Capability(example) if example.config.value == *id => machine(case, example)?,
            Example::Invalidation(example) if example.config.value == *id => invalidation(case, example)?,
            Example::Completion(example) if example.config.value == *id => completion(case, example)?,
            Example::Translated(example) if example.config.value == *id => translated(case, example)?,
            // Those of edits belong to the law of edits.
            _ => {}
        }
    }
    Ok(())
}

fn entry(case: &Case<'_>, example: &EntryExample) -> Verdict {
    let EntryExample { level, raw, .. } = *example;
    let entry = case.subject.decode(level, raw);
    let class = match entry {
        Entry::Invalid => Class::Invalid,
        Entry::Table(_) => Class::Table,
        Entry::Leaf(_) if level == 0 => Class::Page,
        Entry::Leaf(_) => Class::Block,
        Entry::Reserved(_) => Class::Reserved,
    };
    ensure!(class == example.class, "level {level}: {raw:#x} is {entry:x?}, and not of class {:?}", example.class);
    let (address, facts, memory, items) = match entry {
        Entry::Table(table) => (Some(table.address), Some(rights(table.limit) & spoken(case, level)), None, None),
        Entry::Leaf(leaf) => {
            let mut facts = rights(leaf.attributes.rights);
            facts.set(Facts::ACCESSED, leaf.attributes.accessed);
            facts.set(Facts::DIRTY, leaf.attributes.dirty);
            (Some(leaf.address), Some(facts), Some(leaf.attributes.memory), Some(u64::from(leaf.items)))
        }
        Entry::Invalid | Entry::Reserved(_) => (None, None, None, None),
    };
    let same = (example.address.is_none() || example.address == address)
        && (example.rights.is_none() || example.rights == facts)
        && (example.memory.is_none() || example.memory.map(memory_in) == memory)
        && (example.run.is_none() || example.run == items);
    ensure!(same, "level {level}: {raw:#x} is {entry:x?}, not as the example says: {example:x?}");
    ensure!(!example.written || written(case, level, raw) == Some(raw), "level {level}: {raw:#x} is never written");
    Ok(())
}

/// What is written for what `raw` says, with default options.
fn written(case: &Case<'_>, level: u8, raw: u64) -> Option<u64> {
    let subject = case.subject;
    match subject.decode(level, raw) {
        Entry::Invalid => Some(subject.empty(level)),
        Entry::Reserved(_) => None,
        Entry::Table(table) => subject.table(level, table.address).ok(),
        Entry::Leaf(leaf) => {
            let start = leaf.address >> leaf.size << leaf.size;
            let attributes = Attributes { options: Options::DEFAULT, ..leaf.attributes };
            let items = subject.leaf(level, leaf.size, start, &attributes).ok()?;
            let item = (leaf.address - start) >> subject.geometry().entry_bits(level);
            items.get(item as usize).copied()
        }
    }
}

/// What a table's fields speak of, by the file: an example does not name what they do not.
fn spoken(case: &Case<'_>, level: u8) -> Facts {
    let table = case.reference.0.level(level).and_then(|level| level.table.as_ref());
    let speaks = table.iter().flat_map(|shape| &shape.fields).map(|field| match &field.meaning {
        BoundMeaning::Rights(_, speaks) => *speaks,
        _ => Facts::empty(),
    });
    speaks.fold(Facts::empty(), |all, speaks| all | speaks)
}

fn rights(rights: Rights) -> Facts {
    Facts::from_bits_truncate(rights.bits())
}

fn register(case: &Case<'_>, example: &RegisterExample) -> Verdict {
    let name = &example.register.value;
    let registers = case.subject.registers(example.root, example.tag as u32).unwrap_or_default();
    let found = registers.iter().find(|(register, _)| register == name).map(|(_, value)| *value);
    ensure!(found == Some(example.raw), "`{name}` is {found:#x?}, and should be {:#x}", example.raw);
    Ok(())
}

fn fault(case: &Case<'_>, example: &FaultExample) -> Verdict {
    let Some(found) = case.subject.fault(&example.report) else {
        return Err(format!("{:#x?} is taken for no fault report", example.report));
    };
    let same = found.address == example.address
        && found.access == access(example.access)
        && found.cause == cause(example.cause)
        && found.level == example.level
        && found.width.map(u64::from) == example.width
        && found.guest_walk == example.guest_walk;
    ensure!(same, "{:#x?} is {found:x?}, not as the example says: {example:x?}", example.report);
    Ok(())
}

fn access_through(case: &Case<'_>, example: &AccessExample) -> Verdict {
    let AccessExample { level, raw, .. } = *example;
    let Entry::Leaf(leaf) = case.subject.decode(level, raw) else {
        return Err(format!("level {level}: {raw:#x} is no leaf"));
    };
    let [limit, access] = [example.limit, example.access].map(|facts| Rights::from_bits_truncate(facts.bits()));
    let found = case.subject.permits(level, raw, leaf.attributes.rights & limit, access, &example.registers);
    ensure!(found == example.allowed, "level {level}: {raw:#x}: {access} is allowed: {found}: {example:x?}");
    Ok(())
}

/// A subject knows only the parameters that are not fixed when it is built.
fn machine(case: &Case<'_>, example: &CapabilityExample) -> Verdict {
    let wanted = case.reference.0.params.otherwise_default(case.format, &example.set);
    let wanted = wanted.map_err(|error| error.to_string())?;
    let found = case.subject.of_machine(case, &example.registers).unwrap_or_default();
    let same = !found.is_empty() && found.iter().all(|(name, value)| wanted.get(name) == Some(*value));
    ensure!(same, "a machine with {:#x?} has {found:?}, and should have {wanted}", example.registers);
    Ok(())
}

/// Commands and what is told at entries; instructions cannot be looked at.
fn invalidation(case: &Case<'_>, example: &InvalidationExample) -> Verdict {
    let subject = case.subject;
    let set = match example.scope {
        Scope::All => Invalidation::All,
        Scope::Space => Invalidation::Space,
        Scope::Address => {
            let granule = example.page_bits.unwrap_or(subject.geometry().page_bits);
            let range = ClosedRange::new(example.start, example.last(granule)).ok_or("an empty range")?;
            Invalidation::Range { range, leaf_only: example.leaf_only, granule }
        }
    };
    let commands = subject.commands(example.tag as u32, &set);
    let told = subject.at_entry(example.tag as u32, &set);
    let none = commands.is_none() && told.is_none();
    ensure!(example.operation.is_some() || none, "{set:x?} takes {commands:x?} or {told:x?}, and should take nothing");
    if !example.command.is_empty() {
        let commands = commands.unwrap_or_default();
        let words: Vec<u64> = commands.concat();
        let same = commands.len() as u64 == example.times && words.starts_with(&example.command);
        ensure!(same, "{set:x?} takes {commands:x?}, and should take {:x?}", example.command);
    }
    if let Some(wanted) = &example.at_entry {
        let value = wanted.value.as_ref().and_then(|value| eval(value, &Env::bare()).ok());
        let same = told
            .as_ref()
            .is_some_and(|(control, told)| *control == wanted.register && value == Some(i128::from(*told)));
        ensure!(same, "{set:x?} is told by {told:x?}, and should be by {} = {value:?}", wanted.register);
    }
    Ok(())
}

fn completion(case: &Case<'_>, example: &CompletionExample) -> Verdict {
    let signal = signal_of(example.signal, example.address, example.data);
    let found = case.subject.completion(signal);
    // A command has words, and a refusal none.
    let same = found.as_ref().map_or(&[][..], Vec::as_slice) == example.command;
    ensure!(same, "{signal:x?} takes {found:x?}, and should take {:x?}", example.command);
    Ok(())
}

fn translated(case: &Case<'_>, example: &TranslatedExample) -> Verdict {
    let wanted = match (example.address, example.cause) {
        (Some(address), _) => Translated::To {
            address,
            memory: example.memory.map_or(MemoryType::Unnamed, memory_in),
            shareability: example.shareability.map(shareability),
        },
        (None, of) => Translated::Fault {
            cause: of.map(cause).ok_or("an example of a fault has a cause")?,
            level: example.level,
            second_stage: example.second_stage,
            guest_walk: example.guest_walk,
        },
    };
    let found = case.subject.translated(&example.registers);
    ensure!(found == Some(wanted), "{:#x?} is {found:x?}, and should be {wanted:x?}", example.registers);
    Ok(())
}
