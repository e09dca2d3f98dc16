use super::super::modules::elf_image::{PAGE_SIZE, page_ceil};
use minidump_snapshot::MemorySource;

/// Most bytes read at once.
const MOST: u64 = 16 << 10;

/// Reads small pieces of memory of which the next mostly lies close behind the one before, such as what an allocator
/// has given out in sequence: once the next piece was found in what had been read, more is read at a time, and as soon
/// as it was not, no more than the rest of a page.
pub struct Ahead<'m> {
    memory: &'m dyn MemorySource,
    start: u64,
    /// Room for what is read, of which so many bytes were.
    buffer: Vec<u8>,
    held: usize,
    /// How much to read next, in bytes.
    size: u64,
    /// Whether a piece was found in `buffer` without reading.
    paid: bool,
}

impl<'m> Ahead<'m> {
    pub fn new(memory: &'m dyn MemorySource) -> Self {
        Self { memory, start: 0, buffer: Vec::new(), held: 0, size: PAGE_SIZE, paid: true }
    }

    /// The piece of `N` bytes at `address`; `None` when it cannot be read as a whole.
    pub fn get<const N: usize>(&mut self, address: u64) -> Option<&[u8; N]> {
        if self.known::<N>(address).is_some() {
            self.paid = true;
        } else {
            self.read(address, N);
        }
        self.known(address)
    }

    fn known<const N: usize>(&self, address: u64) -> Option<&[u8; N]> {
        let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
        self.buffer.get(offset..self.held)?.first_chunk()
    }

    /// Reads from `address` on to the end of a page, at least `least` bytes where they exist.
    fn read(&mut self, address: u64, least: usize) {
        if self.held > 0 {
            self.size = if self.paid { (self.size * 2).min(MOST) } else { PAGE_SIZE };
        }
        let wanted = address.checked_add(least as u64).and_then(page_ceil);
        let ahead = address.checked_add(self.size).map_or(0, |end| end & !(PAGE_SIZE - 1));
        let end = wanted.unwrap_or(u64::MAX).max(ahead);
        let size = usize::try_from(end - address).unwrap_or(least);
        if self.buffer.len() < size {
            self.buffer = vec![0; size];
        }
        let outcome = self.memory.read(address, self.buffer.get_mut(..size).unwrap_or_default());
        self.held = outcome.done.min(size);
        self.start = address;
        self.paid = false;
    }
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use super::super::super::modules::test_elf::Counting;
    use super::*;
    use minidump_snapshot::BufferSource;

    const BASE: u64 = 0x5555_0000_0000;

    fn memory() -> BufferSource {
        let mut memory = BufferSource::new();
        let bytes = (0..0x10_0000u32 / 4).flat_map(u32::to_le_bytes).collect();
        assert!(memory.insert(BASE, bytes));
        memory
    }

    fn expected(offset: u64) -> [u8; 4] {
        u32::try_from(offset / 4).unwrap().to_le_bytes()
    }

    #[test]
    fn pieces_in_sequence_take_few_reads() {
        let memory = memory();
        let counting = Counting::new(&memory);
        let mut ahead = Ahead::new(&counting);
        for offset in (0..0x8_0000).step_by(1424) {
            assert_eq!(ahead.get(BASE + offset), Some(&expected(offset)));
        }
        assert!(counting.reads.get() <= 0x8_0000 / 0x4000 + 6, "{} reads", counting.reads.get());
    }

    #[test]
    fn pieces_all_over_the_place_take_a_read_and_a_page_each() {
        let memory = memory();
        let counting = Counting::new(&memory);
        let mut ahead = Ahead::new(&counting);
        for offset in [0x9_0000, 0x1_0004, 0x5_0ff8, 0x4_0000] {
            assert_eq!(ahead.get(BASE + offset), Some(&expected(offset)));
            assert!(ahead.held <= 0x2000, "{}", ahead.held);
        }
        assert_eq!(counting.reads.get(), 4);
    }

    #[test]
    fn a_piece_across_pages_is_read_and_one_across_the_end_is_not() {
        let memory = memory();
        let mut ahead = Ahead::new(&memory);
        let whole: [u8; 8] = [expected(0xffc), expected(0x1000)].concat().try_into().unwrap();
        assert_eq!(ahead.get(BASE + 0xffc), Some(&whole));
        assert_eq!(ahead.get(BASE + 0xf_fffc), Some(&expected(0xf_fffc)));
        assert_eq!(ahead.get::<8>(BASE + 0xf_fffc), None);
        for address in [0, BASE - 2, BASE + 0x10_0000, u64::MAX, u64::MAX - 100] {
            assert_eq!(ahead.get::<8>(address), None, "{address:#x}");
        }
    }
}
