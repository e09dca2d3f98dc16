//! The places that the threads of `crasher pointers` point at.

use crate::target::pattern;
use crate::{Dump, Target};
use serde_json::Value;
use std::collections::BTreeMap;

/// The threads of `crasher pointers`.
#[track_caller]
pub fn threads(target: &Target) -> Vec<Value> {
    target.facts["threads"].as_array().unwrap().clone()
}

/// What the stack of one points at.
#[track_caller]
pub fn targets(thread: &Value) -> Vec<Value> {
    thread["targets"].as_array().expect("the threads have pointers").clone()
}

/// The memory in a dump by its first addresses: looking it up in the parsed dump every time takes long.
#[derive(Debug)]
pub struct Memory(BTreeMap<u64, Vec<u8>>);

impl Memory {
    /// All of it.
    #[track_caller]
    pub fn of(dump: &Dump) -> Self {
        let parsed = dump.parse();
        let memory = parsed.get_memory().unwrap();
        Self(memory.iter().map(|range| (range.base_address(), range.bytes().to_vec())).collect())
    }

    /// Whether the known bytes are there.
    pub fn has(&self, fact: &Value) -> bool {
        let (address, expected) = pattern(fact);
        let Some((start, bytes)) = self.0.range(..=address).next_back() else { return false };
        let offset = usize::try_from(address - start).unwrap();
        bytes.get(offset..offset + expected.len()) == Some(expected.as_slice())
    }
}
