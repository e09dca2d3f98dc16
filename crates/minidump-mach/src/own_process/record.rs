use crate::arch::Arch;
use crate::exception::{CrashedThread, MachCrash};
use crate::regions::ListEnd;
use crate::thread::cpu_flavors;
use crate::{CaptureOptions, KernReturn, MachTask, RegionTag, ThreadFlavor, ThreadPort};
use minidump_snapshot::{CpuState, Region, SoftError, Stage, Thread};

/// Words of all that is recorded of a thread: three states of at most 68, 132 and 4 words, and three infos of 28, 10 and 6.
const WORDS: usize = 68 + 132 + 4 + 28 + 10 + 6;

/// Threads and regions that may be new since room was made.
const MORE_THREADS: usize = 64;
const MORE_REGIONS: usize = 4096;

/// What a stack may have grown by since, in bytes.
const MORE_STACK: u64 = 32 << 10;

/// Most room that is made for stacks.
const MOST_STACKS: u64 = 1 << 30;

/// An answer of the kernel: where its words begin among those of the thread, and how many came.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    pub flavor: u32,
    pub is_info: bool,
    pub start: usize,
    pub room: usize,
    pub result: Result<usize, KernReturn>,
}

/// What was recorded of a thread.
#[derive(Debug, Clone)]
pub struct ThreadRecord {
    pub port: ThreadPort,
    pub words: [u32; WORDS],
    pub answers: [Answer; 6],
    /// Whether this suspended it.
    pub held: bool,
    pub suspend_error: Option<KernReturn>,
    pub resume_error: Option<KernReturn>,
}

impl ThreadRecord {
    pub fn new(port: ThreadPort, arch: Arch) -> Self {
        let flavors = cpu_flavors(arch);
        let states = [flavors.general, flavors.float, flavors.fault];
        let infos = [(ThreadFlavor::Extended, 28), (ThreadFlavor::Basic, 10), (ThreadFlavor::Identifier, 6)];
        let empty = Answer { flavor: 0, is_info: false, start: 0, room: 0, result: Err(KernReturn::FAILURE) };
        let mut answers = [empty; 6];
        let wanted = states.into_iter().map(|(flavor, room)| (flavor, room, false));
        let wanted = wanted.chain(infos.into_iter().map(|(flavor, room)| (flavor as u32, room, true)));
        let mut start = 0;
        for (answer, (flavor, room, is_info)) in answers.iter_mut().zip(wanted) {
            *answer = Answer { flavor, is_info, start, room, ..empty };
            start += room;
        }
        Self { port, words: [0; WORDS], answers, held: false, suspend_error: None, resume_error: None }
    }

    /// The words of an answer.
    pub fn answer(&self, flavor: u32, is_info: bool) -> Result<&[u32], KernReturn> {
        let answer = self.answers.iter().find(|answer| answer.flavor == flavor && answer.is_info == is_info);
        let answer = answer.ok_or(KernReturn::INVALID_ARGUMENT)?;
        let count = answer.result?;
        let words = self.words.get(answer.start..answer.start.saturating_add(count.min(answer.room)));
        words.ok_or(KernReturn::FAILURE)
    }
}

/// A piece of copied memory.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    pub address: u64,
    pub offset: usize,
    pub size: usize,
}

/// Room for all that is recorded. None of its vectors is ever made larger.
#[derive(Debug)]
pub struct Record {
    pub arch: Arch,
    pub ports: Vec<ThreadPort>,
    /// The ports of `threads`, sorted.
    pub known: Vec<ThreadPort>,
    pub threads: Vec<ThreadRecord>,
    pub regions: Vec<Region>,
    pub tags: Vec<RegionTag>,
    pub regions_end: ListEnd,
    pub stacks: Vec<u8>,
    pub used: usize,
    pub pieces: Vec<Piece>,
    pub list_error: Option<KernReturn>,
    /// Threads for which there was no room.
    pub left_out: usize,
    /// Stands for each thread in turn, to find its stack.
    pub probe: Thread,
    /// The crashed thread, and the stack pointer that its crash handler recorded.
    pub crashed: Option<(CrashedThread, Option<u64>)>,
}

impl Record {
    /// Makes room for what `task` has now, and for some more.
    pub fn new(
        task: &dyn MachTask,
        arch: Arch,
        regions: &[Region],
        options: &CaptureOptions,
        crash: Option<&MachCrash>,
    ) -> Self {
        let ports = crate::thread::list(task, &mut Vec::new());
        let count = ports.len().saturating_add(MORE_THREADS);
        let cap = options.memory.blamed_stack_cap.max(options.memory.stack_cap);
        let general = cpu_flavors(arch).general;
        let stack = |port: &ThreadPort| {
            let mut words = vec![0; general.1];
            let sp = task
                .thread_state(*port, general.0, &mut words)
                .ok()
                .and_then(|_| stack_pointer(arch, &words));
            let end = sp.and_then(|sp| {
                let index = regions.partition_point(|region| region.end <= sp);
                regions.get(index).map(|region| region.end - sp)
            });
            end.unwrap_or_default().min(cap).saturating_add(MORE_STACK)
        };
        let room = ports.iter().map(stack).fold(cap, u64::saturating_add).min(MOST_STACKS);
        let cpu = match arch {
            Arch::Arm64 => CpuState::Arm64(Box::default()),
            Arch::Amd64 => CpuState::Amd64(Box::default()),
        };
        let recorded_sp = crash.and_then(|crash| {
            let (flavor, _) = general;
            let state = crash.states.iter().map(|state| state.plain(arch)).find(|(kind, _)| *kind == flavor);
            state.and_then(|(_, words)| stack_pointer(arch, words))
        });
        Self {
            arch,
            ports: vec![ThreadPort(0); count],
            known: Vec::with_capacity(count),
            threads: Vec::with_capacity(count),
            regions: Vec::with_capacity(regions.len().saturating_add(MORE_REGIONS)),
            tags: Vec::with_capacity(regions.len().saturating_add(MORE_REGIONS)),
            regions_end: ListEnd::Complete,
            stacks: vec![0; usize::try_from(room).unwrap_or_default()],
            used: 0,
            pieces: Vec::with_capacity(count.saturating_mul(2)),
            list_error: None,
            left_out: 0,
            probe: Thread { cpu: Some(cpu), ..Thread::new(0) },
            crashed: crash.map(|crash| (crash.thread, recorded_sp)),
        }
    }

    /// The recorded regions, with names.
    pub fn take_regions(&mut self) -> Vec<Region> {
        let mut regions = std::mem::take(&mut self.regions);
        for (region, tag) in regions.iter_mut().zip(&self.tags) {
            region.name = tag.name().unwrap_or_default().into();
        }
        regions
    }

    /// What went wrong with threads as a whole.
    pub fn failures(&self) -> Vec<SoftError> {
        let note = |message: String, error: Option<KernReturn>| {
            SoftError::new(Stage::StopThread, message).os_error(error.map(|error| error.0))
        };
        let mut errors = Vec::new();
        if let Some(error) = self.list_error {
            errors.push(note(format!("the threads cannot be listed: {error}"), Some(error)));
        }
        if self.left_out > 0 {
            errors.push(note(format!("there was no room for {} new threads", self.left_out), None));
        }
        for thread in &self.threads {
            let failed = [(thread.suspend_error, "suspended"), (thread.resume_error, "resumed")];
            for (error, what) in failed {
                let error =
                    error.map(|error| note(format!("a thread could not be {what}: {error}"), Some(error)));
                errors.extend(error);
            }
        }
        errors
    }
}

/// The stack pointer among the words of the general registers.
pub fn stack_pointer(arch: Arch, words: &[u32]) -> Option<u64> {
    crate::bytes::pair(words, if arch == Arch::Arm64 { 62 } else { 14 })
}
