//! The values that a format's file cites from the manual, with their meaning.

use tablewright::{Entry, Rights};
use tablewright_archdefs::model::{Class, EntryExample, Example, Facts, RegisterExample};

use super::interpreted::memory_in;
use super::{Case, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    let id = &case.config.id.value;
    for example in &case.format.examples {
        match example {
            Example::Entry(example) if example.config.value == *id => entry(case, example)?,
            Example::Register(example) if example.config.value == *id => register(case, example)?,
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
        Entry::Table(table) => (Some(table.address), Some(rights(table.limit)), None, None),
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
    Ok(())
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
