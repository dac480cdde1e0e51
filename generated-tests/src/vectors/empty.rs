//! The table that empty directory entries lead to: its address has as many bits as a physical one, whatever the value
//! has above.

use tablewright::testing::Configured;
use tablewright_archdefs::bound::Bound;

pub(super) fn check(format: &str, config: &str, case: &Configured) -> Result<(), String> {
    // LoongArch Reference Manual, Volume 1: of a virtual address in a direct mapping window, the low bits are physical.
    if (format, config) != ("loongarch64", "4k-upper") {
        return Ok(());
    }
    let every_bit = [("invalid_table", -0x1000), ("pa_bits", 44)];
    let sized = [("levels", case.params.levels()), ("input_bits", case.params.input_bits())];
    let params = case.params.with(&case.format, &[sized, every_bit].concat()).map_err(|error| error.to_string())?;
    let bound = Bound::new(&case.format, &params).map_err(|error| error.to_string())?;
    for level in 0..3 {
        let found = bound.level(level).and_then(|level| level.empty_table).map(|(address, _)| address);
        let wanted = (level > 0).then_some(0x0fff_ffff_f000);
        if found != wanted {
            return Err(format!("nothing leads to {found:x?} at level {level}, and should lead to {wanted:x?}"));
        }
    }
    Ok(())
}
