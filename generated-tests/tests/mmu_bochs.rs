//! Checks the EPT judge with tables written by hand.

use tablewright_tests::{
    emulators::{Emulator, require},
    mmu::{
        Access::{Execute, Read, Write},
        Chunk, Fault, FaultKind, Probe, Verdict,
        x86_64::Machine,
    },
};

fn table(address: u64, entries: &[(usize, u64)]) -> Chunk {
    let mut bytes = vec![0; 4096];
    for &(index, entry) in entries {
        bytes[index * 8..][..8].copy_from_slice(&u64::to_le_bytes(entry));
    }
    (address, bytes)
}

#[test]
fn a_page_is_translated_with_its_rights() {
    if require(Emulator::Bochs).is_none() {
        return;
    }
    let machine = Machine::start("corei7_haswell_4770").unwrap();
    let image = [
        table(0x100_0000, &[(0, 0x100_1007)]),
        table(0x100_1000, &[(0, 0x100_2007)]),
        table(0x100_2000, &[(0, 0x100_3007)]),
        table(0x100_3000, &[(0, 0x200_0031)]),
    ];
    let probes = [
        (0x123, Read),
        (0x123, Write),
        (0x123, Execute),
        (0x1000, Read),
    ];
    let probes = probes.map(|(address, access)| Probe {
        address,
        access,
        user: false,
    });
    let verdicts = machine.probe_ept(&image, 0x100_001e, &probes).unwrap();
    assert_eq!(verdicts[0], Verdict::Translated(Some(0x200_0123)));
    let kinds = verdicts[1..].iter().map(|verdict| match verdict {
        Verdict::Fault(Fault { kind, .. }) => Some(*kind),
        Verdict::Translated(_) => None,
    });
    assert!(
        kinds.eq([
            FaultKind::Permission,
            FaultKind::Permission,
            FaultKind::NotMapped
        ]
        .map(Some))
    );
}
