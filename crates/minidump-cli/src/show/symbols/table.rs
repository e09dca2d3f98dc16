//! Functions by address.

use std::cmp::{Ordering, Reverse};

/// How many symbols before an address are looked at: nested and unsized ones may come between.
const REACH: usize = 64;

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Its first address in the file.
    pub address: u64,
    /// Its size in bytes, 0 when unknown.
    pub size: u64,
    /// Whether other modules can name it.
    pub global: bool,
    /// Its name, mangled.
    pub name: Box<str>,
}

/// Functions sorted by address.
#[derive(Debug, Default)]
pub struct SymbolTable {
    symbols: Vec<Symbol>,
}

impl SymbolTable {
    /// A table of `symbols`. Of several names for one function the best is kept: one with a size, then a global one,
    /// then the one with the fewest leading underscores.
    pub fn new(mut symbols: Vec<Symbol>) -> Self {
        symbols.sort_by(by_address);
        symbols.dedup_by_key(|symbol| symbol.address);
        Self { symbols }
    }

    /// The function that `address` lies in: the innermost one that reaches over it, else the nearest one of unknown
    /// size before it.
    pub fn lookup(&self, address: u64) -> Option<&Symbol> {
        let next = self.symbols.partition_point(|symbol| symbol.address <= address);
        let before = self.symbols.get(next.saturating_sub(REACH)..next)?;
        let covers = |symbol: &&Symbol| address - symbol.address < symbol.size;
        before.iter().rev().find(covers).or_else(|| before.last().filter(|symbol| symbol.size == 0))
    }
}

fn by_address(a: &Symbol, b: &Symbol) -> Ordering {
    a.address.cmp(&b.address).then_with(|| rank(a).cmp(&rank(b)))
}

fn rank(symbol: &Symbol) -> (bool, Reverse<bool>, usize, usize) {
    let underscores = symbol.name.bytes().take_while(|byte| *byte == b'_').count();
    (symbol.size == 0, Reverse(symbol.global), underscores, symbol.name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(address: u64, size: u64, global: bool, name: &str) -> Symbol {
        Symbol { address, size, global, name: name.into() }
    }

    fn name(table: &SymbolTable, address: u64) -> Option<&str> {
        table.lookup(address).map(|symbol| &*symbol.name)
    }

    #[test]
    fn an_address_belongs_to_the_function_that_reaches_over_it() {
        let table = SymbolTable::new(vec![symbol(0x20, 0x10, true, "b"), symbol(0x10, 8, true, "a")]);
        assert_eq!(name(&table, 0xf), None);
        assert_eq!(name(&table, 0x10), Some("a"));
        assert_eq!(name(&table, 0x17), Some("a"));
        assert_eq!(name(&table, 0x18), None);
        assert_eq!(name(&table, 0x2f), Some("b"));
        assert_eq!(name(&table, 0x30), None);
    }

    #[test]
    fn a_label_inside_a_function_does_not_hide_it() {
        let table =
            SymbolTable::new(vec![symbol(0x10, 0x20, true, "function"), symbol(0x18, 0, false, "label")]);
        assert_eq!(name(&table, 0x1c), Some("function"));
        assert_eq!(name(&table, 0x30), Some("label"));
    }

    #[test]
    fn a_nested_function_wins_over_the_one_around_it() {
        let table = SymbolTable::new(vec![symbol(0x10, 0x40, true, "outer"), symbol(0x20, 8, true, "inner")]);
        assert_eq!(name(&table, 0x22), Some("inner"));
        assert_eq!(name(&table, 0x28), Some("outer"));
    }

    #[test]
    fn the_best_of_several_names_is_kept() {
        let table = SymbolTable::new(vec![
            symbol(0x10, 8, true, "__nanosleep"),
            symbol(0x10, 8, true, "nanosleep"),
            symbol(0x10, 8, false, "a"),
            symbol(0x10, 0, true, "b"),
        ]);
        assert_eq!(name(&table, 0x10), Some("nanosleep"));
    }

    #[test]
    fn an_empty_table_and_extreme_addresses_are_harmless() {
        assert_eq!(name(&SymbolTable::default(), 0), None);
        let table =
            SymbolTable::new(vec![symbol(u64::MAX, u64::MAX, true, "end"), symbol(0, u64::MAX, true, "all")]);
        assert_eq!(name(&table, u64::MAX), Some("end"));
        assert_eq!(name(&table, 5), Some("all"));
    }
}
