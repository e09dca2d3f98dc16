use super::FormatError;
use minidump_common::format::{MINIDUMP_LOCATION_DESCRIPTOR, RVA};
use scroll::ctx::{SizeWith, TryIntoCtx};
use scroll::{Endian, Pwrite};
use std::marker::PhantomData;

/// Room for values of type `T` that are written later, at a place that is known now.
#[derive(Debug)]
pub struct ReservedArray<T> {
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
    /// Offset of the `MINIDUMP_LOCATION_DESCRIPTOR`, which is zero so far.
    pub slot: usize,
    /// First address of the memory.
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
}

/// The start of the file, as far as it is laid out: all but the target's memory.
///
/// Everything is appended, little endian and without padding between the fields. Offsets are 64 bits wide inside; one
/// that a 32-bit field cannot hold is an error, never wrapped.
#[derive(Debug, Default)]
pub struct MemoryWriter {
    data: Vec<u8>,
    memory_references: Vec<MemoryReference>,
}

impl MemoryWriter {
    /// An empty buffer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { data: Vec::with_capacity(capacity), memory_references: Vec::new() }
    }

    /// Offset in the file of the next byte.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.data.len() as u64
    }

    /// Appends a structure. Returns where it lies.
    ///
    /// # Errors
    /// It lies out of reach, or cannot be encoded.
    pub fn write<T>(&mut self, value: T) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError>
    where
        T: SizeWith<Endian> + TryIntoCtx<Endian, Error = scroll::Error>,
    {
        let reserved = self.reserve_array::<T>(1)?;
        self.fill(&reserved, 0, value)?;
        location(reserved.start as u64, size_of_encoded::<T>() as u64)
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
        let units: Vec<u16> = String::from_utf8_lossy(text).encode_utf16().collect();
        self.write_utf16(&units)
    }

    /// Appends a `MINIDUMP_STRING` of the given code units. Returns its offset.
    pub(crate) fn write_utf16(&mut self, units: &[u16]) -> Result<RVA, FormatError> {
        self.align(4);
        let size = units.len().saturating_mul(2);
        // Checks the whole string, terminator included, before the first byte of it is appended.
        let whole = location(self.position(), size as u64 + 6)?;
        self.make_room(size.saturating_add(6));
        self.data.extend_from_slice(&whole.data_size.saturating_sub(6).to_le_bytes());
        for unit in units {
            self.data.extend_from_slice(&unit.to_le_bytes());
        }
        self.data.extend_from_slice(&[0; 2]);
        Ok(whole.rva)
    }

    /// Appends zeros up to the next multiple of `alignment` bytes.
    pub fn align(&mut self, alignment: usize) {
        let aligned = self.data.len().checked_next_multiple_of(alignment).unwrap_or(self.data.len());
        self.make_room(aligned - self.data.len());
        self.data.resize(aligned, 0);
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
        location(start as u64, size as u64)?;
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

    /// Forgets everything from `position` on: a section that failed half-way.
    pub(crate) fn truncate(&mut self, position: u64) {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        self.data.truncate(position);
        self.memory_references.retain(|reference| reference.slot < position);
    }

    /// The bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.data
    }

    /// Grows by an eighth rather than to the double, so that a big buffer does not waste half of its memory.
    fn make_room(&mut self, size: usize) {
        const LEAST: usize = 16 << 10;
        if self.data.capacity() - self.data.len() < size {
            self.data.reserve_exact(size.max(self.data.len() / 8).max(LEAST));
        }
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
