//! Requests that wait for their turn.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Who may dump now, and who waits, in the order in which they came.
#[derive(Debug)]
pub struct Turns {
    state: Mutex<State>,
    changed: Condvar,
    most_working: usize,
    most_waiting: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<u64>,
    last: u64,
    working: usize,
}

impl Turns {
    pub fn new(most_working: usize, most_waiting: usize) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { state, changed, most_working: most_working.max(1), most_waiting }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets in line; `None` where the line is too long.
    pub fn line_up(&self) -> Option<Place<'_>> {
        let mut state = self.lock();
        if state.waiting.len() >= self.most_waiting {
            return None;
        }
        state.last = state.last.wrapping_add(1);
        let number = state.last;
        state.waiting.push_back(number);
        Some(Place { turns: self, number })
    }

    /// Whether nobody waits and nobody works.
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        state.waiting.is_empty() && state.working == 0
    }
}

/// A place in the line.
#[derive(Debug)]
pub struct Place<'t> {
    turns: &'t Turns,
    number: u64,
}

impl<'t> Place<'t> {
    /// Waits for the turn, which lasts as long as what this returns.
    pub fn wait(self) -> Turn<'t> {
        let turns = self.turns;
        let mut state = turns.lock();
        while state.working >= turns.most_working || state.waiting.front() != Some(&self.number) {
            state = turns.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.working = state.working.saturating_add(1);
        drop(state);
        // It leaves the line, and the next one looks.
        drop(self);
        Turn(turns)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.lock().waiting.retain(|number| *number != self.number);
        self.turns.changed.notify_all();
    }
}

/// The time in which somebody works.
#[derive(Debug)]
pub struct Turn<'t>(&'t Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.working = state.working.saturating_sub(1);
        drop(state);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_work_at_a_time_than_may_and_the_line_has_an_end() {
        let turns = Turns::new(1, 2);
        let first = turns.line_up().unwrap().wait();
        let [second, third] = [turns.line_up().unwrap(), turns.line_up().unwrap()];
        assert!(turns.line_up().is_none());
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let order = &order;
            for (name, place) in [(3, third), (2, second)] {
                scope.spawn(move || {
                    let _turn = place.wait();
                    order.lock().unwrap().push(name);
                });
            }
            assert!(order.lock().unwrap().is_empty());
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), [2, 3]);
        assert!(turns.is_idle());
    }

    #[test]
    fn who_leaves_the_line_holds_up_nobody() {
        let turns = Turns::new(1, 2);
        let (left, stays) = (turns.line_up().unwrap(), turns.line_up().unwrap());
        drop(left);
        drop(stays.wait());
        assert!(turns.is_idle());
    }
}
