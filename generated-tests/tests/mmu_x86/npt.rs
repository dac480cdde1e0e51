//! AMD's nested tables: those of long mode, all accesses being user accesses.

use tablewright_tests::mmu::FaultKind::{AddressSize, Misconfigured, NotMapped, Permission};
use tablewright_tests::mmu::deviations::{NESTED_FETCH, RESERVED_NOT_PRESENT, TABLE_BIT_8, TABLE_BIT_8_BOCHS};

use super::*;

fn npt(levels: u64) -> Nested {
    Nested::Npt { nested_control: 1, n_cr3: table(levels - 1), guest_asid: 1 }
}

/// A case with these entries in tables whose other entries grant all.
fn case(judge: &Judge, entries: &[Entry], questions: Vec<(Probe, Answer)>) -> Case {
    Case { image: tables(table(0), judge.levels, entries), guest: None, nested: npt(judge.levels), questions }
}

/// The same answer to all accesses.
fn same(address: u64, answer: Answer) -> Vec<(Probe, Answer)> {
    all(address).map(|probe| (probe, answer)).into()
}

/// By the manual: present; user; writable; not no-execute.
fn granted(entry: u64, access: Access) -> Result<(), FaultKind> {
    let allowed = entry & USER != 0
        && match access {
            Read => true,
            Write => entry & WRITABLE != 0,
            Execute => entry & NO_EXECUTE == 0,
        };
    match (entry & PRESENT, allowed) {
        (0, _) => Err(NotMapped),
        (_, true) => Ok(()),
        (_, false) => Err(Permission),
    }
}

fn rights() -> impl Iterator<Item = u64> {
    (0..8).flat_map(|low| [low, low | NO_EXECUTE])
}

#[test]
fn a_page_grants_its_rights() {
    for judge in judges() {
        let entries: Vec<_> =
            (0..).zip(rights()).map(|(index, rights)| (0, index, (TARGET + index * 0x1000) | rights)).collect();
        let questions = entries.iter().flat_map(|&(_, index, entry)| {
            let address = index * 0x1000 + 0x238;
            all(address).map(|probe| (probe, granted(entry, probe.access).map(|()| Some(TARGET + address))))
        });
        Case::check_all(&judge.machine, &[case(judge, &entries, questions.collect())]);
    }
}

#[test]
fn rights_intersect_along_the_walk() {
    for judge in judges() {
        let cases: Vec<_> = (1..judge.levels)
            .flat_map(|level| rights().map(move |rights| (level, rights)))
            .map(|(level, rights)| {
                let entries = [(level, 0, table(level - 1) | rights), (0, 0, TARGET | ALL)];
                let answer = |probe: Probe| (probe, granted(rights, probe.access).map(|()| Some(TARGET)));
                case(judge, &entries, all(0).map(answer).into())
            })
            .collect();
        Case::check_all(&judge.machine, &cases);
    }
}

#[test]
fn blocks_map_at_their_size() {
    for judge in judges() {
        let mut cases = vec![
            case(judge, &[(1, 3, 0x40_0000 | LARGE | ALL)], same(0x60_0000 + 0x1f_f678, Ok(Some(0x5f_f678)))),
            case(judge, &[(2, 1, LARGE | ALL)], same(0x4000_0000 + 0x123_4568, Ok(Some(0x123_4568)))),
            case(judge, &[(0, 0, TARGET | ALL), (judge.levels - 1, 0, 0)], same(0, Err(NotMapped))),
        ];
        cases.extend(
            (3..judge.levels).map(|level| case(judge, &[(level, 0, LARGE | ALL)], same(0, Err(Misconfigured)))),
        );
        Case::check_all(&judge.machine, &cases);
    }
}

#[test]
fn reserved_bits_are_told_apart() {
    for judge in judges() {
        let page = TARGET | ALL;
        // Beyond the physical address; the low bits of a block's address.
        let mut reserved: Vec<Entry> = (judge.width..52).map(|bit| (0, page, bit)).collect();
        for level in 1..judge.levels {
            reserved.extend((judge.width..52).map(|bit| (level, table(level - 1) | ALL, bit)));
        }
        for (level, bits) in [(1, 13..21), (2, 13..30)] {
            reserved.extend(bits.map(|bit| (level, LARGE | ALL, bit)));
        }
        let cases: Vec<_> = reserved
            .iter()
            .map(|&(level, entry, bit)| {
                case(judge, &[(0, 0, page), (level, 0, entry | 1 << bit)], same(0, Err(Misconfigured)))
            })
            .collect();
        Case::check_all(&judge.machine, &cases);
    }
}

#[test]
fn no_execute_is_reserved_where_the_host_has_it_off() {
    for (emulator, model, levels, width) in [(Emulator::QemuX86, "max", 4, 40), (Emulator::Bochs, "ryzen", 4, 40)] {
        if require(emulator).is_none() {
            continue;
        }
        let judge = Judge { machine: start(emulator, model, levels, false), levels, width };
        let page = TARGET | ALL;
        let cases = [
            case(&judge, &[(0, 0, page)], same(0, Ok(Some(TARGET)))),
            case(&judge, &[(0, 0, page | NO_EXECUTE)], same(0, Err(Misconfigured))),
            case(&judge, &[(0, 0, page), (2, 0, table(1) | ALL | NO_EXECUTE)], same(0, Err(Misconfigured))),
        ];
        Case::check_all(&judge.machine, &cases);
        let fetch = case(&judge, &[(0, 0, 0)], vec![(probe(0, Execute), Err(NotMapped))]);
        let told = if judge.machine.deviates(&NESTED_FETCH) { 0x1_0000_0004 } else { 0x1_0000_0014 };
        assert_eq!(report(&run(&judge.machine, &fetch, &[]).verdicts[0])[1], ("exit_info_1", told));
    }
}

#[test]
fn wide_addresses_reach_the_upper_entries() {
    for judge in judges() {
        let top = judge.levels - 1;
        let span = 12 + 9 * top;
        let reach = judge.width.min(span + 9);
        let mut cases = vec![case(
            judge,
            &[(0, 0, TARGET | ALL)],
            (judge.width.max(40)..52)
                .flat_map(|bit| same(1 << bit, Err(if bit < judge.width { NotMapped } else { AddressSize })))
                .collect(),
        )];
        // The last reachable entry of the root, and the one that the stub lends by default.
        for index in [1, (1 << (reach - span)) - 1] {
            let entries = [(top, index, table(top - 1) | ALL), (0, 5, TARGET | ALL)];
            cases.push(case(judge, &entries, same((index << span) + 0x5000, Ok(Some(TARGET)))));
        }
        Case::check_all(&judge.machine, &cases);
    }
}

#[test]
fn flags_are_written() {
    for judge in judges() {
        let entries = [(0, 0, TARGET | ALL), (0, 1, TARGET | ALL), (0, 2, TARGET | PRESENT | USER)];
        let questions = vec![
            (probe(0, Read), Ok(Some(TARGET))),
            (probe(0x1000, Write), Ok(Some(TARGET))),
            (probe(0x2000, Write), Err(Permission)),
        ];
        let case = case(judge, &entries, questions);
        let mut peek: Vec<_> = (1..judge.levels).map(table).collect();
        peek.extend([0, 8, 16].map(|offset| table(0) + offset));
        let words = run(&judge.machine, &case, &peek).words;
        // Dirty is for leaves only, and a refused access sets nothing in the leaf.
        let mut expected: Vec<_> = (1..judge.levels).map(|level| table(level - 1) | ALL | ACCESSED).collect();
        expected.extend([TARGET | ALL | ACCESSED, TARGET | ALL | ACCESSED | DIRTY, TARGET | PRESENT | USER]);
        assert_eq!(words, expected, "{:x?}", words);
    }
}

#[test]
fn a_fault_has_the_raw_report() {
    for judge in judges() {
        let page = TARGET | PRESENT | USER | NO_EXECUTE;
        let case = case(
            judge,
            &[(0, 0, page), (0, 1, TARGET | ALL | 1 << 12 | NO_EXECUTE), (1, 1, LARGE | ALL | 1 << 13)],
            vec![
                (probe(0x18, Write), Err(Permission)),
                (probe(0x2018, Read), Err(NotMapped)),
                (probe(0x1018, Execute), Err(Permission)),
                (probe(0x20_0018, Read), Err(Misconfigured)),
            ],
        );
        let outcome = run(&judge.machine, &case, &[]);
        // Bit 32: on the access itself. Then present, write, user, reserved, fetch.
        let reserved = if judge.machine.deviates(&RESERVED_NOT_PRESENT) { 0x1_0000_000c } else { 0x1_0000_000d };
        let expected = [(0x1_0000_0007, 0x18), (0x1_0000_0004, 0x2018), (0x1_0000_0015, 0x1018), (reserved, 0x20_0018)];
        for (verdict, (information, address)) in outcome.verdicts.iter().zip(expected) {
            let expected = [("exit_code", 0x400), ("exit_info_1", information), ("exit_info_2", address)];
            assert_eq!(report(verdict), expected, "{verdict:x?}");
        }
    }
}

#[test]
fn bit_8_of_upper_tables_is_reserved() {
    for judge in judges() {
        let deviates = [&TABLE_BIT_8, &TABLE_BIT_8_BOCHS].into_iter().any(|known| judge.machine.deviates(known));
        let cases: Vec<_> = (1..judge.levels)
            .map(|level| {
                let reserved = matches!(level, 2 | 3) && !deviates;
                let answer = if reserved { Err(Misconfigured) } else { Ok(Some(TARGET)) };
                case(judge, &[(0, 0, TARGET | ALL), (level, 0, table(level - 1) | ALL | GLOBAL)], same(0, answer))
            })
            .collect();
        Case::check_all(&judge.machine, &cases);
    }
}
