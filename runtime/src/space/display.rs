//! An address space shown for people.

use core::fmt::{self, Display, Formatter};

use super::{AddrSpace, Area, Backend};
use crate::{ClosedRange, Format, Hal};

impl<F: Format, H: Hal, B: Backend> Display for AddrSpace<F, H, B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (info, geometry) = (F::INFO, self.table.geometry());
        write!(f, "{}: {} levels, {}-bit guest addresses, ", info.title, geometry.levels, geometry.input_bits)?;
        write!(f, "root at {:?}, {:?}", self.table.root(), self.table.tag())?;
        self.areas().try_for_each(|area| write!(f, "\n  {area}"))
    }
}

impl<B: Display> Display for Area<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (range, attributes) = (self.range(), self.attributes());
        let (size, unit) = size(range);
        write!(f, "{:#014x}..={:#014x}  {size:>5} {unit:3}  ", range.start(), range.last())?;
        write!(f, "{}  {:?}  {}", attributes.rights, attributes.memory, self.backend())
    }
}

/// The size of a range and its unit: the largest unit of which it is a multiple.
fn size(range: ClosedRange) -> (u128, &'static str) {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut bytes = u128::from(range.span()) + 1;
    let mut unit = 0;
    while bytes.is_multiple_of(1024) && unit + 1 < UNITS.len() {
        bytes /= 1024;
        unit += 1;
    }
    (bytes, UNITS.get(unit).copied().unwrap_or_default())
}
