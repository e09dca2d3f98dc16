//! What is read while the target still runs.

use super::as_before::AsBefore;
use super::copied::Copied;
use super::images::{Images, Tebs, View};
use super::memory::ProcessMemory;
use super::open::{Holder, Target};
use super::process::ProcessFacts;
use super::threads::{ThreadHandle, Threads};
use super::{handles, regions, system, thread_facts};
use crate::snapshot::{SoftError, System, WindowsFacts, WindowsHandle};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Stack that a thread mostly has in use, in bytes: so much room is made ready for each.
const EXPECTED_STACK: usize = 16 << 10;

/// How long the names of handles are asked for.
const HANDLES: Duration = Duration::from_secs(2);

/// It.
#[derive(Debug)]
pub struct Before {
    pub process: ProcessFacts,
    pub system: System,
    /// Of what only Windows tells, the facts of the machine.
    pub machine: WindowsFacts,
    /// The handles, of a process that will stand still until the dump has been written; others are asked for them later.
    pub handles: Option<(Vec<WindowsHandle>, Vec<SoftError>)>,
    /// How often each thread is suspended, before the capture does that.
    pub suspended: HashMap<u32, u32>,
    /// Modules and structures.
    pub images: Images,
    /// What holding the target changes in its memory.
    pub flags: AsBefore,
    /// Where the target's memory goes.
    pub room: Copied,
}

impl Before {
    /// Reads it.
    pub fn read(target: &Target, holder: Holder, is_held_long: bool, mut room: Copied) -> Self {
        let process = ProcessFacts::of(target);
        let mut threads = Threads::default();
        // Whatever is wrong shows again, and is told, when the threads are stopped.
        let _ = threads.find_new(target.handle(), target.id, false);
        let count = |thread: &ThreadHandle| Some((thread.id, thread_facts::suspend_count(thread)?));
        let suspended = threads.list().iter().filter_map(count).collect();
        room.prepare((threads.list().len() + 1).saturating_mul(EXPECTED_STACK));
        let address_space = regions::query(target.handle());
        let mapped = regions::mapped(&address_space);
        let memory = ProcessMemory::new(Arc::clone(&target.process), &mapped);
        if target.is_wow64 {
            threads.find_teb32(&memory);
        }
        let flags = match holder {
            Holder::Capture => AsBefore::read(&process, &memory),
            // Its debugger is a part of its life.
            Holder::Caller => AsBefore::default(),
        };
        let handles = is_held_long.then(|| open_handles(target));
        let images = Images::read(&View {
            target,
            process: &process,
            memory: &memory,
            regions: &mapped,
            address_space: &address_space,
            tebs: &Tebs::of(threads.list()),
        });
        let (system, machine) = system::system(target.is_wow64);
        Self { process, system, machine, handles, suspended, images, flags, room }
    }
}

/// The handles of the target, and what could not be had of them. Their names may take locks that its threads hold, so they
/// are not asked for while these stand still.
pub fn open_handles(target: &Target) -> (Vec<WindowsHandle>, Vec<SoftError>) {
    let mut errors = Vec::new();
    let found = handles::handles(target.handle(), target.id, Instant::now() + HANDLES, &mut errors);
    (found, errors)
}
