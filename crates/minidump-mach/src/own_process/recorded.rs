use super::record::Record;
use crate::{KernReturn, MachTask, ProcessFacts, TaskFlavor, ThreadFlavor, ThreadPort};
use std::collections::BTreeMap;

/// The process as it was recorded: threads and stacks are those of the record, everything else is asked of the process, which
/// runs again.
pub struct Recorded<'a> {
    task: &'a dyn MachTask,
    record: &'a Record,
    /// Where each thread is in the record.
    index: BTreeMap<ThreadPort, usize>,
}

impl<'a> Recorded<'a> {
    pub fn new(task: &'a dyn MachTask, record: &'a Record) -> Self {
        let index = record.threads.iter().enumerate().map(|(index, thread)| (thread.port, index));
        Self { task, record, index: index.collect() }
    }

    fn words_of(
        &self,
        thread: ThreadPort,
        flavor: u32,
        is_info: bool,
        to: &mut [u32],
    ) -> Result<usize, KernReturn> {
        let found = self.index.get(&thread).and_then(|index| self.record.threads.get(*index));
        let words = found.ok_or(KernReturn::INVALID_ARGUMENT)?.answer(flavor, is_info)?;
        for (place, word) in to.iter_mut().zip(words) {
            *place = *word;
        }
        Ok(words.len().min(to.len()))
    }

    /// What was recorded from `address` on.
    fn recorded(&self, address: u64) -> &[u8] {
        let tail = |piece: &super::record::Piece| {
            let offset = usize::try_from(address.checked_sub(piece.address)?).ok()?;
            let bytes = self.record.stacks.get(piece.offset..piece.offset.checked_add(piece.size)?)?;
            bytes.get(offset..).filter(|bytes| !bytes.is_empty())
        };
        self.record.pieces.iter().find_map(tail).unwrap_or_default()
    }
}

impl MachTask for Recorded<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize, KernReturn> {
        let recorded = self.recorded(address);
        if recorded.is_empty() {
            // Not into what was recorded: that comes with the next read.
            let above = self.record.pieces.iter().filter_map(|piece| piece.address.checked_sub(address));
            let room = above.filter(|room| *room > 0).min().unwrap_or(u64::MAX);
            let size = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
            return self.task.read(address, buffer.get_mut(..size).unwrap_or_default());
        }
        let size = recorded.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..size), recorded.get(..size)) {
            to.copy_from_slice(from);
        }
        Ok(size)
    }

    fn region(
        &self,
        address: &mut u64,
        size: &mut u64,
        depth: &mut u32,
        words: &mut [u32],
    ) -> Result<usize, KernReturn> {
        self.task.region(address, size, depth, words)
    }

    fn threads(&self, ports: &mut [ThreadPort]) -> Result<usize, KernReturn> {
        for (place, thread) in ports.iter_mut().zip(&self.record.threads) {
            *place = thread.port;
        }
        Ok(self.record.threads.len())
    }

    fn thread_state(&self, thread: ThreadPort, flavor: u32, words: &mut [u32]) -> Result<usize, KernReturn> {
        self.words_of(thread, flavor, false, words)
    }

    fn thread_info(
        &self,
        thread: ThreadPort,
        flavor: ThreadFlavor,
        words: &mut [u32],
    ) -> Result<usize, KernReturn> {
        self.words_of(thread, flavor as u32, true, words)
    }

    fn task_info(&self, flavor: TaskFlavor, words: &mut [u32]) -> Result<usize, KernReturn> {
        self.task.task_info(flavor, words)
    }

    fn suspend(&self) -> Result<(), KernReturn> {
        Ok(())
    }

    fn resume(&self) -> Result<(), KernReturn> {
        Ok(())
    }

    fn suspend_thread(&self, _thread: ThreadPort) -> Result<(), KernReturn> {
        Ok(())
    }

    fn resume_thread(&self, _thread: ThreadPort) -> Result<(), KernReturn> {
        Ok(())
    }

    fn own_thread(&self) -> Option<ThreadPort> {
        self.task.own_thread()
    }

    fn pid(&self) -> i32 {
        self.task.pid()
    }

    fn sysctl(&self, name: &str, bytes: &mut [u8]) -> Result<usize, i32> {
        self.task.sysctl(name, bytes)
    }

    fn process_facts(&self) -> Option<ProcessFacts> {
        self.task.process_facts()
    }
}
