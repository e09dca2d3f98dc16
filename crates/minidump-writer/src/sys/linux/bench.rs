//! What `tests/instructions` counts the instructions of. No part of the API: it may change at any time.

use super::auxv::Auxv;
use super::loader;
use super::maps::{self, Mapping};
use super::modules::{read_modules, same_modules};
use crate::snapshot::{DsoDebug, MemorySource, Module, Region};

/// A memory map.
#[derive(Debug, Default)]
pub struct MemoryMap {
    text: Vec<u8>,
    mappings: Vec<Mapping>,
}

impl MemoryMap {
    /// The memory map of this text, which is not parsed yet.
    #[must_use]
    pub fn new(text: Vec<u8>) -> Self {
        Self { text, mappings: Vec::new() }
    }

    /// Parses the text. Returns how many lines were skipped.
    pub fn parse(&mut self) -> usize {
        maps::parse(&self.text, &mut self.mappings)
    }

    /// How many mappings were found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mappings.len()
    }

    /// Whether none were found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mappings.is_empty()
    }

    /// Whether modules are made of the same mappings in both.
    #[must_use]
    pub fn has_modules_of(&self, other: &Self) -> bool {
        same_modules(&self.mappings, &self.text, &other.mappings, &other.text)
    }

    /// The mappings as regions without names.
    #[must_use]
    pub fn regions(&self) -> Vec<Region> {
        self.mappings.iter().map(|mapping| mapping.to_nameless_region(&self.text)).collect()
    }

    /// The modules. `auxv` is what /proc/PID/auxv holds.
    #[must_use]
    pub fn modules(&self, auxv: &[u8], memory: &dyn MemorySource, list: Option<&DsoDebug>) -> Vec<Module> {
        let auxv = Auxv::parse(auxv);
        read_modules(&self.mappings, &self.text, &auxv, memory, None, list, &mut Vec::new())
    }

    /// The loader's list. `auxv` is what /proc/PID/auxv holds.
    #[must_use]
    pub fn loader_list(&self, auxv: &[u8], memory: &dyn MemorySource) -> Option<DsoDebug> {
        loader::read(&Auxv::parse(auxv), memory, &mut Vec::new())
    }

    /// The same list, if it has not changed.
    #[must_use]
    pub fn confirm_loader_list(&self, list: DsoDebug, memory: &dyn MemorySource) -> Option<DsoDebug> {
        loader::revalidate(list, memory)
    }
}
