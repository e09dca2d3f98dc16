//! Connections between processes (sys/socket.h), as far as a pair of them goes.

use super::state::State;
use std::collections::VecDeque;

/// EBADF, EPIPE.
const BAD_DESCRIPTOR: i32 = 9;
const BROKEN_PIPE: i32 = 32;
/// Bytes that wait in a connection of macOS at most, and the room from which on it is said to take some.
const MOST_WAITING: usize = 8192;
const LOW_WATER: usize = 2048;
/// POLLIN, POLLOUT, POLLHUP.
const IN: u16 = 1;
const OUT: u16 = 4;
const HUNG_UP: u16 = 0x10;
/// The first descriptor that a process gets.
const FIRST: u32 = 20;

/// One end of a connection.
#[derive(Debug)]
pub struct End {
    peer: usize,
    incoming: VecDeque<u8>,
    /// Descriptors that stand for it.
    descriptors: u32,
    /// It writes no more.
    is_shut: bool,
}

impl State {
    /// Two ends; nobody has a descriptor of them yet.
    pub fn new_connection(&mut self) -> (usize, usize) {
        let (one, other) = (self.ends.len(), self.ends.len() + 1);
        for peer in [other, one] {
            self.ends.push(End { peer, incoming: VecDeque::new(), descriptors: 0, is_shut: false });
        }
        (one, other)
    }

    /// Gives a process a descriptor of an end: `wanted`, or else a new one.
    pub fn describe(&mut self, process: usize, end: usize, wanted: Option<u32>) -> Result<u32, String> {
        let descriptors = &mut self.process(process)?.descriptors;
        let descriptor =
            wanted.unwrap_or_else(|| descriptors.keys().last().map_or(FIRST, |last| (last + 1).max(FIRST)));
        descriptors.insert(descriptor, end);
        self.ends.get_mut(end).ok_or("there is no such end")?.descriptors += 1;
        Ok(descriptor)
    }

    pub fn end_of(&self, process: usize, descriptor: u32) -> Option<usize> {
        self.processes.get(process)?.descriptors.get(&descriptor).copied()
    }

    pub fn close(&mut self, process: usize, descriptor: u32) -> Result<(), i32> {
        let inside = self.processes.get_mut(process).ok_or(BAD_DESCRIPTOR)?;
        let end = inside.descriptors.remove(&descriptor).ok_or(BAD_DESCRIPTOR)?;
        if let Some(end) = self.ends.get_mut(end) {
            end.descriptors -= 1;
        }
        Ok(())
    }

    fn is_open(&self, end: usize) -> bool {
        self.ends.get(end).is_some_and(|end| end.descriptors > 0)
    }

    /// Whether something can still come from it.
    fn writes(&self, end: usize) -> bool {
        self.is_open(end) && self.ends.get(end).is_some_and(|end| !end.is_shut)
    }

    /// `shutdown` of the direction in which it writes.
    pub fn shut(&mut self, end: usize) {
        if let Some(end) = self.ends.get_mut(end) {
            end.is_shut = true;
        }
    }

    /// What of `events` there is.
    pub fn poll(&self, end: usize, events: u16) -> u16 {
        let Some(own) = self.ends.get(end) else { return 0 };
        let (is_open, writes) = (self.is_open(own.peer), self.writes(own.peer));
        let room = self.ends.get(own.peer).map_or(0, |peer| MOST_WAITING - peer.incoming.len());
        let mut found = 0;
        if !own.incoming.is_empty() || !writes {
            found |= IN;
        }
        if room >= LOW_WATER || !is_open {
            found |= OUT;
        }
        found & events | if is_open { 0 } else { HUNG_UP }
    }

    /// At most `most` bytes; `None` when there are none yet.
    pub fn read(&mut self, end: usize, most: usize) -> Option<Vec<u8>> {
        let is_open = self.ends.get(end).is_some_and(|own| self.writes(own.peer));
        let own = self.ends.get_mut(end)?;
        if own.incoming.is_empty() && is_open {
            return None;
        }
        let count = own.incoming.len().min(most);
        Some(own.incoming.drain(..count).collect())
    }

    /// Writes what there is room for, and returns how much that was.
    pub fn write(&mut self, end: usize, bytes: &[u8]) -> Result<usize, i32> {
        let peer = self.ends.get(end).ok_or(BAD_DESCRIPTOR)?.peer;
        if !self.is_open(peer) {
            return Err(BROKEN_PIPE);
        }
        let peer = self.ends.get_mut(peer).ok_or(BAD_DESCRIPTOR)?;
        let count = bytes.len().min(MOST_WAITING - peer.incoming.len());
        peer.incoming.extend(bytes.iter().take(count));
        Ok(count)
    }
}
