//! The target's format and its parameters. A hypervisor reads them from the CPU's identification registers: see
//! `Config::from_capabilities`.

#[cfg(feature = "aarch64")]
pub use tablewright::aarch64::stage2_4k::{Config, Format};
#[cfg(feature = "loongarch64")]
pub use tablewright::loongarch64::loongarch64_4k::{Config, Format};
#[cfg(feature = "riscv64")]
pub use tablewright::riscv64::sv_x4::{Config, Format};
#[cfg(feature = "x86_64")]
pub use tablewright::x86_64::ept::{Config, Format};

/// The smallest machine of each kind.
pub fn config() -> Config {
    #[cfg(feature = "aarch64")]
    return Config { pa_bits: 40, ..Config::new(3, 40) };
    #[cfg(feature = "loongarch64")]
    return Config::new(3, 39);
    #[cfg(feature = "riscv64")]
    return Config::new(3, 41);
    #[cfg(feature = "x86_64")]
    return Config { pa_bits: 39, ..Config::new(4, 48) };
}
