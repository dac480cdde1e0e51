//! What generic code knows of a format's parameters and registers.

use super::Format;

/// A format whose parameters and registers can be reached by name: every format that was made from a file.
///
/// It is for generic code that gets them from a file, a command line or a machine: the associated types of [`Format`]
/// have fields, which only code that knows the format can name.
///
/// ```
/// use tablewright::{ByName, Format, HostPhysAddr, Tag, riscv64::sv_x4};
///
/// /// The registers of any format for tables at `root`, with parameters that somebody typed.
/// fn registers<F: ByName>(set: &[(&str, i64)], root: HostPhysAddr) -> Option<Vec<(&'static str, u64)>> {
///     let mut config = F::config(3, 41);
///     let known = set.iter().all(|(name, value)| F::set(&mut config, name, *value));
///     let format = F::new(&config).ok().filter(|_| known)?;
///     let registers = format.registers(root, Tag(1)).ok()?;
///     Some(F::register_values(&registers).collect())
/// }
///
/// let found = registers::<sv_x4::Format>(&[("svpbmt", 1)], 0x8000_4000.into());
/// assert!(found.is_some_and(|found| found.contains(&("hgatp", 0x8000_1000_0008_0004))));
/// // No parameter of this format.
/// assert_eq!(registers::<sv_x4::Format>(&[("five_level", 1)], 0x8000_4000.into()), None);
/// ```
pub trait ByName: Format {
    /// The default parameters, with this number of levels and width of an input address in bits.
    fn config(levels: u8, input_bits: u8) -> Self::Config;

    /// Sets a parameter; 0 and 1 stand for false and true. [`Format::new`] checks whether the value is legal.
    ///
    /// `false` if there is no such parameter, it cannot hold the value, or it is fixed to another value.
    fn set(config: &mut Self::Config, name: &str, value: i64) -> bool;

    /// Each parameter's name and value, as [`ByName::set`] takes them, with `levels` and `input_bits`.
    fn parameters(config: &Self::Config) -> impl Iterator<Item = (&'static str, i64)>;

    /// The parameters of a machine, from the values of its identification registers in the order of the format's file;
    /// `None` if the number of registers is wrong.
    fn of_machine(registers: &[u64], levels: u8, input_bits: u8) -> Option<Self::Config>;

    /// Each register's name and value.
    fn register_values(registers: &Self::Registers) -> impl Iterator<Item = (&'static str, u64)>;

    /// A fault report from its registers' values, in the order of the file; `None` as for [`ByName::of_machine`].
    fn report(registers: &[u64]) -> Option<Self::Report>;

    /// Each register of a report and its value.
    fn report_values(report: &Self::Report) -> impl Iterator<Item = (&'static str, u64)>;

    /// The registers that modify rights at the time of an access, from their values, likewise.
    fn controls(registers: &[u64]) -> Option<Self::Controls>;
}
