//! Where guest physical addresses lead.

use super::{AddrSpace, Backend};
use crate::{Attributes, ClosedRange, Format, GuestPhysAddr, Hal, HostPhysAddr, Lookup};

/// Where a guest physical address leads.
///
/// ```
/// use tablewright::Rights;
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// space.map_alloc(0x8000_0000.into(), 0x1000, rw, true)?;
/// let found = space.query(0x8000_0123.into()).ok_or("not mapped")?;
/// assert_eq!((found.attributes.rights, found.page_bits), (Rights::RW, 12));
/// assert_eq!(found.address.as_usize() & 0xfff, 0x123);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The host physical address.
    pub address: HostPhysAddr,
    /// The attributes of the page.
    pub attributes: Attributes,
    /// log2 of the size of the page that maps it.
    pub page_bits: u8,
}

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// The host physical address behind `address`, if it is mapped at this moment.
    pub fn translate(&self, address: GuestPhysAddr) -> Option<HostPhysAddr> {
        self.table.translate(address.as_usize() as u64).map(|output| HostPhysAddr::from_usize(output as usize))
    }

    /// Where `address` leads, if it is mapped at this moment.
    pub fn query(&self, address: GuestPhysAddr) -> Option<Translation> {
        let address = address.as_usize() as u64;
        match self.table.query(address).filter(|_| self.range.contains(address))? {
            Lookup::Mapped(leaf) => Some(Translation {
                address: HostPhysAddr::from_usize(leaf.output(address) as usize),
                attributes: leaf.attributes,
                page_bits: leaf.size,
            }),
            Lookup::Hole(_) => None,
        }
    }

    /// Where `address` leads, and how many bytes from there on are mapped at this moment to consecutive host physical
    /// memory, with the same attributes and in the same area. It looks at each leaf in them, so call it once for a
    /// range, not for each of its pages.
    pub fn translate_and_get_limit(&self, address: GuestPhysAddr) -> Option<(HostPhysAddr, usize)> {
        let area = self.find_area(address)?;
        let wanted = ClosedRange::new(address.as_usize() as u64, area.range().last())?;
        let region = self.table.regions(wanted).next().filter(|region| region.range.start() == wanted.start())?;
        let limit = region.range.span().saturating_add(1) as usize;
        Some((HostPhysAddr::from_usize(region.address as usize), limit))
    }
}
