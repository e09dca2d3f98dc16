//! Before the stop: everything that can be read while the target still runs.

use super::arena::Arena;
use super::auxv::Auxv;
use super::expected;
use super::kept::Kept;
use super::loader;
use super::maps::{self, Mapping};
use super::memory::ProcessMemory;
use super::modules::{ModuleFiles, read_modules, same_modules};
use super::proc_fs::{MAPS_STEP, maps_are, read_maps, read_text};
use super::registers::RegisterReader;
use super::smaps::Smaps;
use super::system;
use super::target::Target;
use super::target_files::TargetFiles;
use super::task_list::TaskList;
use super::thread_facts::ThreadTable;
use crate::snapshot::{
    Cpu, DsoDebug, LinuxFacts, MemoryMode, MemorySource as _, Module, Process, Region, Snapshot, SoftError,
    Stage, System,
};
use crate::{AuxvOverride, DumpOptions, Error};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// Address space that is reserved for the arena.
const ARENA_RESERVE: usize = 320 << 20;
/// Address space for it where that much cannot be had. It grows.
const ARENA_MINIMUM: usize = 1 << 20;

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
    /// The loader's list was read while the target stood still.
    pub list_is_of_the_window: bool,
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
        let mut maps_text = Vec::new();
        read_maps(&maps_file, &mut maps_text)
            .map_err(|source| Error::ProcFile { path: target.proc("maps"), source })?;
        let mut mappings = Vec::new();
        let malformed = maps::parse(&maps_text, &mut mappings);
        if malformed > 0 {
            let message = format!("{malformed} lines of the memory map were not understood");
            soft_errors.push(SoftError::new(Stage::MemoryMap, message));
        }
        let files = if traced { None } else { TargetFiles::open(target.live_tid).ok() };
        let mut facts = facts(target, &mut soft_errors);
        facts.lsb_release = files.as_ref().and_then(release_text);
        let executable = std::fs::read_link(target.proc("exe"));
        let mut image = Self {
            maps_file,
            mem_file: File::open(target.proc("mem")).ok(),
            maps_text,
            mappings,
            auxv: Auxv::default(),
            facts,
            executable: executable.ok().map(|path| path.into_os_string().into_encoded_bytes()),
            modules: Vec::new(),
            dso_debug: None,
            modules_are_final: !traced,
            list_is_of_the_window: traced,
            soft_errors,
            module_errors: Vec::new(),
        };
        image.parse_auxv(auxv);
        let memory = image.memory(target.live_tid, traced);
        image.read_modules(&memory, files.as_ref());
        Ok(image)
    }

    /// This image for another capture, without what that has to read again. `dso_debug` is the loader's list.
    pub fn copy(&self, dso_debug: Option<DsoDebug>) -> io::Result<Self> {
        let lsb_release = self.facts.lsb_release.clone();
        Ok(Self {
            maps_file: self.maps_file.try_clone()?,
            mem_file: self.mem_file.as_ref().map(File::try_clone).transpose()?,
            maps_text: self.maps_text.clone(),
            mappings: self.mappings.clone(),
            auxv: self.auxv,
            facts: LinuxFacts { lsb_release, ..LinuxFacts::default() },
            executable: self.executable.clone(),
            modules: self.modules.clone(),
            dso_debug,
            modules_are_final: true,
            list_is_of_the_window: false,
            soft_errors: Vec::new(),
            module_errors: self.module_errors.clone(),
        })
    }

    /// Reads what may have changed since an earlier capture. `spare_text` is room for the text of the memory map. Returns
    /// false when the process runs another program now.
    pub fn renew(&mut self, target: &Target, auxv: Option<AuxvOverride>, spare_text: &mut Vec<u8>) -> bool {
        let Ok(same_map) = maps_are(&self.maps_text, &self.maps_file, spare_text) else { return false };
        if !same_map && spare_text.is_empty() {
            return false;
        }
        let same = same_map || self.take_map(spare_text);
        let release = self.facts.lsb_release.take();
        self.facts = facts(target, &mut self.soft_errors);
        self.facts.lsb_release = release;
        self.parse_auxv(auxv);
        let memory = self.memory(target.live_tid, false);
        if same {
            let known = self.dso_debug.take().and_then(|list| loader::revalidate(list, &memory));
            self.dso_debug = known.or_else(|| loader::read(&self.auxv, &memory, &mut self.soft_errors));
        } else {
            self.read_modules(&memory, TargetFiles::open(target.live_tid).ok().as_ref());
        }
        true
    }

    fn parse_auxv(&mut self, known: Option<AuxvOverride>) {
        self.auxv = Auxv::parse(self.facts.auxv.as_deref().unwrap_or_default());
        if let Some(known) = known {
            self.auxv.replace_known(known);
        }
    }

    /// Takes over the memory map in `text`, which afterwards holds the text of the old one. Returns whether the modules
    /// of the old map are those of the new one.
    pub fn take_map(&mut self, text: &mut Vec<u8>) -> bool {
        let mut mappings = Vec::with_capacity(self.mappings.len() + 64);
        maps::parse(text, &mut mappings);
        let same = same_modules(&self.mappings, &self.maps_text, &mappings, text);
        std::mem::swap(&mut self.maps_text, text);
        self.mappings = mappings;
        same
    }

    /// The mappings as regions. Names are allocations; they are filled in after the window.
    pub fn nameless_regions(&self) -> Vec<Region> {
        self.mappings.iter().map(|mapping| mapping.to_nameless_region(&self.maps_text)).collect()
    }

    /// The image's memory, seen through thread `tid`.
    pub fn memory(&self, tid: libc::pid_t, traced: bool) -> ProcessMemory {
        ProcessMemory::new(tid, self.mem_file.as_ref().and_then(|file| file.try_clone().ok()), traced)
    }

    /// Whether the executable's file begins with these bytes: in memory, where the kernel says that it lies, or else on the
    /// medium.
    fn executable_begins_with(&self, bytes: [u8; 5], target: &Target) -> bool {
        let mut found = [0; 5];
        let main = self.modules.iter().find(|module| module.is_main);
        let memory = self.memory(target.live_tid, false);
        if !main
            .is_some_and(|main| memory.read(main.base, &mut found).done == 5 && found.starts_with(b"\x7fELF"))
        {
            let file = File::open(target.proc("exe"));
            let _ = file.and_then(|mut file| file.read_exact(&mut found));
        }
        found == bytes
    }

    /// Reads the loader's list and the modules of the present `mappings`.
    pub fn read_modules(&mut self, memory: &ProcessMemory, files: Option<&TargetFiles>) {
        self.module_errors.clear();
        let errors = &mut self.module_errors;
        self.dso_debug = loader::read(&self.auxv, memory, errors);
        let loader = self.dso_debug.as_ref();
        let lent = files.map(|files| -> &dyn ModuleFiles { files });
        self.modules =
            read_modules(&self.mappings, &self.maps_text, &self.auxv, memory, lent, loader, errors);
        self.modules_are_final = files.is_some();
    }
}

/// What was read before the stop, and what was made ready for it.
#[derive(Debug)]
pub struct Before {
    /// The program image.
    pub image: Image,
    /// Its mappings as regions without names.
    pub regions: Vec<Region>,
    /// Room for comparing the memory map with that in the window.
    pub spare_text: Vec<u8>,
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
    /// Reads it all, but for what an earlier capture of the same process has left and still holds.
    pub fn read(target: &Target, options: &DumpOptions, kept: Option<Kept>) -> Result<Self, Error> {
        let pid = target.pid;
        let kept = kept.and_then(|kept| kept.renewed(target, options));
        let kept = kept.map_or_else(|| Self::read_anew(target, options), Ok)?;
        let Kept { mut image, mut spare_text, system, registers, mut tasks, arena } = kept;
        let smaps = read_smaps(target, options, &mut image.soft_errors);
        let mut tids = Vec::new();
        tasks.list(&mut tids).map_err(|_| Error::TargetGone { pid })?;
        let threads = ThreadTable::read(tasks.folder(), &tids);
        let mut arena = arena
            .map_or_else(|| Arena::new(ARENA_RESERVE).or_else(|_| Arena::new(ARENA_MINIMUM)), Ok)
            .map_err(|source| Error::Memory { pid, source })?;
        let mut likely = Snapshot::new(Process { pid: pid.unsigned_abs(), ..Process::default() }, system);
        likely.regions = image.nameless_regions();
        likely.linux = Some(LinuxFacts { dso_debug: image.dso_debug.take(), ..LinuxFacts::default() });
        arena.prepare(expected::size(tasks.folder(), &tids, &mut likely, options));
        let Snapshot { regions, linux, system, .. } = likely;
        image.dso_debug = linux.and_then(|linux| linux.dso_debug);
        make_room(&mut spare_text, MAPS_STEP);
        Ok(Self { image, regions, spare_text, threads, smaps, system, registers, tasks, arena })
    }

    fn read_anew(target: &Target, options: &DumpOptions) -> Result<Kept, Error> {
        let pid = target.pid;
        let image = Image::read(target, options.auxv, false)?;
        refuse_other_programs(target, &image)?;
        let tasks = TaskList::open(pid).map_err(|_| Error::TargetGone { pid })?;
        let system = system::system(image.facts.cpu_info.as_deref());
        let Cpu::Amd64 { xsave, .. } = &system.cpu else {
            return Err(Error::UnsupportedProgram { pid, what: "foreign" });
        };
        let registers = RegisterReader::new(xsave.clone());
        Ok(Kept { image, spare_text: Vec::new(), system, registers, tasks, arena: None })
    }
}

const ZEROS: [u8; 4096] = [0; 4096];

/// Gives `text` room for `size` bytes, and writes to it, so that the kernel need not provide it page by page in the
/// window.
fn make_room(text: &mut Vec<u8>, size: usize) {
    if text.len() < size {
        text.clear();
        text.reserve_exact(size);
        // In a program that is built for size, `resize` writes byte by byte.
        while text.len() < size {
            text.extend_from_slice(ZEROS.get(..size - text.len()).unwrap_or(&ZEROS));
        }
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

/// The texts that the dump keeps whole, but for the name of the distribution, which lies in a file of the target.
fn facts(target: &Target, soft_errors: &mut Vec<SoftError>) -> LinuxFacts {
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
        environ_address: Some(target.stat.environ_start).filter(|at| *at != 0),
        auxv: text(target.proc("auxv")),
        limits: text(target.proc("limits")),
        lsb_release: None,
        maps: None,
        dso_debug: None,
    }
}

/// The text that names the distribution, from the target's own root.
fn release_text(files: &TargetFiles) -> Option<Vec<u8>> {
    let names: [&[u8]; 3] = [b"/etc/lsb-release", b"/etc/os-release", b"/usr/lib/os-release"];
    files.read_first_in_root(&names, 64 << 10)
}

/// Refuses programs whose registers and structures this back end does not know.
fn refuse_other_programs(target: &Target, image: &Image) -> Result<(), Error> {
    // EI_CLASS 1 is ELFCLASS32 (<elf.h>). An executable that cannot be read is no reason to refuse.
    if image.executable_begins_with(*b"\x7fELF\x01", target) {
        return Err(Error::UnsupportedProgram { pid: target.pid, what: "32-bit" });
    }
    Ok(())
}
