//! What is read while the target still runs.

use super::as_before::AsBefore;
use super::copied::Copied;
use super::images::{Images, Tebs, View};
use super::memory::ProcessMemory;
use super::open::{Holder, Target};
use super::process::ProcessFacts;
use super::threads::{ThreadHandle, Threads};
use super::{machine, regions, thread_facts};
use crate::snapshot::System;
use std::collections::HashMap;
use std::sync::Arc;

/// Stack that a thread mostly has in use, in bytes: so much room is made ready for each.
const EXPECTED_STACK: usize = 16 << 10;

/// It.
#[derive(Debug)]
pub struct Before {
    pub process: ProcessFacts,
    pub system: System,
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
    pub fn read(target: &Target, holder: Holder, mut room: Copied) -> Self {
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
        let images = Images::read(&View {
            target,
            process: &process,
            memory: &memory,
            regions: &mapped,
            address_space: &address_space,
            tebs: &Tebs::of(threads.list()),
        });
        Self { process, system: machine::system(target.is_wow64), suspended, images, flags, room }
    }
}
