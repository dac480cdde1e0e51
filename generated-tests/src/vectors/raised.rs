//! Reports of faults that software met, as the manuals say that hardware makes them.

use tablewright::{Level, Rights, Stage1Cause, Stage1Fault};

use crate::laws::{Interpreted, Subject};

use Stage1Cause::{Denied, Input, NotMapped, NotMarked, Reserved};

pub(super) fn check(format: &str, subject: &Interpreted) -> Result<(), String> {
    match format {
        "long_mode" => page_fault(subject),
        "pae" | "legacy" => page_fault_without_keys(subject),
        "stage1" => arm(subject, &[PRIVILEGED, USER].concat()),
        "stage1_el2" => arm(subject, &PRIVILEGED).and_then(|()| no_user_mode(subject)),
        "sv" | "sv32" => riscv(subject),
        "loongarch64" => loongarch(subject),
        _ => Ok(()),
    }
}

const PRIVILEGED: [Rights; 3] = [Rights::PR, Rights::PW, Rights::PX];
const USER: [Rights; 3] = [Rights::UR, Rights::UW, Rights::UX];

const ADDRESS: u64 = 0x1678;

/// A fault of an access to [`ADDRESS`].
fn met(access: Rights, cause: Stage1Cause, level: Level, entry: u64) -> Stage1Fault {
    Stage1Fault { address: ADDRESS, access, cause, level, entry, granted: Rights::UR | Rights::PR }
}

fn raises(subject: &Interpreted, fault: &Stage1Fault, controls: &[u64], wanted: Option<u64>) -> Result<(), String> {
    let (found, wanted) = (subject.raise(fault, controls), wanted.map(|first| vec![first, fault.address]));
    if found == wanted { Ok(()) } else { Err(format!("{fault:x?} is {found:x?} under {controls:x?}, not {wanted:x?}")) }
}

/// Intel SDM Vol. 3A, Page-Fault Error Code: P 0, W/R 1, U/S 2, RSVD 3, I/D 4, PK 5. An address that is not canonical is a
/// general protection fault.
fn page_fault(subject: &Interpreted) -> Result<(), String> {
    let has = |param| subject.0.params.get(param) == Some(1);
    // CR0 (WP 16), CR4 (SMEP 20), RFLAGS, PKRU, IA32_PKRS.
    let bare = [0; 5];
    for (access, code) in [
        (Rights::PR, 0),
        (Rights::PW, 0b010),
        (Rights::UR, 0b100),
        (Rights::UW, 0b110),
        (Rights::PX, if has("no_execute") { 0b1_0000 } else { 0 }),
        (Rights::UX, if has("no_execute") { 0b1_0100 } else { 0b100 }),
    ] {
        for (cause, entry, more) in [(NotMapped, 0, 0), (Denied, 1, 1), (Reserved(""), 1 << 51 | 1, 0b1001)] {
            raises(subject, &met(access, cause, 0, entry), &bare, Some(code | more))?;
            let fetch = if access.intersects(Rights::X) { 0b1_0000 } else { 0 };
            raises(subject, &met(access, cause, 0, entry), &[0, 1 << 20, 0, 0, 0], Some(code | more | fetch))?;
        }
        raises(subject, &met(access, Input, 0, 0), &bare, None)?;
    }
    // A page of key 3, in bits 62:59: access disable is bit 6 of PKRU and IA32_PKRS, write disable bit 7.
    let page = 3 << 59 | 0b101;
    for (granted, param, place) in [(Rights::UR, "user_keys", 3), (Rights::PR, "supervisor_keys", 4)] {
        for (access, wp, bits, denied) in [
            (Rights::PR, 0, 1 << 6, true),
            (Rights::PR, 0, 1 << 7, false),
            (Rights::PR, 0, !(3 << 6), false),
            (Rights::PW, 0, 1 << 6, true),
            (Rights::PW, 0, 1 << 7, false),
            (Rights::PW, 1 << 16, 1 << 7, true),
            (Rights::PW, 1 << 16, !(3 << 6), false),
            (Rights::UW, 0, 1 << 7, granted == Rights::UR),
            (Rights::PX, 0, 1 << 6, false),
        ] {
            let mut controls = [wp, 0, 0, 0, 0];
            controls[place] = bits;
            let code = u64::from(access.intersects(Rights::W)) << 1
                | u64::from(access.intersects(Rights::U)) << 2
                | u64::from(access.intersects(Rights::X) && has("no_execute")) << 4
                | u64::from(denied && has(param)) << 5;
            let fault = Stage1Fault { granted, ..met(access, Denied, 0, page) };
            raises(subject, &fault, &controls, Some(code | 1))?;
        }
    }
    Ok(())
}

/// The same of 32-bit paging, which has neither an execute-disable bit nor keys, and no address that is not canonical.
fn page_fault_without_keys(subject: &Interpreted) -> Result<(), String> {
    let no_execute = subject.0.params.get("no_execute") == Some(1);
    for (access, code) in [
        (Rights::PR, 0),
        (Rights::PW, 0b010),
        (Rights::PX, 0),
        (Rights::UR, 0b100),
        (Rights::UW, 0b110),
        (Rights::UX, 0b100),
    ] {
        for (cause, more) in [(NotMapped, 0), (Denied, 1), (Reserved(""), 0b1001)] {
            // CR0, CR4 (SMEP 20), RFLAGS.
            for smep in [0, 1 << 20] {
                let fetch = u64::from(access.intersects(Rights::X) && (no_execute || smep != 0)) << 4;
                raises(subject, &met(access, cause, 0, 1), &[0, smep, 0], Some(code | more | fetch))?;
            }
        }
    }
    Ok(())
}

/// Arm ARM, ESR_ELx: EC 31:26 (0x20 and 0x21 instruction aborts, 0x24 and 0x25 data aborts, the even ones from EL0), IL 25,
/// WnR 6; the fault status with the manual's level, of which -1 has codes of its own. An address out of range is said to
/// fault at level 0.
fn arm(subject: &Interpreted, accesses: &[Rights]) -> Result<(), String> {
    for access in accesses {
        let class = u64::from(!access.intersects(Rights::X)) << 2 | u64::from(!access.intersects(Rights::U));
        let around = (0x20 | class) << 26 | 1 << 25 | u64::from(access.intersects(Rights::W)) << 6;
        let says = |cause, level, entry, status| {
            raises(subject, &met(*access, cause, level, entry), &[0, 0], Some(around | status))
        };
        for level in 0..subject.geometry().levels {
            // The register has all bits of an address that no table translates.
            let outside = Stage1Fault { address: 1 << 63 | ADDRESS, ..met(*access, Input, level, 0) };
            raises(subject, &outside, &[0, 0], Some(around | 0b00_0100))?;
            let here = u64::from(3_u8.wrapping_sub(level)) & 0b11;
            let of_level = |code: u64, minus_one| if level == 4 { minus_one } else { code | here };
            says(NotMapped, level, 0, of_level(0b00_0100, 0b10_1011))?;
            // A table or page, and a block where there are none.
            says(Reserved(""), level, 0b11, of_level(0b00_0000, 0b10_1001))?;
            let blocks = level > 0 && subject.page_sizes(level).0 != 0;
            says(Reserved(""), level, 0b01, of_level(if blocks { 0b00_0000 } else { 0b00_0100 }, 0b10_1011))?;
            if level < 4 {
                says(NotMarked, level, 0b11, 0b00_1000 | here)?;
                says(Denied, level, 0b11, 0b00_1100 | here)?;
            }
        }
        raises(subject, &met(*access, NotMapped, subject.geometry().levels, 0), &[0, 0], None)?;
    }
    Ok(())
}

/// Arm ARM, Translation regimes: that of EL2 (HCR_EL2.E2H 0) is for EL2 alone, so that EL0 makes no access in it.
fn no_user_mode(subject: &Interpreted) -> Result<(), String> {
    let each = |access: Rights| [Input, NotMapped, Denied].map(|why| met(access, why, 0, 0b11));
    USER.into_iter().flat_map(each).try_for_each(|fault| raises(subject, &fault, &[0, 0], None))
}

/// RISC-V Privileged Architecture, scause: page faults of instructions, loads, and stores.
fn riscv(subject: &Interpreted) -> Result<(), String> {
    for (access, cause) in
        [(Rights::PX, 12), (Rights::UX, 12), (Rights::PR, 13), (Rights::UR, 13), (Rights::PW, 15), (Rights::UW, 15)]
    {
        for why in [Input, NotMapped, Reserved(""), NotMarked, Denied] {
            raises(subject, &met(access, why, 0, 0), &[0], Some(cause))?;
        }
    }
    Ok(())
}

/// LoongArch Reference Manual, Volume 1, ESTAT: Ecode 21:16 is PIL 1, PIS 2, PIF 3, PME 4, PNR 5, PNX 6, PPI 7. In a leaf,
/// PLV is 3:2, RPLV 63.
fn loongarch(subject: &Interpreted) -> Result<(), String> {
    let has = |param| subject.0.params.get(param) == Some(1);
    for access in [Rights::PR, Rights::PW, Rights::PX, Rights::UR, Rights::UW, Rights::UX] {
        let says = |cause, entry, code: Option<u64>| {
            raises(subject, &met(access, cause, 0, entry), &[], code.map(|code| code << 16))
        };
        let invalid = match (access.intersects(Rights::W), access.intersects(Rights::X)) {
            (true, _) => 2,
            (_, true) => 3,
            _ => 1,
        };
        says(Input, 0, None)?;
        says(NotMapped, 0, Some(invalid))?;
        for (restricted, level, inhibits) in
            (0..2).flat_map(|bit| (0..4).flat_map(move |l| (0..2).map(move |i| (bit, l, i))))
        {
            let of_user = u64::from(access.intersects(Rights::U)) * 3;
            let foreign = if restricted == 1 && has("restricted_level") { of_user != level } else { of_user > level };
            // NX is bit 62, NR bit 61. A fetch that nothing forbids is not denied.
            let code = match invalid {
                3 if inhibits == 1 && has("execute_protection") => Some(6),
                _ if foreign => Some(7),
                3 => continue,
                2 => Some(4),
                _ => Some(5),
            };
            says(Denied, restricted << 63 | inhibits << 62 | 1 << 61 | level << 2, code)?;
        }
        let user = 3 << 2;
        if access.intersects(Rights::W) {
            says(NotMarked, user, Some(4))?;
        }
    }
    Ok(())
}
