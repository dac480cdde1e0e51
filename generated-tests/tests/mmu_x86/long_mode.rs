//! Long mode's own tables, with nothing nested.

use tablewright_tests::mmu::FaultKind::{AddressSize, Misconfigured, NotMapped, Permission};
use tablewright_tests::mmu::deviations::RESERVED_NOT_PRESENT;

use super::*;

const WRITE_PROTECT: u64 = 1 << 16;
const SMEP: u64 = 1 << 20;
const SMAP: u64 = 1 << 21;
const GLOBAL_PAGES: u64 = 1 << 7;
const ALIGNMENT_CHECK: u64 = 1 << 18;

/// CR0.WP and EFER.NXE are set, and nothing else that matters.
fn paging(levels: u64) -> Paging {
    let root = table(levels - 1);
    Paging {
        cr0: WRITE_PROTECT,
        cr3: root,
        cr4: if levels == 5 { LA57 } else { 0 },
        efer: NO_EXECUTE_ENABLE,
        rflags: 0,
        root,
    }
}

fn case(guest: Paging, levels: u64, entries: &[Entry], questions: Vec<(Probe, Answer)>) -> Case {
    Case { image: tables(table(0), levels, entries), guest: Some(guest), nested: Nested::Off, questions }
}

/// All accesses by both privileges.
fn everyone(address: u64) -> impl Iterator<Item = Probe> {
    all(address).into_iter().flat_map(|probe| [false, true].map(|user| Probe { user, ..probe }))
}

fn same(address: u64, answer: Answer) -> Vec<(Probe, Answer)> {
    everyone(address).map(|probe| (probe, answer)).collect()
}

/// SDM *Determination of Access Rights*.
fn granted(guest: &Paging, entry: u64, probe: &Probe) -> Result<(), FaultKind> {
    let user_page = entry & USER != 0;
    let writable = entry & WRITABLE != 0;
    let executable = entry & NO_EXECUTE == 0;
    let allowed = if probe.user {
        user_page
            && match probe.access {
                Read => true,
                Write => writable,
                Execute => executable,
            }
    } else {
        let kept_off = user_page && guest.cr4 & SMAP != 0 && guest.rflags & ALIGNMENT_CHECK == 0;
        match probe.access {
            Read => !kept_off,
            Write => !kept_off && (writable || guest.cr0 & WRITE_PROTECT == 0),
            Execute => executable && !(user_page && guest.cr4 & SMEP != 0),
        }
    };
    match (entry & PRESENT, allowed) {
        (0, _) => Err(NotMapped),
        (_, true) => Ok(()),
        (_, false) => Err(Permission),
    }
}

/// Every set of rights, under control registers that change what they mean.
#[test]
fn rights_depend_on_control_registers() {
    for judge in judges() {
        let plain = paging(judge.levels);
        let guests = [
            plain,
            Paging { cr0: 0, ..plain },
            Paging { cr4: plain.cr4 | SMEP, ..plain },
            Paging { cr4: plain.cr4 | SMAP, ..plain },
            Paging { cr4: plain.cr4 | SMAP, rflags: ALIGNMENT_CHECK, ..plain },
            Paging { cr4: plain.cr4 | SMEP | SMAP, cr0: 0, ..plain },
        ];
        let rights: Vec<_> = (0..8).flat_map(|low| [low, low | NO_EXECUTE]).collect();
        let entries: Vec<_> =
            (0..).zip(&rights).map(|(index, rights)| (0, index, (TARGET + index * 0x1000) | rights)).collect();
        let pages = guests.iter().map(|guest| {
            let questions = entries.iter().flat_map(|&(_, index, entry)| {
                everyone(index * 0x1000 + 0x238)
                    .map(move |probe| (probe, granted(guest, entry, &probe).map(|()| Some(TARGET + probe.address))))
            });
            case(*guest, judge.levels, &entries, questions.collect())
        });
        // An entry that leads to a table restricts what is below it.
        let walks = (1..judge.levels).flat_map(|level| rights.iter().map(move |rights| (level, *rights))).map(
            |(level, rights)| {
                let entries = [(level, 0, table(level - 1) | rights), (0, 0, TARGET | ALL)];
                let questions = everyone(0x238)
                    .map(|probe| (probe, granted(&plain, rights, &probe).map(|()| Some(TARGET + 0x238))));
                case(plain, judge.levels, &entries, questions.collect())
            },
        );
        Case::check_all(&judge.machine, &pages.chain(walks).collect::<Vec<_>>());
    }
}

#[test]
fn blocks_map_at_their_size_and_reserved_bits_are_told_apart() {
    for judge in judges() {
        let guest = paging(judge.levels);
        let page = TARGET | ALL;
        let mut cases = vec![
            case(guest, judge.levels, &[(1, 3, 0x40_0000 | LARGE | ALL)], same(0x7f_f678, Ok(Some(0x5f_f678)))),
            case(guest, judge.levels, &[(2, 1, LARGE | ALL)], same(0x4123_4568, Ok(Some(0x123_4568)))),
        ];
        let mut reserved: Vec<Entry> = (judge.width..52).map(|bit| (0, page, bit)).collect();
        for level in 1..judge.levels {
            reserved.extend((judge.width..52).map(|bit| (level, table(level - 1) | ALL, bit)));
        }
        for (level, bits) in [(1, 13..21), (2, 13..30)] {
            reserved.extend(bits.map(|bit| (level, LARGE | ALL, bit)));
        }
        reserved.extend((3..judge.levels).map(|level| (level, table(level - 1) | ALL, 7)));
        cases.extend(reserved.iter().map(|&(level, entry, bit)| {
            case(guest, judge.levels, &[(0, 0, page), (level, 0, entry | 1 << bit)], same(0, Err(Misconfigured)))
        }));
        let without = Paging { efer: 0, ..guest };
        cases.push(case(without, judge.levels, &[(0, 0, page)], same(0, Ok(Some(TARGET)))));
        cases.push(case(without, judge.levels, &[(0, 0, page | NO_EXECUTE)], same(0, Err(Misconfigured))));
        Case::check_all(&judge.machine, &cases);
    }
}

#[test]
fn addresses_are_canonical_or_refused() {
    for judge in judges() {
        let (guest, top) = (paging(judge.levels), judge.levels - 1);
        let width = 12 + 9 * judge.levels;
        // Entry 511 of the root, by an address whose upper bits are all ones.
        let entries = [(top, 511, table(top - 1) | ALL), (0, 5, TARGET | ALL), (0, 6, TARGET | ALL | GLOBAL)];
        let upper = !0 << (width - 9);
        let mut questions = same(upper + 0x5010, Ok(Some(TARGET + 0x10)));
        questions.extend(same(upper + 0x6010, Ok(Some(TARGET + 0x10))));
        questions.extend(same(0x5010, Ok(Some(TARGET + 0x10))));
        for address in [1 << (width - 1), 1 << width, (!0 << width) + 0x5010, 1 << 63] {
            questions.extend([(probe(address, Read), Err(AddressSize)), (probe(address, Write), Err(AddressSize))]);
        }
        let with_globals = Paging { cr4: guest.cr4 | GLOBAL_PAGES, ..guest };
        let cases = [guest, with_globals].map(|guest| case(guest, judge.levels, &entries, questions.clone()));
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
        let mut peek: Vec<_> = (1..judge.levels).map(table).collect();
        peek.extend([0, 8, 16].map(|offset| table(0) + offset));
        let case = case(paging(judge.levels), judge.levels, &entries, questions);
        let words = run(&judge.machine, &case, &peek).words;
        let mut expected: Vec<_> = (1..judge.levels).map(|level| table(level - 1) | ALL | ACCESSED).collect();
        expected.extend([TARGET | ALL | ACCESSED, TARGET | ALL | ACCESSED | DIRTY, TARGET | PRESENT | USER]);
        assert_eq!(words, expected, "{words:x?}");
    }
}

#[test]
fn a_fault_has_its_error_code_and_address() {
    for judge in judges() {
        let user = |address, access| Probe { user: true, ..probe(address, access) };
        let questions = vec![
            (probe(0x18, Write), Err(Permission)),
            (user(0x18, Write), Err(Permission)),
            (probe(0x2018, Read), Err(NotMapped)),
            (user(0x2018, Write), Err(NotMapped)),
            (probe(0x1018, Execute), Err(Permission)),
            (user(0x20_0018, Read), Err(Misconfigured)),
        ];
        let entries =
            [(0, 0, TARGET | PRESENT | USER), (0, 1, TARGET | ALL | NO_EXECUTE), (1, 1, LARGE | ALL | 1 << 13)];
        let outcome = run(&judge.machine, &case(paging(judge.levels), judge.levels, &entries, questions), &[]);
        let reserved = if judge.machine.deviates(&RESERVED_NOT_PRESENT) { 0xc } else { 0xd };
        // Present, write, user, reserved, fetch.
        let expected = [(3, 0x18), (7, 0x18), (0, 0x2018), (6, 0x2018), (0x11, 0x1018), (reserved, 0x20_0018)];
        for (verdict, (code, address)) in outcome.verdicts.iter().zip(expected) {
            assert_eq!(report(verdict), [("error_code", code), ("cr2", address)], "{verdict:x?}");
        }
    }
}
