//! A root register that is narrower than the addresses in entries: a root that does not fit is refused, and its address
//! never truncated.

use tablewright::sim::Machine;
use tablewright::{Error, Format as _, PageTable, Refusal, Tag};

tablewright::page_table_format! { pub mod narrow = "arch/narrow.toml" }
tablewright::format_tests! { mod narrow_laws = "arch/narrow.toml": crate::narrow }

/// Where the register ends.
const LIMIT: u64 = 1 << 32;

fn format() -> narrow::Format {
    narrow::Format::new(&narrow::Config::new(3, 39)).unwrap()
}

#[test]
fn the_last_root_that_fits_is_the_last_that_is_taken() {
    let registers = |root: u64| format().registers((root as usize).into(), Tag(0)).map(|registers| registers.root);
    assert_eq!(registers(LIMIT - 0x1000), Ok(LIMIT - 0x1000));
    for root in [LIMIT, LIMIT + 0x1000, 1 << 39] {
        assert_eq!(registers(root), Err(Refusal::Address(root)));
    }
    // Entries reach further.
    assert!(format().table(1, LIMIT).is_ok());
}

#[test]
fn a_table_whose_root_does_not_fit_is_not_made() {
    let below = Machine::new(LIMIT - (1 << 20), 1 << 20);
    let table = PageTable::new(format(), below.clone(), Tag(0)).unwrap();
    assert_eq!(table.registers().unwrap().root, table.root().as_usize() as u64);
    drop(table);
    let above = Machine::new(LIMIT, 1 << 20);
    let refused = PageTable::new(format(), above.clone(), Tag(0)).unwrap_err();
    assert!(matches!(refused, Error::Refused { level: 2, refusal: Refusal::Address(LIMIT..) }), "{refused:?}");
    assert_eq!((below.used(), above.used()), (0, 0));
}
