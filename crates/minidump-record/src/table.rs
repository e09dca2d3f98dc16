//! A list in memory that was set aside before: it holds what fits and counts what does not.

pub(crate) struct Table<'a, T> {
    rows: &'a mut [T],
    used: usize,
    lost: u64,
}

impl<'a, T> Table<'a, T> {
    pub(crate) fn new(rows: &'a mut [T]) -> Self {
        Self { rows, used: 0, lost: 0 }
    }

    pub(crate) fn push(&mut self, row: T) {
        match self.rows.get_mut(self.used) {
            Some(slot) => {
                *slot = row;
                self.used = self.used.saturating_add(1);
            }
            None => self.lost = self.lost.saturating_add(1),
        }
    }

    pub(crate) fn rows(&self) -> &[T] {
        self.rows.get(..self.used).unwrap_or_default()
    }

    pub(crate) fn rows_mut(&mut self) -> &mut [T] {
        self.rows.get_mut(..self.used).unwrap_or_default()
    }

    /// How many as the format counts them.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.used).unwrap_or(u32::MAX)
    }

    /// How many did not fit.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted_and_nothing_is_overwritten() {
        let mut memory = [0; 3];
        let mut table = Table::new(&mut memory);
        for row in 1..=5 {
            table.push(row);
        }
        assert_eq!((table.rows(), table.count(), table.lost()), ([1, 2, 3].as_slice(), 3, 2));
        table.rows_mut()[1] = 9;
        assert_eq!(table.rows(), [1, 9, 3]);
    }
}
