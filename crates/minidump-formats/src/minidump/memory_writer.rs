use super::FormatError;
use super::deferred::Deferred;
use minidump_common::format::{MINIDUMP_LOCATION_DESCRIPTOR, RVA};
use scroll::ctx::{SizeWith, TryIntoCtx};
use scroll::{Endian, Pwrite};
use std::marker::PhantomData;

/// Room for values of type `T` that are written later, at a place that is known now.
#[derive(Debug)]
pub struct ReservedArray<T> {
    /// Index in the buffer, which does not count what is deferred.
    start: usize,
    count: usize,
    element: PhantomData<T>,
}

impl<T: SizeWith<Endian>> ReservedArray<T> {
    fn offset_of(&self, index: usize) -> Result<usize, FormatError> {
        let inside = Some(index).filter(|index| *index < self.count);
        let offset = inside.and_then(|index| index.checked_mul(size_of_encoded::<T>()));
        let offset = offset.and_then(|offset| offset.checked_add(self.start));
        offset.ok_or(FormatError::Count { count: index as u64 })
    }
}

/// A place in the buffer that is to point to target memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryReference {
    /// Index in the buffer of the `MINIDUMP_LOCATION_DESCRIPTOR`, which is zero so far.
    pub slot: usize,
    /// First address of the memory.
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
}

/// A part of the file that is not in the buffer, but made when the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// How much of the buffer is in front of it.
    pub index: usize,
    /// Size in bytes.
    pub size: u64,
    /// What it is.
    pub contents: Deferred,
}

/// The start of the file, as far as it is laid out: all but the target's memory.
///
/// Everything is appended, little endian and without padding between the fields. Offsets are 64 bits wide inside; one
/// that a 32-bit field cannot hold is an error, never wrapped.
#[derive(Debug, Default)]
pub struct MemoryWriter {
    data: Vec<u8>,
    /// In the order of the file.
    gaps: Vec<Gap>,
    memory_references: Vec<MemoryReference>,
}

impl MemoryWriter {
    /// An empty buffer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { data: Vec::with_capacity(capacity), ..Self::default() }
    }

    /// Offset in the file of the next byte.
    #[must_use]
    pub fn position(&self) -> u64 {
        let deferred = self.gaps.iter().map(|gap| gap.size);
        deferred.fold(self.data.len() as u64, u64::saturating_add)
    }

    /// Appends a structure. Returns where it lies.
    ///
    /// # Errors
    /// It lies out of reach, or cannot be encoded.
    pub fn write<T>(&mut self, value: T) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError>
    where
        T: SizeWith<Endian> + TryIntoCtx<Endian, Error = scroll::Error>,
    {
        let start = self.position();
        let reserved = self.reserve_array::<T>(1)?;
        self.fill(&reserved, 0, value)?;
        location(start, size_of_encoded::<T>() as u64)
    }

    /// Appends bytes as they are. Returns where they lie.
    ///
    /// # Errors
    /// They lie out of reach.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
        let location = location(self.position(), bytes.len() as u64)?;
        self.make_room(bytes.len());
        self.data.extend_from_slice(bytes);
        Ok(location)
    }

    /// Appends a `MINIDUMP_STRING`: length in bytes as u32, UTF-16 code units, a terminating zero that the length
    /// does not count. What is not UTF-8 becomes U+FFFD. Returns its offset.
    ///
    /// # Errors
    /// It lies out of reach.
    pub fn write_string(&mut self, text: &[u8]) -> Result<RVA, FormatError> {
        self.write_utf16(text.len(), |data| {
            for chunk in text.utf8_chunks() {
                append_utf16(data, chunk.valid());
                if !chunk.invalid().is_empty() {
                    let replacement = u32::from(char::REPLACEMENT_CHARACTER).to_le_bytes();
                    data.extend_from_slice(&replacement[..2]);
                }
            }
        })
    }

    /// Appends a `MINIDUMP_STRING` of the given code units. Returns its offset.
    pub(crate) fn write_units(&mut self, units: &[u16]) -> Result<RVA, FormatError> {
        self.write_utf16(units.len(), |data| data.extend(units.iter().flat_map(|unit| unit.to_le_bytes())))
    }

    /// Appends a `MINIDUMP_STRING` of at most `most_units` code units, which `append` appends. Returns its offset.
    fn write_utf16(
        &mut self,
        most_units: usize,
        append: impl FnOnce(&mut Vec<u8>),
    ) -> Result<RVA, FormatError> {
        self.align(4);
        let start = self.position();
        let most = most_units.saturating_mul(2).saturating_add(6);
        // Before the first byte is appended, so that what is out of reach takes no memory.
        location(start, most as u64)?;
        self.make_room(most);
        let length = self.reserve_array::<u32>(1)?;
        let text = self.data.len();
        append(&mut self.data);
        self.fill(&length, 0, count(self.data.len().saturating_sub(text))?)?;
        self.data.extend_from_slice(&[0; 2]);
        Ok(self.location_since(start)?.rva)
    }

    /// Appends zeros up to the next multiple of `alignment` bytes.
    pub fn align(&mut self, alignment: usize) {
        let position = self.position();
        let aligned = position.checked_next_multiple_of(alignment as u64).unwrap_or(position);
        let padding = usize::try_from(aligned - position).unwrap_or(0);
        self.make_room(padding);
        self.data.resize(self.data.len().saturating_add(padding), 0);
    }

    /// Appends zeros where `count` structures go that [`fill`](Self::fill) writes later.
    ///
    /// # Errors
    /// They lie out of reach.
    pub fn reserve_array<T: SizeWith<Endian>>(
        &mut self,
        count: usize,
    ) -> Result<ReservedArray<T>, FormatError> {
        let start = self.data.len();
        let size =
            count.checked_mul(size_of_encoded::<T>()).ok_or(FormatError::Count { count: count as u64 })?;
        location(self.position(), size as u64)?;
        self.make_room(size);
        self.data.resize(start.saturating_add(size), 0);
        Ok(ReservedArray { start, count, element: PhantomData })
    }

    /// Writes the structure number `index` of a reserved array.
    ///
    /// # Errors
    /// There is no such structure, or it cannot be encoded.
    pub fn fill<T>(&mut self, array: &ReservedArray<T>, index: usize, value: T) -> Result<(), FormatError>
    where
        T: SizeWith<Endian> + TryIntoCtx<Endian, Error = scroll::Error>,
    {
        self.data.pwrite_with(value, array.offset_of(index)?, Endian::Little)?;
        Ok(())
    }

    /// Leaves `size` bytes to what is made when the file is written. Returns where they lie.
    pub(crate) fn defer(
        &mut self,
        size: u64,
        contents: Deferred,
    ) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
        let location = location(self.position(), size)?;
        self.gaps.push(Gap { index: self.data.len(), size, contents });
        Ok(location)
    }

    /// Where everything lies that was appended since `start`, which an earlier [`position`](Self::position) gave.
    ///
    /// # Errors
    /// It lies out of reach.
    pub fn location_since(&self, start: u64) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
        location(start, self.position().saturating_sub(start))
    }

    /// Has the location descriptor at `field` bytes into structure `index` of the array point to the given target
    /// memory, once it is known where that comes to lie. It stays zero when the plan does not hold the memory in one
    /// piece or a 32-bit offset does not reach it.
    pub(crate) fn refer_to_memory<T: SizeWith<Endian>>(
        &mut self,
        (array, index, field): (&ReservedArray<T>, usize, usize),
        address: u64,
        size: u64,
    ) -> Result<(), FormatError> {
        let slot = array.offset_of(index)?.saturating_add(field);
        self.memory_references.push(MemoryReference { slot, address, size });
        Ok(())
    }

    /// Fills in the descriptors that refer to memory. `locate` tells the offset in the file of a memory range.
    pub(crate) fn resolve_memory(
        &mut self,
        locate: impl Fn(u64, u64) -> Option<u64>,
    ) -> Result<(), FormatError> {
        for reference in std::mem::take(&mut self.memory_references) {
            let offset = locate(reference.address, reference.size);
            let Some(Ok(location)) = offset.map(|offset| location(offset, reference.size)) else { continue };
            self.data.pwrite_with(location, reference.slot, Endian::Little)?;
        }
        Ok(())
    }

    /// What is in the buffer, and how much of the file is not, so that [`rewind`](Self::rewind) can forget the rest.
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.data.len(), self.gaps.len())
    }

    /// Forgets everything behind a [`mark`](Self::mark): a section that failed half-way.
    pub(crate) fn rewind(&mut self, (bytes, gaps): (usize, usize)) {
        self.data.truncate(bytes);
        self.gaps.truncate(gaps);
        self.memory_references.retain(|reference| reference.slot < bytes);
    }

    /// All but what is deferred.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// All but what is deferred, and that.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<Gap>) {
        (self.data, self.gaps)
    }

    /// Grows by an eighth rather than to the double, so that a big buffer does not waste half of its memory.
    fn make_room(&mut self, size: usize) {
        const LEAST: usize = 16 << 10;
        if self.data.capacity() - self.data.len() < size {
            self.data.reserve_exact(size.max(self.data.len() / 8).max(LEAST));
        }
    }
}

/// Appends `text` as UTF-16. Most texts are ASCII, which takes no decoding.
fn append_utf16(data: &mut Vec<u8>, text: &str) {
    if !text.is_ascii() {
        data.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        return;
    }
    let start = data.len();
    data.resize(start.saturating_add(text.len().saturating_mul(2)), 0);
    let units = data.get_mut(start..).unwrap_or_default().chunks_exact_mut(2);
    for (unit, byte) in units.zip(text.bytes()) {
        unit.copy_from_slice(&[byte, 0]);
    }
}

/// Size in bytes of a structure in the file.
pub(crate) fn size_of_encoded<T: SizeWith<Endian>>() -> usize {
    T::size_with(&Endian::Little)
}

/// The location descriptor of `size` bytes at `offset`, if 32 bits hold both and also the offset of their end.
pub(crate) fn location(offset: u64, size: u64) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
    let end = offset.checked_add(size).and_then(|end| u32::try_from(end).ok());
    match (u32::try_from(offset), u32::try_from(size), end) {
        (Ok(rva), Ok(data_size), Some(_)) => Ok(MINIDUMP_LOCATION_DESCRIPTOR { data_size, rva }),
        _ => Err(FormatError::OutOfReach { offset, size }),
    }
}

/// A count as the format's 32-bit field.
pub(crate) fn count(entries: usize) -> Result<u32, FormatError> {
    u32::try_from(entries).map_err(|_| FormatError::Count { count: entries as u64 })
}

#[cfg(test)]
mod tests;
