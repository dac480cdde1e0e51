//! The format of each architecture's nested tables, with parameters that every such machine supports: the original's
//! interface has no way to state what else a CPU can do.

#[cfg(target_arch = "aarch64")]
use tablewright::aarch64::stage2_4k as nested;
#[cfg(target_arch = "riscv64")]
use tablewright::riscv64::sv_x4 as nested;
#[cfg(target_arch = "x86_64")]
use tablewright::x86_64::ept as nested;

use nested::Config;
pub(crate) use nested::Format;
use tablewright::ConfigError;

/// The format with `levels` levels and the widest input addresses that clients may configure for them.
pub(crate) fn of_levels(levels: usize) -> Result<Format, ConfigError> {
    let levels = u8::try_from(levels).unwrap_or(u8::MAX);
    Format::new(&config(levels))
}

#[cfg(target_arch = "x86_64")]
fn config(levels: u8) -> Config {
    Config { five_level: levels > 4, ..Config::new(levels, levels.saturating_mul(9).saturating_add(12)) }
}

/// Three levels translate 40 bits, with a root of two tables. For 39 bits, the hardware uses only the first of them.
#[cfg(target_arch = "aarch64")]
fn config(levels: u8) -> Config {
    Config::new(levels, if levels == 3 { 40 } else { levels.saturating_mul(9).saturating_add(12) })
}

#[cfg(target_arch = "riscv64")]
fn config(levels: u8) -> Config {
    Config::new(levels, levels.saturating_mul(9).saturating_add(14))
}

/// Whether this CPU may execute the format's invalidations at this moment: INVEPT only in VMX operation. Outside of it no
/// guest runs here, and clients invalidate when they load the root.
#[cfg(all(target_arch = "x86_64", target_os = "none"))]
pub(crate) fn may_invalidate() -> bool {
    const VMXE: u64 = 1 << 13;
    let cr4: u64;
    // SAFETY: it is only read, by code of a hypervisor, which may do so.
    unsafe { core::arch::asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags)) };
    cr4 & VMXE != 0
}

#[cfg(not(all(target_arch = "x86_64", target_os = "none")))]
pub(crate) fn may_invalidate() -> bool {
    true
}
