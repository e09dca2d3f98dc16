//! Processes that a test plays: they say what a program of ours never would, too.

use crate::parties::{CLIENT, LONG, account};
use apple_emulator::kernel::{Delivered, Name, Process};

/// MACH_MSG_TYPE_*.
pub const MOVE_RECEIVE: u32 = 16;
pub const MOVE_SEND_ONCE: u32 = 18;
pub const COPY_SEND: u32 = 19;
pub const MAKE_SEND_ONCE: u32 = 21;
/// The own task, in each process.
pub const OWN_TASK: Name = 0x203;
/// "MDWT".
pub const ID: u32 = u32::from_le_bytes(*b"MDWT");
const COMPLEX: u32 = 0x8000_0000;

/// A message of these words behind the header.
pub fn message(bits: u32, to: Name, answer: Name, id: u32, body: &[u32]) -> Vec<u8> {
    let size = u32::try_from(24 + body.len() * 4).unwrap();
    let words = [bits, size, to, answer, 0, id].into_iter().chain(body.iter().copied());
    words.flat_map(u32::to_le_bytes).collect()
}

/// The descriptor of a right.
pub fn right(name: Name, disposition: u32) -> [u32; 3] {
    [name, 0, disposition << 16]
}

/// The four words of a secret.
pub fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

/// What a client says, to the letter of docs/handler-protocol.md unless it is changed.
pub struct Letter {
    pub bits: u32,
    pub id: u32,
    pub answer: Name,
    pub rights: Vec<[u32; 3]>,
    /// Instead of how many rights there are.
    pub count: Option<u32>,
    pub secret: Vec<u32>,
    pub handlers: Vec<[u32; 3]>,
    /// Words behind the end.
    pub more: usize,
}

impl Letter {
    pub fn new(secret: &[u8]) -> Self {
        Self {
            bits: COPY_SEND | COMPLEX,
            id: ID,
            answer: 0,
            rights: vec![right(OWN_TASK, COPY_SEND)],
            count: None,
            secret: words(secret),
            handlers: Vec::new(),
            more: 0,
        }
    }

    /// With a handler that there was before.
    pub fn with_handler(mut self, port: Name, mask: u32, behavior: u32, flavor: u32) -> Self {
        self.rights.push(right(port, COPY_SEND));
        self.handlers.push([mask, behavior, flavor]);
        self
    }

    pub fn to(&self, port: Name) -> Vec<u8> {
        let count = self.count.unwrap_or(u32::try_from(self.rights.len()).unwrap());
        let mut body = if self.bits & COMPLEX == 0 { Vec::new() } else { vec![count] };
        body.extend(self.rights.iter().flatten());
        body.extend(&self.secret);
        body.extend(self.handlers.iter().flatten());
        body.resize(body.len() + self.more, 0x5555_5555);
        message(self.bits, port, self.answer, self.id, &body)
    }
}

/// Writes a message behind its length.
pub fn put(process: &Process, descriptor: u32, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    process.write(descriptor, &[&length, bytes].concat()).unwrap().unwrap();
}

fn fill(process: &Process, descriptor: u32, size: usize) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < size {
        let came = process.read(descriptor, size - all.len()).unwrap();
        if came.is_empty() {
            return None;
        }
        all.extend(came);
    }
    Some(all)
}

/// Reads a message; `None` at the end.
pub fn take(process: &Process, descriptor: u32) -> Option<Vec<u8>> {
    let length = fill(process, descriptor, 4)?;
    fill(process, descriptor, usize::try_from(words(&length)[0]).unwrap())
}

/// A client's first steps: it tells of itself, and is told the secret and the name. Returns the secret and the right to
/// send to that port.
pub fn introduce(process: &Process, descriptor: u32) -> ([u8; 16], Name) {
    put(process, descriptor, &account());
    let told = take(process, descriptor).unwrap();
    let (secret, name) = told.split_first_chunk().unwrap();
    let name = std::ffi::CStr::from_bytes_with_nul(name).unwrap().to_str().unwrap();
    assert!(name.starts_with("group.example.minidump-handler.") || name.starts_with("minidump-handler."));
    (*secret, process.look_up(name).unwrap().unwrap())
}

/// Sends what may not fail.
pub fn send(process: &Process, mut message: Vec<u8>) {
    assert_eq!(process.send(&mut message, LONG), Ok(Ok(())));
}

/// All of a client's part. Returns whether the handler confirmed.
pub fn client(process: &Process, descriptor: u32, change: impl FnOnce(Letter) -> Letter) -> bool {
    let (secret, port) = introduce(process, descriptor);
    send(process, change(Letter::new(&secret)).to(port));
    take(process, descriptor).as_deref() == Some(b"+")
}

/// A handler's first steps. Returns its port.
pub fn welcome(process: &Process, descriptor: u32, name: &str) -> Name {
    assert_eq!(take(process, descriptor), Some(account()));
    let port = process.check_in(name).unwrap().unwrap();
    put(process, descriptor, &[&b"0123456789abcdef"[..], name.as_bytes(), b"\0"].concat());
    port
}

/// The client's message, and its words: without the header, and with the trailer.
pub fn letter(process: &Process, port: Name) -> (Delivered, Vec<u32>) {
    let came = process.receive(port, 4096, LONG).unwrap().unwrap();
    let words = words(&came.bytes);
    assert_eq!(words[0], COMPLEX | 17 << 8, "no answer is wanted");
    assert_eq!(words[5], ID);
    // The sender's process, by the token in the trailer.
    assert_eq!(words[came.size / 4 + 10], CLIENT.cast_unsigned());
    (came, words)
}
