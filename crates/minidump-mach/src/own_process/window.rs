//! While the other threads stand still. Nothing here allocates, locks or calls anything that does.

use super::record::{Piece, Record, ThreadRecord, stack_pointer};
use crate::memory::TaskMemory;
use crate::suspension::resumed;
use crate::thread::cpu_flavors;
use crate::{CaptureOptions, MachTask, ThreadFlavor, ThreadPort, regions};
use minidump_snapshot::{CpuState, RegionKind, stack_window};
use std::time::{Duration, Instant};

/// How often new threads are looked for.
const MOST_ROUNDS: usize = 8;

/// The flavors of `thread_info`.
const INFOS: [ThreadFlavor; 3] = [ThreadFlavor::Basic, ThreadFlavor::Identifier, ThreadFlavor::Extended];

/// Suspends all threads but the calling one, records, and resumes exactly those. Returns how long they stood.
pub fn run(
    task: &dyn MachTask,
    memory: &TaskMemory<'_>,
    record: &mut Record,
    options: &CaptureOptions,
) -> Duration {
    let start = Instant::now();
    let mut held = Held { task, record };
    held.suspend(options.handler_thread);
    held.read_states();
    held.read_regions();
    held.copy_stacks(memory, options);
    drop(held);
    start.elapsed()
}

/// Threads that were suspended. They are resumed when this is dropped.
struct Held<'a> {
    task: &'a dyn MachTask,
    record: &'a mut Record,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for thread in self.record.threads.iter_mut().filter(|thread| thread.held) {
            thread.resume_error = resumed(|| self.task.resume_thread(thread.port));
        }
    }
}

impl Held<'_> {
    /// Suspends all threads but the calling one and the one that handles the crash.
    fn suspend(&mut self, handler: Option<ThreadPort>) {
        let spared = [self.task.own_thread(), handler];
        for _ in 0..MOST_ROUNDS {
            let count = match self.task.threads(&mut self.record.ports) {
                Ok(count) => count,
                Err(error) => {
                    self.record.list_error = Some(error);
                    return;
                }
            };
            self.record.left_out = count.saturating_sub(self.record.ports.len());
            let mut new = 0;
            for index in 0..count.min(self.record.ports.len()) {
                let Some(port) = self.record.ports.get(index).copied() else { continue };
                new += usize::from(self.add(port, &spared));
            }
            // Only a thread that runs makes new ones, so that none comes when none came.
            if new == 0 {
                return;
            }
        }
    }

    /// Suspends a thread, unless that was done before. Returns whether it was new.
    fn add(&mut self, port: ThreadPort, spared: &[Option<ThreadPort>]) -> bool {
        let Record { threads, known, arch, left_out, .. } = &mut *self.record;
        let Err(place) = known.binary_search(&port) else { return false };
        if threads.len() == threads.capacity() || known.len() == known.capacity() {
            *left_out = left_out.saturating_add(1);
            return false;
        }
        known.insert(place, port);
        let mut thread = ThreadRecord::new(port, *arch);
        if !spared.contains(&Some(port)) {
            thread.suspend_error = self.task.suspend_thread(port).err();
            thread.held = thread.suspend_error.is_none();
        }
        threads.push(thread);
        true
    }

    fn read_states(&mut self) {
        for thread in &mut self.record.threads {
            let ThreadRecord { port, words, answers, held, .. } = thread;
            for answer in answers {
                let place = answer.start..answer.start.saturating_add(answer.room);
                let words = words.get_mut(place).unwrap_or_default();
                let info = INFOS.into_iter().find(|info| *info as u32 == answer.flavor);
                answer.result = match info.filter(|_| answer.is_info) {
                    Some(info) => self.task.thread_info(*port, info, words),
                    None => self.task.thread_state(*port, answer.flavor, words),
                };
                // The suspend count of before.
                if info == Some(ThreadFlavor::Basic) && answer.is_info && *held {
                    words.iter_mut().skip(8).take(1).for_each(|count| *count = count.saturating_sub(1));
                }
            }
        }
    }

    fn read_regions(&mut self) {
        let Record { regions, tags, regions_end, .. } = &mut *self.record;
        *regions_end = regions::each(self.task, |region, tag| {
            let room = regions.len() < regions.capacity() && tags.len() < tags.capacity();
            if room {
                regions.push(region);
                tags.push(tag);
            }
            room
        });
    }

    /// Copies what the plan will want of the stacks.
    fn copy_stacks(&mut self, memory: &TaskMemory<'_>, options: &CaptureOptions) {
        let Record { arch, threads, regions, stacks, used, pieces, probe, crashed, .. } = &mut *self.record;
        let general = cpu_flavors(*arch).general.0;
        for thread in threads.iter() {
            let info = |flavor: ThreadFlavor| thread.answer(flavor as u32, true).unwrap_or_default();
            let identifier = info(ThreadFlavor::Identifier);
            let id = crate::bytes::pair(identifier, 0);
            let is_crashed = crashed.is_some_and(|(crashed, _)| crashed.is(thread.port, id));
            let recorded = crashed.and_then(|(_, sp)| sp).filter(|_| is_crashed);
            let now = || thread.answer(general, false).ok().and_then(|words| stack_pointer(*arch, words));
            let Some(sp) = recorded.or_else(now) else { continue };
            match &mut probe.cpu {
                Some(CpuState::Arm64(state)) => state.sp = sp,
                Some(CpuState::Amd64(state)) => state.rsp = sp,
                _ => {}
            }
            let is_stack = |address: u64| {
                let index = regions.partition_point(|region| region.end <= address);
                let region = regions.get(index).filter(|region| region.contains(address));
                region.is_some_and(|region| region.kind == RegionKind::Stack)
            };
            probe.thread_pointer = crate::bytes::pair(identifier, 2).filter(|handle| is_stack(*handle));
            // Any of them may turn out to be the blamed one when no crash tells.
            let blamed = is_crashed || crashed.is_none();
            let cap = if blamed { options.memory.blamed_stack_cap } else { options.memory.stack_cap };
            let Some(window) = stack_window(regions, probe, false, cap) else { continue };
            for (start, end) in [Some(window.head), window.tail].into_iter().flatten() {
                let size = usize::try_from(end.saturating_sub(start)).unwrap_or_default();
                let Some(rest) = stacks.get_mut(*used..).filter(|_| pieces.len() < pieces.capacity()) else {
                    continue;
                };
                let size = size.min(rest.len());
                let (came, _) = memory.read_some(start, rest.get_mut(..size).unwrap_or_default());
                pieces.push(Piece { address: start, offset: *used, size: came });
                *used = used.saturating_add(came);
            }
        }
    }
}
