//! Gathers threads with the same stack: a pool of a hundred idle workers is one thing to read, not a hundred.

use super::model::Thread;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Threads whose stacks are the same, in their order. Never empty; the blamed thread is always alone.
pub type Group<'a> = Vec<&'a Thread>;

/// Groups `threads` by stack, in the order of their first members.
pub fn fold(threads: &[Thread]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut by_stack: HashMap<u64, Vec<usize>> = HashMap::new();
    for thread in threads {
        let same = by_stack.entry(fingerprint(thread)).or_default();
        let found = same.iter().copied().find(|index| {
            groups.get(*index).and_then(|group| group.first()).is_some_and(|first| are_alike(first, thread))
        });
        if let Some(group) = found.and_then(|index| groups.get_mut(index)) {
            group.push(thread);
        } else {
            same.push(groups.len());
            groups.push(vec![thread]);
        }
    }
    groups
}

fn are_alike(a: &Thread, b: &Thread) -> bool {
    !a.blamed && !b.blamed && a.frames == b.frames && a.frames_omitted == b.frames_omitted && a.note == b.note
}

fn fingerprint(thread: &Thread) -> u64 {
    let mut hasher = DefaultHasher::new();
    for frame in &thread.frames {
        (frame.instruction, frame.inlined, frame.line).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::model::{Address, Frame, Trust};
    use super::*;

    fn thread(id: u32, instructions: &[u64]) -> Thread {
        let frames = instructions.iter().enumerate().map(|(index, instruction)| Frame {
            index,
            instruction: Address(*instruction),
            function: None,
            function_offset: None,
            file: None,
            line: None,
            module: None,
            module_offset: None,
            unloaded: false,
            inlined: false,
            trust: Trust::Scan,
        });
        Thread { id, frames: frames.collect(), ..Thread::default() }
    }

    fn ids(threads: &[Thread]) -> Vec<Vec<u32>> {
        fold(threads).iter().map(|group| group.iter().map(|thread| thread.id).collect()).collect()
    }

    #[test]
    fn equal_stacks_meet_at_the_place_of_the_first() {
        let threads =
            [thread(1, &[1]), thread(2, &[1, 2]), thread(3, &[1]), thread(4, &[]), thread(5, &[1, 2])];
        assert_eq!(ids(&threads), [vec![1, 3], vec![2, 5], vec![4]]);
    }

    #[test]
    fn the_blamed_thread_stays_alone() {
        let mut threads = [thread(1, &[1]), thread(2, &[1]), thread(3, &[1])];
        threads[0].blamed = true;
        assert_eq!(ids(&threads), [vec![1], vec![2, 3]]);
    }

    #[test]
    fn a_different_note_keeps_threads_apart() {
        let mut threads = [thread(1, &[1]), thread(2, &[1])];
        threads[1].note = Some("its stack is not in the dump".into());
        assert_eq!(ids(&threads), [vec![1], vec![2]]);
    }
}
