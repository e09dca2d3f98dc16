//! The simulated task's answers.

use super::map::{Kind, SimRegion};
use super::states::push;
use super::task::State;
use super::{Call, SimTask, SimThread};
use crate::{KernReturn, MachTask, ProcessFacts, TaskFlavor, ThreadFlavor, ThreadPort};

impl MachTask for SimTask {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize, KernReturn> {
        let (state, allowed) = self.begin(Call::Read, None, None);
        let size = allowed?.most.min(buffer.len());
        let buffer = buffer.get_mut(..size).unwrap_or_default();
        state.map.read(address, buffer)?;
        Ok(size)
    }

    fn region(
        &self,
        address: &mut u64,
        size: &mut u64,
        depth: &mut u32,
        words: &mut [u32],
    ) -> Result<usize, KernReturn> {
        let (mut state, allowed) = self.begin(Call::Region, None, None);
        let allowed = allowed?;
        let last = state.last_region.clone().filter(|_| allowed.stuck);
        let found = match last {
            Some(last) => last,
            None => find_region(&state, *address, *depth)?,
        };
        let (start, length, level, about) = &found;
        (*address, *size, *depth) = (*start, if allowed.empty { 0 } else { *length }, *level);
        let given = give(about, words, allowed.most);
        state.last_region = Some(found);
        Ok(given)
    }

    fn threads(&self, ports: &mut [ThreadPort]) -> Result<usize, KernReturn> {
        let (state, allowed) = self.begin(Call::Threads, None, None);
        let count = state.threads.len().min(allowed?.most);
        for (place, port) in ports.iter_mut().zip(state.threads.keys().take(count)) {
            *place = *port;
        }
        Ok(count)
    }

    fn thread_state(&self, thread: ThreadPort, flavor: u32, words: &mut [u32]) -> Result<usize, KernReturn> {
        let (mut state, allowed) = self.begin(Call::ThreadState, Some(thread), Some(flavor));
        let allowed = allowed?;
        let running = state.suspend_count == 0 && state.own_thread != Some(thread);
        let found = state.threads.get(&thread).ok_or(KernReturn::INVALID_ARGUMENT)?;
        let running = running && found.suspend_count == 0;
        let given = give(found.states.get(&flavor).ok_or(KernReturn::INVALID_ARGUMENT)?, words, allowed.most);
        state.unguarded_reads += u64::from(running);
        Ok(given)
    }

    fn thread_info(
        &self,
        thread: ThreadPort,
        flavor: ThreadFlavor,
        words: &mut [u32],
    ) -> Result<usize, KernReturn> {
        let (state, allowed) = self.begin(Call::ThreadInfo, Some(thread), Some(flavor as u32));
        let allowed = allowed?;
        let found = state.threads.get(&thread).ok_or(KernReturn::INVALID_ARGUMENT)?;
        let info = match flavor {
            ThreadFlavor::Basic => basic(found),
            ThreadFlavor::Identifier => identifier(found),
            ThreadFlavor::Extended => extended(found),
        };
        Ok(give(&info, words, allowed.most))
    }

    fn task_info(&self, flavor: TaskFlavor, words: &mut [u32]) -> Result<usize, KernReturn> {
        let (state, allowed) = self.begin(Call::TaskInfo, None, Some(flavor as u32));
        let allowed = allowed?;
        let mut info = Vec::new();
        match flavor {
            TaskFlavor::Dyld => {
                push(&mut info, state.dyld_info.0);
                push(&mut info, state.dyld_info.1);
                info.push(1);
            }
            TaskFlavor::ThreadTimes => {
                let total = |time: fn(&SimThread) -> u64| state.threads.values().map(time).sum::<u64>();
                info.extend(seconds(total(|thread| thread.user_time)));
                info.extend(seconds(total(|thread| thread.system_time)));
            }
            TaskFlavor::Basic => {
                for size in [1 << 32, 1 << 24, 1 << 25] {
                    push(&mut info, size);
                }
                // 3 s and 250 µs in user mode, 1 s in the kernel, of threads that have ended; timeshare policy.
                info.extend([3, 250, 1, 0, 1, state.suspend_count.unsigned_abs()]);
            }
        }
        Ok(give(&info, words, allowed.most))
    }

    fn suspend(&self) -> Result<(), KernReturn> {
        let (mut state, allowed) = self.begin(Call::Suspend, None, None);
        allowed?;
        state.suspend_count += 1;
        state.suspensions += 1;
        Ok(())
    }

    fn resume(&self) -> Result<(), KernReturn> {
        let (mut state, allowed) = self.begin(Call::Resume, None, None);
        allowed?;
        if state.suspend_count == 0 {
            return Err(KernReturn::FAILURE);
        }
        state.suspend_count -= 1;
        Ok(())
    }

    fn suspend_thread(&self, thread: ThreadPort) -> Result<(), KernReturn> {
        let (mut state, allowed) = self.begin(Call::SuspendThread, Some(thread), None);
        allowed?;
        let found = state.threads.get_mut(&thread).ok_or(KernReturn::TERMINATED)?;
        found.suspend_count += 1;
        state.suspensions += 1;
        Ok(())
    }

    fn resume_thread(&self, thread: ThreadPort) -> Result<(), KernReturn> {
        let (mut state, allowed) = self.begin(Call::ResumeThread, Some(thread), None);
        allowed?;
        let found = state.threads.get_mut(&thread).ok_or(KernReturn::TERMINATED)?;
        if found.suspend_count == 0 {
            return Err(KernReturn::FAILURE);
        }
        found.suspend_count -= 1;
        Ok(())
    }

    fn own_thread(&self) -> Option<ThreadPort> {
        self.state().own_thread
    }

    fn pid(&self) -> i32 {
        let (state, allowed) = self.begin(Call::Pid, None, None);
        if allowed.is_err() { 0 } else { state.pid }
    }

    fn sysctl(&self, name: &str, bytes: &mut [u8]) -> Result<usize, i32> {
        const ENOENT: i32 = 2;
        let (state, allowed) = self.begin(Call::Sysctl, None, None);
        let allowed = allowed.map_err(|code| code.0)?;
        let found = state.sysctls.get(name).filter(|value| !value.is_empty()).ok_or(ENOENT)?;
        let size = found.len().min(bytes.len()).min(allowed.most);
        if let (Some(to), Some(from)) = (bytes.get_mut(..size), found.get(..size)) {
            to.copy_from_slice(from);
        }
        Ok(size)
    }

    fn process_facts(&self) -> Option<ProcessFacts> {
        let (state, allowed) = self.begin(Call::ProcessFacts, None, None);
        state.facts.filter(|_| allowed.is_ok())
    }
}

/// Copies as much of `from` as fits and is allowed.
fn give(from: &[u32], to: &mut [u32], most: usize) -> usize {
    let count = from.len().min(to.len()).min(most);
    for (place, word) in to.iter_mut().zip(from.iter().take(count)) {
        *place = *word;
    }
    count
}

/// Address, size, depth and words of the region at or above `address`.
fn find_region(state: &State, address: u64, depth: u32) -> Result<(u64, u64, u32, Vec<u32>), KernReturn> {
    let found = state.map.find(address, depth).ok_or(KernReturn::INVALID_ADDRESS)?;
    let (about, is_submap) = match &found.entry.kind {
        Kind::Leaf(leaf) => (leaf.about, false),
        Kind::Submap(_) => (SimRegion::guard(), true),
    };
    Ok((found.entry.start, found.entry.size, found.depth, region_words(&about, is_submap)))
}

/// `vm_region_submap_info_64` (mach/vm_region.h), packed to four bytes.
fn region_words(about: &SimRegion, is_submap: bool) -> Vec<u32> {
    let mut words = vec![u32::from(about.protection.bits()), 7, 1];
    push(&mut words, about.offset);
    words.extend([about.tag, 0, 0, 0, 0, 1]);
    words.push(u32::from(about.file) << 16 | u32::from(about.share_mode) << 24);
    words.extend([u32::from(is_submap), 0, 0, 0, 0, 0, 0]);
    words
}

fn basic(thread: &SimThread) -> Vec<u32> {
    let mut info = Vec::with_capacity(10);
    info.extend(seconds(thread.user_time));
    info.extend(seconds(thread.system_time));
    info.extend([0, 1, thread.run_state.unsigned_abs(), 0, thread.suspend_count.unsigned_abs(), 0]);
    info
}

fn identifier(thread: &SimThread) -> Vec<u32> {
    let mut info = Vec::with_capacity(6);
    for value in [thread.id, thread.handle, thread.queue_address] {
        push(&mut info, value);
    }
    info
}

fn extended(thread: &SimThread) -> Vec<u32> {
    let mut info = Vec::with_capacity(28);
    push(&mut info, thread.user_time);
    push(&mut info, thread.system_time);
    let priority = thread.priority.cast_unsigned();
    info.extend([0, 1, thread.run_state.unsigned_abs(), 0, 0, priority, priority, 63]);
    let mut name = [0_u8; 64];
    for (place, byte) in name.iter_mut().zip(&thread.name) {
        *place = *byte;
    }
    let words = name
        .chunks_exact(4)
        .map(|word| word.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)));
    info.extend(words);
    info
}

/// Seconds and microseconds of a time in nanoseconds.
fn seconds(time: u64) -> [u32; 2] {
    let part = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    [part(time / 1_000_000_000), part(time % 1_000_000_000 / 1000)]
}
