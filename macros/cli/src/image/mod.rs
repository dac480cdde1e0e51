//! Physical memory in files: raw ones, and ELF core files.

mod core_file;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};

use clap::Args;

use crate::failure::{Failure, Result};
use crate::number;
use core_file::loads;

/// The number of bytes, from the start of a core file, in which its headers must lie.
const HEADERS: u64 = 16 << 20;

/// The size of the blocks in which files are read, in bytes.
const BLOCK: u64 = 4096;

/// The size of the parts in which images are compared, in bytes,
const COMPARED: u64 = 64 << 10;
/// and the most bytes that are compared: a file may claim many times over to hold the same memory.
const MOST_COMPARED: u64 = 1 << 30;

/// The number of blocks kept in memory.
const CACHE: usize = 256;

/// Which memory, and where the tables begin.
#[derive(Args, Debug)]
pub(crate) struct ImageArgs {
    /// Physical memory: a raw file and the address it was read from, or an ELF core file; may be repeated
    #[arg(long = "image", value_name = "FILE[@PA]", required = true)]
    pub(crate) images: Vec<String>,
    /// The address of the root table, in hexadecimal
    #[arg(long, value_name = "PA", value_parser = number::raw)]
    pub(crate) root: u64,
}

/// Physical memory that was saved to files. If several files have an address, the first counts.
#[derive(Default)]
pub(crate) struct Memory {
    files: Vec<Source>,
    /// By first address; they do not overlap.
    segments: BTreeMap<u64, Segment>,
    cache: Vec<Option<Block>>,
    /// Pairs of files that were found to differ in memory that both have, the earlier file first.
    differing: BTreeSet<(usize, usize)>,
    /// How many bytes were compared.
    compared: u64,
    /// Remarks about what is odd in the files.
    pub(crate) remarks: Vec<String>,
}

struct Source {
    path: String,
    file: File,
}

/// A range of addresses whose content is in a file.
#[derive(Clone, Copy)]
struct Segment {
    /// The last address.
    last: u64,
    file: usize,
    /// The offset of the first address in the file.
    offset: u64,
}

impl Source {
    /// A part of the file, as far as the file has it.
    fn bytes(&mut self, offset: u64, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.by_ref().take(count).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

struct Block {
    file: usize,
    number: u64,
    bytes: Vec<u8>,
}

impl Memory {
    /// Opens `FILE@PA` (raw) and `FILE` (an ELF core file).
    ///
    /// # Errors
    ///
    /// [`Failure`] if one cannot be read, or is no memory.
    pub(crate) fn open(images: &[String]) -> Result<Self> {
        let cache = (0..CACHE).map(|_| None).collect();
        let mut memory = Self { cache, ..Self::default() };
        for image in images {
            memory.add(image)?;
        }
        Ok(memory)
    }

    fn add(&mut self, image: &str) -> Result<()> {
        let raw = image.rsplit_once('@').and_then(|(path, at)| Some((path, number::raw(at).ok()?)));
        let path = raw.map_or(image, |(path, _)| path);
        let unreadable = |error: io::Error| {
            let failure = Failure::new(format!("cannot read `{path}`: {error}"));
            match path.rsplit_once('@') {
                Some((_, at)) if raw.is_none() => failure.help(format!("`{at}` is no hexadecimal address")),
                _ => failure,
            }
        };
        // Opening a pipe would wait for its writer.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(
                Failure::new(format!("`{path}` is no file")).help("images are read here and there: save it first")
            );
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let length = file.seek(SeekFrom::End(0)).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        let mut head = Vec::new();
        let wanted = if raw.is_some() { 1 } else { HEADERS };
        file.by_ref().take(wanted).read_to_end(&mut head).map_err(unreadable)?;
        let number = self.files.len();
        self.files.push(Source { path: path.to_owned(), file });
        match raw {
            Some((_, address)) => {
                match length.checked_sub(1) {
                    None => self.remarks.push(format!("`{path}` is empty")),
                    Some(beyond) if address.checked_add(beyond).is_none() => {
                        self.remarks.push(format!("`{path}` reaches beyond the last of 2^64 addresses"));
                    }
                    Some(_) => {}
                }
                self.map(address, length, number, 0);
            }
            None => {
                for load in loads(path, &head)? {
                    let there = length.saturating_sub(load.offset).min(load.size);
                    if there < load.size {
                        let missing = load.size - there;
                        self.remarks.push(format!(
                            "`{path}` is cut short: {missing:#x} bytes of the segment at {:#x} are missing",
                            load.address
                        ));
                    }
                    self.map(load.address, there, number, load.offset);
                }
            }
        }
        Ok(())
    }

    /// Adds a part of a file, at those addresses that no earlier part has.
    fn map(&mut self, address: u64, size: u64, file: usize, offset: u64) {
        let Some(beyond) = size.checked_sub(1) else { return };
        let last = address.saturating_add(beyond);
        let before = self.segments.range(..address).next_back().filter(|(_, segment)| segment.last >= address);
        let start = before.map_or(address, |(first, _)| *first);
        let others: Vec<(u64, Segment)> =
            self.segments.range(start..=last).map(|(first, segment)| (*first, *segment)).collect();
        let part = |from, until| Segment { last: until, file, offset: offset.saturating_add(from - address) };
        let mut gaps = Vec::new();
        let mut from = Some(address);
        for (first, other) in &others {
            gaps.extend(from.filter(|from| from < first).map(|from| (from, first - 1)));
            from = other.last.checked_add(1);
        }
        gaps.extend(from.filter(|from| *from <= last).map(|from| (from, last)));
        for (from, until) in gaps {
            self.segments.insert(from, part(from, until));
        }
        for (first, other) in others {
            let from = first.max(address);
            let here = Segment { offset: other.offset.saturating_add(from - first), ..other };
            self.compare(from, here, part(from, last));
        }
    }

    /// Adds a remark on the first difference between two files, at addresses from `address` on that both have.
    fn compare(&mut self, address: u64, earlier: Segment, later: Segment) {
        let last = earlier.last.min(later.last);
        if self.differing.contains(&(earlier.file, later.file)) {
            return;
        }
        let mut from = address;
        loop {
            let count = COMPARED.min((last - from).saturating_add(1));
            if self.compared >= MOST_COMPARED {
                let remark = "images overlap in so many bytes that not all of these were compared";
                if self.remarks.iter().all(|known| known != remark) {
                    self.remarks.push(remark.into());
                }
                return;
            }
            self.compared += count;
            let mut bytes = |segment: Segment| {
                let offset = segment.offset.saturating_add(from - address);
                self.files.get_mut(segment.file)?.bytes(offset, count).ok()
            };
            // A block that cannot be read is reported when it is needed.
            let (Some(one), Some(other)) = (bytes(earlier), bytes(later)) else { return };
            if one != other
                && let Some(differs) = one.iter().zip(&other).position(|(one, other)| one != other)
            {
                let path = |file: usize| self.files.get(file).map_or("", |source| &source.path);
                self.remarks.push(format!(
                    "`{}` and `{}` differ at {:#x}, which both have: the first counts",
                    path(earlier.file),
                    path(later.file),
                    from + differs as u64
                ));
                self.differing.insert((earlier.file, later.file));
                return;
            }
            match from.checked_add(count) {
                Some(next) if next <= last => from = next,
                _ => return,
            }
        }
    }

    /// The word at an address, as a CPU loads it; `None` if no file has all of it.
    pub(crate) fn read(&mut self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        let mut done = 0;
        while done < bytes.len() {
            let part = self.part(address.checked_add(done as u64)?)?;
            let count = part.len().min(bytes.len() - done);
            bytes[done..done + count].copy_from_slice(part.get(..count)?);
            done += count;
        }
        Some(u64::from_ne_bytes(bytes))
    }

    /// The bytes from an address on, up to the end of their block or segment; at least one.
    fn part(&mut self, address: u64) -> Option<&[u8]> {
        let (first, segment) = self.segments.range(..=address).next_back().filter(|(_, s)| s.last >= address)?;
        let offset = segment.offset.checked_add(address - first)?;
        let left = usize::try_from(segment.last - address).unwrap_or(usize::MAX).saturating_add(1);
        let file = segment.file;
        let rest = self.block(file, offset / BLOCK)?.get((offset % BLOCK) as usize..)?;
        Some(&rest[..rest.len().min(left)]).filter(|rest| !rest.is_empty())
    }

    fn block(&mut self, file: usize, number: u64) -> Option<&[u8]> {
        let place = (number as usize).wrapping_add(file.wrapping_mul(31)) % CACHE;
        let slot = self.cache.get_mut(place)?;
        if slot.as_ref().is_none_or(|block| (block.file, block.number) != (file, number)) {
            let source = self.files.get_mut(file)?;
            match source.bytes(number * BLOCK, BLOCK) {
                Ok(bytes) => *slot = Some(Block { file, number, bytes }),
                Err(error) => {
                    self.remarks.push(format!("cannot read block {number} of `{}`: {error}", source.path));
                    return None;
                }
            }
        }
        slot.as_ref().map(|block| block.bytes.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory with segments, whose files are never read.
    fn segments(parts: &[(u64, u64)]) -> Vec<(u64, u64, usize, u64)> {
        let mut memory = Memory::default();
        for (file, &(address, size)) in parts.iter().enumerate() {
            memory.map(address, size, file, 0);
        }
        memory.segments.iter().map(|(first, s)| (*first, s.last, s.file, s.offset)).collect()
    }

    #[test]
    fn the_first_image_of_an_address_counts() {
        assert_eq!(segments(&[(10, 10), (5, 20)]), [(5, 9, 1, 0), (10, 19, 0, 0), (20, 24, 1, 15)]);
        assert_eq!(segments(&[(10, 10), (10, 5)]), [(10, 19, 0, 0)]);
        assert_eq!(segments(&[(10, 10), (15, 10)]), [(10, 19, 0, 0), (20, 24, 1, 5)]);
        assert_eq!(segments(&[(0, 2), (4, 2), (0, 8)]), [(0, 1, 0, 0), (2, 3, 2, 2), (4, 5, 1, 0), (6, 7, 2, 6)]);
    }

    #[test]
    fn the_end_of_the_addresses_is_no_end_of_the_tool() {
        let top = u64::MAX - 1;
        assert_eq!(segments(&[(top, 100), (top - 4, 100)]), [(top - 4, top - 1, 1, 0), (top, u64::MAX, 0, 0)]);
        assert_eq!(segments(&[(u64::MAX, 1), (u64::MAX, 1)]), [(u64::MAX, u64::MAX, 0, 0)]);
        assert_eq!(
            segments(&[(0, u64::MAX), (1, u64::MAX)]),
            [(0, u64::MAX - 1, 0, 0), (u64::MAX, u64::MAX, 1, u64::MAX - 1)]
        );
        assert_eq!(segments(&[(5, 0)]), []);
    }
}
