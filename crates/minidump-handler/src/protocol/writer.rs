//! Writes a message into memory that was set aside before: it allocates nothing and cannot panic, so that a signal
//! handler may do it.

use super::{FIELD_HEADER, HEADER, MAGIC, VERSION, padded};

/// A message that grows. What has no room is left out, whole field by whole field.
#[derive(Debug)]
pub struct MessageWriter<'b> {
    buffer: &'b mut [u8],
    length: usize,
}

impl<'b> MessageWriter<'b> {
    /// Begins a message of a kind in `buffer`, whatever that held. `None` when not even the header has room.
    pub fn new(buffer: &'b mut [u8], kind: u16) -> Option<Self> {
        let mut writer = Self { buffer, length: 0 };
        let [m0, m1, m2, m3] = MAGIC.to_le_bytes();
        let ([v0, v1], [k0, k1]) = (VERSION.to_le_bytes(), kind.to_le_bytes());
        let header = [m0, m1, m2, m3, v0, v1, k0, k1, 0, 0, 0, 0, 0, 0, 0, 0];
        writer.copy(0, &header).then_some(())?;
        writer.length = HEADER;
        Some(writer)
    }

    /// Appends a field of the bytes of `parts`, one behind the other. Whether it had room.
    pub fn field(&mut self, tag: u16, parts: &[&[u8]]) -> bool {
        let bytes = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let Ok(told) = u32::try_from(bytes) else { return false };
        let body = self.length.saturating_add(FIELD_HEADER);
        let end = body.saturating_add(padded(bytes));
        let Some(room) = self.buffer.get_mut(self.length..end) else { return false };
        room.fill(0);
        let ([t0, t1], [l0, l1, l2, l3]) = (tag.to_le_bytes(), told.to_le_bytes());
        let mut at = body;
        let mut whole = self.copy(self.length, &[t0, t1, 0, 0, l0, l1, l2, l3]);
        for part in parts {
            whole &= self.copy(at, part);
            at = at.saturating_add(part.len());
        }
        if whole {
            self.length = end;
        }
        whole
    }

    /// Appends fields that another message had. Whether they had room.
    pub fn append(&mut self, fields: &[u8]) -> bool {
        let whole = self.copy(self.length, fields);
        if whole {
            self.length = self.length.saturating_add(fields.len());
        }
        whole
    }

    /// The fields so far.
    pub fn fields(&self) -> &[u8] {
        self.buffer.get(HEADER..self.length).unwrap_or(&[])
    }

    /// The message, its length entered.
    pub fn finish(mut self) -> &'b [u8] {
        let told = u32::try_from(self.length).unwrap_or(u32::MAX).to_le_bytes();
        self.copy(8, &told);
        let Self { buffer, length } = self;
        buffer.get(..length).unwrap_or(&[])
    }

    fn copy(&mut self, at: usize, bytes: &[u8]) -> bool {
        let room = at.checked_add(bytes.len()).and_then(|end| self.buffer.get_mut(at..end));
        room.is_some_and(|room| {
            // The lengths are equal, so this copies all of it; `copy_from_slice` would be a place to panic.
            room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            true
        })
    }
}
