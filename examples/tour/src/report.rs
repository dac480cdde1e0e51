//! Prints what happens, for people.

use std::collections::BTreeMap;

use tablewright::sim::Machine;
use tablewright::{
    AddrSpace, ClosedRange, DeviceAccess, Entry, EntryWord, FaultOutcome, Format, GuestPhysAddr, Invalidation, Level,
    Refusal, Rights, Tag,
};

use crate::machine::Outcome;

/// Prints the format and its configuration.
pub(crate) fn title<F: Format>(space: &AddrSpace<F, Machine>, row: &str) {
    let (info, geometry) = (F::INFO, space.page_table().geometry());
    println!("━━━ {}: {} ━━━", info.architecture, info.title);
    println!(
        "configuration `{row}`: {} levels, {}-bit guest addresses, {}-bit host addresses\nfrom {}\n",
        geometry.levels, geometry.input_bits, geometry.output_bits, info.cite
    );
}

/// Prints the areas.
pub(crate) fn layout<F: Format>(space: &AddrSpace<F, Machine>) {
    println!("The guest's memory:");
    for area in space.areas() {
        println!("  {area}");
    }
}

/// Prints the register values to load into the CPU.
///
/// # Errors
///
/// [`Refusal`] if the root or the tag does not fit.
pub(crate) fn registers<F: Format>(space: &AddrSpace<F, Machine>) -> Result<(), Refusal> {
    println!("\nTo enter the guest, load:\n  {:x?}", space.registers()?);
    Ok(())
}

/// Prints an access of the guest, and how it was resolved.
pub(crate) fn access(address: GuestPhysAddr, needs: Rights, what: &str, outcome: &Outcome) {
    let needs = if needs == Rights::W {
        'w'
    } else if needs == Rights::X {
        'x'
    } else {
        'r'
    };
    print!("  {:15} {needs}  {what:38} ", format!("{address:?}"));
    match outcome.fault {
        None => print!("no fault"),
        Some(FaultOutcome::Mapped) => print!("fault: page mapped"),
        Some(FaultOutcome::Denied) => print!("fault: not allowed, the guest gets an abort"),
        Some(FaultOutcome::NotMapped) => print!("fault: nothing there, the guest gets an abort"),
        Some(FaultOutcome::Device(DeviceAccess { handle, offset, .. })) => {
            print!("fault: device {handle} answers, offset {offset:#x}")
        }
        Some(other) => print!("fault: {other:?}"),
    }
    match outcome.reached {
        Some(reached) => println!(", {reached:?}"),
        None => println!(),
    }
}

/// The number of tables, by level.
pub(crate) struct Tables(BTreeMap<Level, usize>);

impl Tables {
    /// Those of a space.
    pub(crate) fn of<F: Format>(space: &AddrSpace<F, Machine>) -> Self {
        let mut count = BTreeMap::new();
        for table in space.page_table().tables() {
            *count.entry(table.level).or_default() += 1;
        }
        Self(count)
    }

    /// The fewest tables that could map the same leaves.
    fn fewest<F: Format>(space: &AddrSpace<F, Machine>) -> Self {
        let geometry = space.page_table().geometry();
        let mut needed: BTreeMap<Level, Vec<u64>> = BTreeMap::from([(geometry.top(), vec![0])]);
        for leaf in space.page_table().mappings(space.range()) {
            for level in leaf.level..geometry.top() {
                needed.entry(level).or_default().push(leaf.range.start() >> geometry.entry_bits(level + 1));
            }
        }
        Self(
            needed
                .into_iter()
                .map(|(level, mut spans)| {
                    spans.dedup();
                    (level, spans.len())
                })
                .collect(),
        )
    }

    fn total(&self) -> usize {
        self.0.values().sum()
    }
}

/// Prints what an edit did to the tables, and the invalidations that it needed.
pub(crate) fn change<F: Format>(before: Tables, space: &AddrSpace<F, Machine>, log: &[(Tag, Invalidation)]) {
    println!("  tables: {} before, {} after", before.total(), Tables::of(space).total());
    for (tag, set) in log {
        match set {
            Invalidation::Range { range, leaf_only, granule } => println!(
                "  invalidate {:#x}..={:#x} of {tag:?}, one operation for each {}{}",
                range.start(),
                range.last(),
                size(*granule),
                if *leaf_only { ", final translations only" } else { "" },
            ),
            Invalidation::All => println!("  invalidate everything"),
            Invalidation::Space => println!("  invalidate all of {tag:?}"),
        }
    }
}

/// Prints each entry on the way to `address`.
pub(crate) fn walk<F: Format>(space: &AddrSpace<F, Machine>, address: GuestPhysAddr) {
    let table = space.page_table();
    let (format, geometry, ia) = (table.format(), table.geometry(), address.as_usize() as u64);
    let (mut level, mut at) = (geometry.top(), table.root().as_usize() as u64);
    loop {
        let index = geometry.index(level, ia);
        let slot = at + ((index as u64) << F::Word::SIZE);
        let Some(raw) = table.hal().read_entry::<F::Word>(slot) else { return };
        let entry = format.decode(level, raw);
        println!("  level {level}, table {at:#x}, entry {index:4}: {raw:#018x}  {}", describe(&entry));
        match entry {
            Entry::Table(next) => (level, at) = (next.level, next.address),
            _ => return,
        }
    }
}

fn describe(entry: &Entry) -> String {
    match entry {
        Entry::Invalid => "not present".into(),
        Entry::Reserved(rule) => format!("reserved: {rule}"),
        Entry::Table(table) => format!("table at {:#x}", table.address),
        Entry::Leaf(leaf) => {
            let run = if leaf.items > 1 { format!(", a run of {} items", leaf.items) } else { String::new() };
            let attributes = &leaf.attributes;
            format!("{} at {:#x}, {}, {:?}{run}", size(leaf.size), leaf.address, attributes.rights, attributes.memory)
        }
    }
}

/// Prints everything that is mapped, with equal neighbours merged.
pub(crate) fn mappings<F: Format>(space: &AddrSpace<F, Machine>) {
    for region in space.page_table().regions(space.range()) {
        let sizes = page_sizes(space, region.range);
        let (range, attributes) = (region.range, region.attributes);
        println!(
            "  {:#012x}..={:#012x} -> {:#012x}  {}, {:?}: {sizes}",
            range.start(),
            range.last(),
            region.address,
            attributes.rights,
            attributes.memory
        );
    }
}

/// The number of leaves of each size that map a range.
fn page_sizes<F: Format>(space: &AddrSpace<F, Machine>, range: ClosedRange) -> String {
    let mut count: BTreeMap<u8, usize> = BTreeMap::new();
    for leaf in space.page_table().mappings(range) {
        *count.entry(leaf.size).or_default() += 1;
    }
    let sizes: Vec<String> = count.iter().rev().map(|(bits, count)| format!("{count} x {}", size(*bits))).collect();
    sizes.join(", ")
}

/// The tables with their sizes, and the fewest there could be.
pub(crate) fn tables<F: Format>(space: &AddrSpace<F, Machine>) {
    let geometry = space.page_table().geometry();
    let (have, fewest) = (Tables::of(space), Tables::fewest(space));
    let mut bytes = 0;
    for (level, count) in have.0.iter().rev() {
        let table = 1_usize << geometry.table_bits(*level);
        bytes += count * table;
        println!("  level {level}: {count:3} x {}", size(geometry.table_bits(*level)));
    }
    println!("  {} KiB in {} tables; the fewest possible: {}", bytes >> 10, have.total(), fewest.total());
}

/// `1 << bits` bytes, with a unit.
fn size(bits: u8) -> String {
    let unit = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][usize::from(bits / 10).min(6)];
    format!("{} {unit}", 1_u64 << (bits % 10))
}
