/// Why a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadEnd {
    /// The buffer is full.
    Complete,
    /// The byte behind the last one read is not mapped, or not readable, or not held by this source.
    Unreadable {
        /// Error number of the operating system, when it gave one.
        os_error: Option<i32>,
    },
    /// The target is gone.
    Gone,
}

/// How much of a read came, and why it ended there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOutcome {
    /// Bytes placed at the start of the buffer. What lies behind them in the buffer is unspecified.
    pub done: usize,
    /// Why there are not more.
    pub end: ReadEnd,
}

impl ReadOutcome {
    /// A read that filled its buffer of `size` bytes.
    #[must_use]
    pub fn complete(size: usize) -> Self {
        Self { done: size, end: ReadEnd::Complete }
    }

    /// A read that met unreadable memory after `done` bytes.
    #[must_use]
    pub fn unreadable(done: usize, os_error: Option<i32>) -> Self {
        Self { done, end: ReadEnd::Unreadable { os_error } }
    }
}

/// One read of a batch.
#[derive(Debug)]
pub struct ReadRequest<'a> {
    /// First address to read.
    pub address: u64,
    /// Where the bytes go.
    pub buffer: &'a mut [u8],
    /// What came of it; filled by [`MemorySource::read_batch`].
    pub outcome: ReadOutcome,
}

impl<'a> ReadRequest<'a> {
    /// A read that has not been done yet.
    #[must_use]
    pub fn new(address: u64, buffer: &'a mut [u8]) -> Self {
        Self { address, buffer, outcome: ReadOutcome::unreadable(0, None) }
    }
}

/// Where memory contents come from: a stopped process, an arena, a core file.
///
/// Reads are partial by contract. A source never invents bytes: what it does not have, it does not count in
/// [`ReadOutcome::done`].
pub trait MemorySource {
    /// Reads from `address` on into `buffer`, up to the first byte that cannot be had.
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome;

    /// Does many reads; sources that can, do them in few system calls. Each request gets its own outcome.
    fn read_batch(&self, requests: &mut [ReadRequest<'_>]) {
        for request in requests {
            request.outcome = self.read(request.address, request.buffer);
        }
    }

    /// The bytes at `address`, at most `size` of them, where this source has them in its own memory in one piece. So
    /// whoever only passes them on need not copy them.
    ///
    /// It may give fewer than it could read, and none at all, which says nothing: [`read`](Self::read) then tells what
    /// there is. What it gives is what `read` would.
    fn slice(&self, address: u64, size: usize) -> &[u8] {
        let _ = (address, size);
        &[]
    }

    /// Reads exactly `N` bytes, or nothing.
    fn read_array<const N: usize>(&self, address: u64) -> Option<[u8; N]>
    where
        Self: Sized,
    {
        let mut bytes = [0; N];
        (self.read(address, &mut bytes).done == N).then_some(bytes)
    }
}
