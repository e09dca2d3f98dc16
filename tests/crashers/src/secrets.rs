//! A process with things on its stack that nobody else should see, beside things that unwinding needs.

use crate::chain::{self, Parked};
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Length of the secret on the stack, in bytes.
const LENGTH: usize = 48;
/// Words on the stack: ten with a meaning, then the secret.
const WORDS: usize = 10 + LENGTH / 8;

static DATA: AtomicU64 = AtomicU64::new(0);
static BLOCK: AtomicU64 = AtomicU64::new(0);

/// `secrets [SECRET]`: a parked thread keeps on its stack words that a dump without private contents has to keep
/// (`stack`, `code`, `data`, `one` …), words that it has to drop (`heap`, `large` …), and a text. The text exists nowhere
/// in the program's file. Arguments are for the command line to hold and are not looked at.
pub fn secrets(_: &Arguments) {
    let heap = sys::fresh_memory(8192);
    let parked = Arc::new(Parked::default());
    let shared = Arc::clone(&parked);
    let run = move || {
        keep(heap as u64, &shared);
    };
    std::thread::Builder::new().name("keeper".into()).spawn(run).expect("a thread can be started");
    parked.wait();
    let address = BLOCK.load(Ordering::Acquire);
    let names =
        ["stack", "code", "data", "heap", "one", "limit", "minus", "minus_limit", "large", "minus_large"];
    let words = names.into_iter().zip(known_words(heap as u64, address)).zip((address..).step_by(8));
    let words = words.map(|((name, value), address)| {
        Facts::part().text("name", name).number("address", address).number("value", value)
    });
    let text = Facts::part().number("address", address + 80).bytes("bytes", &secret());
    Facts::new()
        .objects("threads", [parked.facts("keeper", 5)])
        .objects("words", words)
        .object("text", &text)
        .print();
    control::serve_ping();
}

/// The words of a block at `address`, by their meaning.
fn known_words(heap: u64, address: u64) -> [u64; 10] {
    let code = known_words as fn(u64, u64) -> [u64; 10] as usize as u64;
    [
        address,
        code + 1,
        DATA.as_ptr() as u64,
        heap + 64,
        1,
        4096,
        u64::MAX,
        4096u64.wrapping_neg(),
        4097,
        4097u64.wrapping_neg(),
    ]
}

/// A text of lower-case letters, made when it is needed.
fn secret() -> [u8; LENGTH] {
    std::array::from_fn(|index| b'a' + u8::try_from(black_box(index) * 11 % 26).unwrap_or(0))
}

#[inline(never)]
fn keep(heap: u64, parked: &Parked) -> u64 {
    let mut block = [0u64; WORDS];
    let address = std::ptr::from_ref(black_box(&block)) as u64;
    let text = secret();
    let text = text.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
    for (slot, word) in block.iter_mut().zip(known_words(heap, address).into_iter().chain(text)) {
        *slot = word;
    }
    BLOCK.store(address, Ordering::Release);
    let below = chain::outer(5, parked);
    below + black_box(&block).iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))
}
