//! Registers of the threads of a target that is being stopped.

use super::proc_fs::blocked_at;
use super::registers::{RegisterReader, debug_registers};
use super::tracees::Tracees;
use crate::snapshot::{CpuState, SoftError, Stage, Thread};
use libc::pid_t;
use std::fs::File;
use std::io;

/// So many threads are asked for their debug registers in any case.
const ASKED_ALWAYS: usize = 8;

/// Collects threads with their registers, as they stop.
#[derive(Debug)]
pub struct StoppedThreads<'a> {
    reader: &'a mut RegisterReader,
    /// Threads that are asked for their debug registers in any case.
    suspects: &'a [u32],
    threads: Vec<Thread>,
    /// Whether a thread was found that uses debug registers.
    debugged: bool,
    /// Positions of threads that were not asked for theirs.
    unasked: Vec<usize>,
}

impl<'a> StoppedThreads<'a> {
    /// An empty collection with room for `expected` threads. The debug registers of the `suspects` are always read.
    pub fn new(reader: &'a mut RegisterReader, suspects: &'a [u32], expected: usize) -> Self {
        let unasked = Vec::with_capacity(expected.saturating_sub(ASKED_ALWAYS));
        Self { reader, suspects, threads: Vec::with_capacity(expected), debugged: false, unasked }
    }

    /// Reads the registers of stopped threads.
    pub fn add(&mut self, tids: impl Iterator<Item = pid_t>, errors: &mut Vec<SoftError>) {
        for tid in tids {
            let mut thread = Thread::new(tid.unsigned_abs());
            match self.reader.read(tid) {
                Ok((cpu, missing)) => {
                    let CpuState::Amd64(state) = &cpu else { continue };
                    thread.thread_pointer = Some(state.fs_base);
                    thread.cpu = Some(cpu);
                    errors.extend(missing.map(|error| some_missing(thread.id, &error)));
                }
                Err(error) => {
                    let message = format!("the registers could not be read: {error}");
                    let soft = SoftError::new(Stage::Registers, message);
                    errors.push(soft.thread(thread.id).os_error(error.raw_os_error()));
                }
            }
            self.threads.push(thread);
            let position = self.threads.len() - 1;
            // Only a debugger sets them, and in all threads. So it is enough to ask some whether one did.
            if self.debugged || position < ASKED_ALWAYS || self.suspects.contains(&tid.unsigned_abs()) {
                self.read_debug_registers(position, errors);
            } else {
                self.unasked.push(position);
            }
        }
    }

    /// All threads by ascending id, those among `tracees` that did not stop included. `tasks` is their folder in /proc.
    pub fn finish(mut self, tasks: &File, tracees: &Tracees, errors: &mut Vec<SoftError>) -> Vec<Thread> {
        if self.debugged {
            for position in std::mem::take(&mut self.unasked) {
                self.read_debug_registers(position, errors);
            }
        }
        for tid in tracees.unstoppable() {
            let fallback_sp_ip = blocked_at(tasks, tid);
            self.threads.push(Thread { fallback_sp_ip, ..Thread::new(tid.unsigned_abs()) });
        }
        self.threads.sort_unstable_by_key(|thread| thread.id);
        self.threads
    }

    fn read_debug_registers(&mut self, position: usize, errors: &mut Vec<SoftError>) {
        let Some(thread) = self.threads.get_mut(position) else { return };
        let (Some(CpuState::Amd64(state)), Ok(tid)) = (&mut thread.cpu, pid_t::try_from(thread.id)) else {
            return;
        };
        match debug_registers(tid) {
            Ok(debug) => {
                self.debugged |= debug.is_some();
                state.debug = debug;
            }
            Err(error) => errors.push(some_missing(thread.id, &error)),
        }
    }
}

fn some_missing(thread: u32, error: &io::Error) -> SoftError {
    let soft = SoftError::new(Stage::Registers, "some registers could not be read");
    soft.thread(thread).os_error(error.raw_os_error())
}
