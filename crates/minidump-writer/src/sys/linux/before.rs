//! Before the stop: everything that can be read while the target still runs.

use super::arena::Arena;
use super::auxv::Auxv;
use super::loader;
use super::maps::{self, Mapping};
use super::memory::ProcessMemory;
use super::modules::read_modules;
use super::proc_fs::{Stat, read_maps, read_text};
use super::registers::RegisterReader;
use super::smaps::Smaps;
use super::system;
use super::target::Target;
use super::target_files::TargetFiles;
use super::task_list::TaskList;
use super::thread_facts::ThreadTable;
use crate::snapshot::{Cpu, DsoDebug, LinuxFacts, MemoryMode, Module, SoftError, Stage, System};
use crate::{AuxvOverride, DumpOptions, Error};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Stack and code that any thread has, for sizing the arena, in bytes. More would be memory that most targets never need.
const EXPECTED_PER_THREAD: usize = 6 << 10;
/// The arena is made ready up to this size; beyond, its pages come as they are touched.
const MOST_PREFAULTED: usize = 64 << 20;
/// Address space that is reserved for the arena.
const ARENA_RESERVE: usize = 320 << 20;

/// What belongs to one program image: replaced as a whole when the target calls exec.
#[derive(Debug)]
pub struct Image {
    /// /proc/PID/maps, open. It stays bound to this image: after an exec it reads as empty.
    pub maps_file: File,
    /// /proc/PID/mem, open, bound likewise.
    pub mem_file: Option<File>,
    /// Text of the memory map.
    pub maps_text: Vec<u8>,
    /// The same, parsed.
    pub mappings: Vec<Mapping>,
    /// The auxiliary vector, parsed.
    pub auxv: Auxv,
    /// Texts.
    pub facts: LinuxFacts,
    /// Path of the executable.
    pub executable: Option<Vec<u8>>,
    /// Modules of `mappings`.
    pub modules: Vec<Module>,
    /// The loader's list.
    pub dso_debug: Option<DsoDebug>,
    /// False when the modules were read from memory alone, without the files they came from.
    pub modules_are_final: bool,
    /// What could not be read of the texts.
    pub soft_errors: Vec<SoftError>,
    /// What could not be read of the modules and the loader's list.
    pub module_errors: Vec<SoftError>,
}

impl Image {
    /// Reads the image that `target` runs now. `traced` says that the calling thread has it stopped; then no file of
    /// the target is opened, as nothing may wait for a file system while it stands still.
    pub fn read(target: &Target, auxv: Option<AuxvOverride>, traced: bool) -> Result<Self, Error> {
        // Opened first: all that is read afterwards belongs to the same image if this file still reads in the end.
        let maps_file = target.open("maps")?;
        let mut soft_errors = Vec::new();
        let mut maps_text = Vec::with_capacity(64 << 10);
        read_maps(&maps_file, &mut maps_text)
            .map_err(|source| Error::ProcFile { path: target.proc("maps"), source })?;
        let mut mappings = Vec::new();
        let malformed = maps::parse(&maps_text, &mut mappings);
        if malformed > 0 {
            let message = format!("{malformed} lines of the memory map were not understood");
            soft_errors.push(SoftError::new(Stage::MemoryMap, message));
        }
        let files = if traced { None } else { TargetFiles::open(target.live_tid).ok() };
        let facts = facts(target, files.as_ref(), &mut soft_errors);
        let mut parsed = Auxv::parse(facts.auxv.as_deref().unwrap_or_default());
        if let Some(known) = auxv {
            parsed.replace_known(known);
        }
        let executable = std::fs::read_link(target.proc("exe"));
        let mut image = Self {
            maps_file,
            mem_file: File::open(target.proc("mem")).ok(),
            maps_text,
            mappings,
            auxv: parsed,
            facts,
            executable: executable.ok().map(|path| path.into_os_string().into_encoded_bytes()),
            modules: Vec::new(),
            dso_debug: None,
            modules_are_final: !traced,
            soft_errors,
            module_errors: Vec::new(),
        };
        let memory = image.memory(target.live_tid, traced);
        image.read_modules(&memory, files.as_ref());
        Ok(image)
    }

    /// The image's memory, seen through thread `tid`.
    pub fn memory(&self, tid: libc::pid_t, traced: bool) -> ProcessMemory {
        ProcessMemory::new(tid, self.mem_file.as_ref().and_then(|file| file.try_clone().ok()), traced)
    }

    /// Reads the loader's list and the modules of the present `mappings`.
    pub fn read_modules(&mut self, memory: &ProcessMemory, files: Option<&TargetFiles>) {
        self.module_errors.clear();
        let errors = &mut self.module_errors;
        self.dso_debug = loader::read(&self.auxv, memory, errors);
        let loader = self.dso_debug.as_ref();
        self.modules =
            read_modules(&self.mappings, &self.maps_text, &self.auxv, memory, files, loader, errors);
        self.modules_are_final = files.is_some();
    }
}

/// What was read before the stop, and what was made ready for it.
#[derive(Debug)]
pub struct Before {
    /// The program image.
    pub image: Image,
    /// Facts of the threads there were.
    pub threads: ThreadTable,
    /// Marks of the mappings, for dumps of more than stacks.
    pub smaps: Option<Smaps>,
    /// The machine.
    pub system: System,
    /// Reads registers.
    pub registers: RegisterReader,
    /// Lists threads.
    pub tasks: TaskList,
    /// Takes memory.
    pub arena: Arena,
}

impl Before {
    /// Reads it all.
    pub fn read(target: &Target, options: &DumpOptions) -> Result<Self, Error> {
        let pid = target.pid;
        let mut image = Image::read(target, options.auxv, false)?;
        let smaps = read_smaps(target, options, &mut image.soft_errors);
        refuse_other_programs(target)?;
        let mut tasks = TaskList::open(pid).map_err(|_| Error::TargetGone { pid })?;
        let mut tids = Vec::new();
        tasks.list(&mut tids).map_err(|_| Error::TargetGone { pid })?;
        let threads = ThreadTable::read(pid, &tids);
        let expected = (threads.len() * EXPECTED_PER_THREAD + (256 << 10)).min(MOST_PREFAULTED);
        let arena = Arena::new(ARENA_RESERVE, expected)
            .or_else(|_| Arena::new(expected, expected))
            .map_err(|source| Error::Memory { pid, source })?;
        let system = system::system();
        let Cpu::Amd64 { xsave, .. } = &system.cpu else {
            return Err(Error::UnsupportedProgram { pid, what: "foreign" });
        };
        let registers = RegisterReader::new(xsave.clone());
        Ok(Self { image, threads, smaps, system, registers, tasks, arena })
    }
}

/// The marks of the mappings, when `options` ask for memory that they may forbid.
fn read_smaps(target: &Target, options: &DumpOptions, soft_errors: &mut Vec<SoftError>) -> Option<Smaps> {
    if options.memory.mode == MemoryMode::Stacks && options.memory.application.is_empty() {
        return None;
    }
    let path = target.proc("smaps");
    let read = Smaps::read(&path);
    if let Err(error) = &read {
        let message = format!(
            "{} could not be read: memory that the program wants left out of dumps may be in this one",
            path.display()
        );
        soft_errors.push(SoftError::new(Stage::MemoryMap, message).os_error(error.raw_os_error()));
    }
    read.ok()
}

/// The texts that the dump keeps whole.
fn facts(target: &Target, files: Option<&TargetFiles>, soft_errors: &mut Vec<SoftError>) -> LinuxFacts {
    let mut text = |path: PathBuf| match read_text(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            let message = format!("{} could not be read", path.display());
            soft_errors.push(SoftError::new(Stage::ProcFile, message).os_error(error.raw_os_error()));
            None
        }
    };
    LinuxFacts {
        cpu_info: text("/proc/cpuinfo".into()),
        status: (!target.status.is_empty()).then(|| target.status.clone()),
        cmdline: text(target.proc("cmdline")),
        environ: text(target.proc("environ")),
        environ_address: Stat::read(target.proc("stat"))
            .ok()
            .map(|stat| stat.environ_start)
            .filter(|at| *at != 0),
        auxv: text(target.proc("auxv")),
        limits: text(target.proc("limits")),
        lsb_release: files.and_then(release_text),
        maps: None,
        dso_debug: None,
    }
}

/// The text that names the distribution, from the target's own root.
fn release_text(files: &TargetFiles) -> Option<Vec<u8>> {
    let names: [&[u8]; 3] = [b"/etc/lsb-release", b"/etc/os-release", b"/usr/lib/os-release"];
    names.iter().find_map(|name| files.read_in_root(name, 64 << 10).ok())
}

/// Refuses programs whose registers and structures this back end does not know.
fn refuse_other_programs(target: &Target) -> Result<(), Error> {
    let mut identity = [0; 5];
    let read = File::open(target.proc("exe")).and_then(|mut exe| exe.read_exact(&mut identity));
    // EI_CLASS 1 is ELFCLASS32 (<elf.h>). An executable that cannot be read is no reason to refuse.
    match read {
        Ok(()) if identity == *b"\x7fELF\x01" => {
            Err(Error::UnsupportedProgram { pid: target.pid, what: "32-bit" })
        }
        _ => Ok(()),
    }
}
