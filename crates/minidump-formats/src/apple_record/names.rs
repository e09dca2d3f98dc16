//! Names of segments and regions, each told once.

use super::bytes::{Decoder, Encoder};
use std::collections::HashMap;

/// Most names that are read.
const MAX_NAMES: usize = 1 << 20;

/// Names in the making.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    list: Vec<&'a [u8]>,
    indices: HashMap<&'a [u8], u64>,
}

impl<'a> Names<'a> {
    /// Where `name` stands; it is added if it is new.
    pub(super) fn index(&mut self, name: &'a [u8]) -> u64 {
        let next = self.list.len() as u64;
        let index = *self.indices.entry(name).or_insert(next);
        if index == next {
            self.list.push(name);
        }
        index
    }

    pub(super) fn encode(&self) -> Encoder {
        let mut to = Encoder::default();
        to.count(self.list.len());
        for name in &self.list {
            to.bytes(name);
        }
        to
    }
}

/// Names that were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NamesRead(Vec<Vec<u8>>);

impl NamesRead {
    pub(super) fn read(from: &mut Decoder<'_>) -> Option<Self> {
        from.list(MAX_NAMES, |from| from.bytes().map(<[u8]>::to_vec)).map(Self)
    }

    pub(super) fn get(&self, index: u64) -> Option<&[u8]> {
        self.0.get(usize::try_from(index).ok()?).map(Vec::as_slice)
    }
}
