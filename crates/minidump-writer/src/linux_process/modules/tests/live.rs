//! Modules of real processes: this one, and children that run copies of system programs.

use super::super::super::loader;
use super::*;
use minidump_snapshot::Stage;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

struct Live {
    modules: Vec<Module>,
    errors: Vec<SoftError>,
    auxv: Auxv,
    text: Vec<u8>,
    mappings: Vec<Mapping>,
    dso_debug: Option<DsoDebug>,
}

fn read_live(pid: u32) -> Live {
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).expect("readable");
    let (text, auxv) = (read("maps"), Auxv::parse(&read("auxv")));
    let mut mappings = Vec::new();
    assert_eq!(maps::parse(&text, &mut mappings), 0);
    let memory = ProcessMemory::open(pid.cast_signed());
    let files = TargetFiles::open(pid.cast_signed()).expect("it lives");
    let mut errors = Vec::new();
    let dso_debug = loader::read(&auxv, &memory, &mut errors);
    let modules =
        read_modules(&mappings, &text, &auxv, &memory, Some(&files), dso_debug.as_ref(), &mut errors);
    assert_sorted(&modules);
    Live { modules, errors, auxv, text, mappings, dso_debug }
}

/// The build id that readelf tells of a file; `None` without readelf or without a build id.
fn readelf_build_id(path: &Path) -> Option<Vec<u8>> {
    let output = Command::new("readelf").arg("-n").arg(path).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let hex = text.lines().find_map(|line| line.trim().strip_prefix("Build ID: "))?.to_owned();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    Some((0..hex.len()).step_by(2).map(byte).collect())
}

/// The first page of code of the file behind `mapping`, which some file systems need as proof.
fn sample_of_code(live: &Live, mapping: &Mapping) -> from_file::Sample {
    let is_code =
        |other: &&Mapping| other.inode == mapping.inode && other.protection.contains(Protection::EXECUTE);
    let code = live.mappings.iter().find(is_code).expect("a module has code");
    let mut bytes = vec![0; 4096];
    let memory = ProcessMemory::open(std::process::id().cast_signed());
    assert_eq!(memory.read(code.start, &mut bytes).done, bytes.len());
    from_file::Sample { offset: code.offset, bytes }
}

fn path_of(module: &Module) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(&module.path))
}

#[test]
fn the_modules_of_this_process_are_those_of_their_files() {
    let live = read_live(std::process::id());
    assert_eq!(live.errors, []);
    let main: Vec<_> = live.modules.iter().filter(|module| module.is_main).collect();
    assert_eq!(main.len(), 1);
    assert_eq!(path_of(main[0]), std::fs::read_link("/proc/self/exe").expect("readable"));
    assert!(live.modules.iter().any(|module| module.path == VDSO_NAME && module.id.is_some()));
    let mut compared = 0;
    for module in live.modules.iter().filter(|module| module.path != VDSO_NAME) {
        assert!(!module.deleted);
        // The same file through the file reader, with nothing from memory.
        let in_module = |mapping: &&Mapping| mapping.start == module.base;
        let mapping = live.mappings.iter().find(in_module).expect("a module begins at a mapping");
        let files = TargetFiles::open(std::process::id().cast_signed()).expect("it lives");
        let sample = sample_of_code(&live, mapping);
        let facts = files.facts(mapping, &module.path, vec![0], sample).expect("readable");
        assert_eq!(facts.id, module.id, "{}", path_of(module).display());
        assert_eq!(facts.soname, module.soname);
        let (low, high) = facts.segments.span().expect("loaded");
        assert_eq!(module.size, high - low);
        if let Some(id) = readelf_build_id(&path_of(module)) {
            assert_eq!(module.id, Some(ModuleId::BuildId(id)));
            compared += 1;
        }
    }
    assert!(compared > 0 || Command::new("readelf").output().is_err());
}

#[test]
fn every_entry_of_the_loaders_list_is_a_module_and_code_lies_in_modules() {
    let live = read_live(std::process::id());
    let list = live.dso_debug.expect("the test is linked dynamically").link_maps;
    assert!(list.len() >= 2);
    for entry in &list {
        let owner = live
            .modules
            .iter()
            .find(|module| (module.base..module.base + module.size).contains(&entry.dynamic));
        let owner = owner.unwrap_or_else(|| panic!("{entry:?} is no module"));
        // The main program has no name there, and the vdso another.
        let known = entry.name.is_empty() || owner.path == VDSO_NAME;
        let file = std::ffi::OsStr::from_bytes(&entry.name);
        assert!(known || std::fs::canonicalize(file).expect("exists") == path_of(owner));
    }
    for mapping in live.mappings.iter().filter(|mapping| mapping.protection.contains(Protection::EXECUTE)) {
        let covered = live
            .modules
            .iter()
            .any(|module| module.base <= mapping.start && mapping.start < module.base + module.size);
        assert!(covered || mapping.name(&live.text) == b"[vsyscall]", "{mapping:x?}");
    }
    assert!(live.auxv.entry.is_some());
}

/// A running copy of `cat`, which ends with this.
struct Cat {
    child: Child,
    _directory: TempDir,
    path: PathBuf,
}

impl Cat {
    fn start(name: &[u8]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(std::ffi::OsStr::from_bytes(name));
        std::fs::copy(program("cat"), &path).expect("copied");
        let mut child =
            Command::new(&path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the copy runs");
        // Its answer proves that it is loaded.
        child.stdin.as_mut().expect("piped").write_all(b"x").expect("it reads");
        let mut answer = [0];
        child.stdout.as_mut().expect("piped").read_exact(&mut answer).expect("it answers");
        Self { child, _directory: directory, path }
    }

    fn main_module(&self) -> (Module, Vec<SoftError>) {
        let live = read_live(self.child.id());
        let main =
            live.modules.into_iter().find(|module| module.is_main).expect("there is a main executable");
        (main, live.errors)
    }
}

impl Drop for Cat {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_deleted_executable_keeps_name_and_id() {
    let cat = Cat::start(b"my cat");
    let (before, errors) = cat.main_module();
    assert_eq!((path_of(&before), before.deleted, errors.len()), (cat.path.clone(), false, 0));
    std::fs::remove_file(&cat.path).expect("removable");
    let (after, errors) = cat.main_module();
    assert_eq!(errors, []);
    assert_eq!(after, Module { deleted: true, ..before });
    if let Some(id) = readelf_build_id(&program("cat")) {
        assert_eq!(after.id, Some(ModuleId::BuildId(id)));
    }
}

#[test]
fn a_replaced_executable_keeps_the_id_of_what_runs() {
    let cat = Cat::start(b"cat");
    let (before, _) = cat.main_module();
    let other = cat.path.with_extension("new");
    std::fs::copy(program("ls"), &other).expect("copied");
    std::fs::rename(&other, &cat.path).expect("replaced");
    let (after, errors) = cat.main_module();
    assert_eq!(errors, []);
    assert_eq!(after, Module { deleted: true, ..before });
}

#[test]
fn odd_paths_are_kept_as_they_are() {
    let cat = Cat::start(b"a\nb \xff\xfe (deleted)");
    let (module, errors) = cat.main_module();
    assert_eq!(errors, []);
    assert_eq!((path_of(&module), module.deleted), (cat.path.clone(), false));
}

#[test]
fn a_process_without_memory_gives_no_modules_and_no_soft_errors() {
    let mut child = Command::new(program("true")).spawn().expect("runs");
    let files = TargetFiles::open(child.id().cast_signed()).expect("not waited for yet");
    child.wait().expect("ends");
    let mut errors = Vec::new();
    let memory = BufferSource::new();
    assert_eq!(loader::read(&Auxv::default(), &memory, &mut errors), None);
    let modules = read_modules(&[], b"", &Auxv::default(), &memory, Some(&files), None, &mut errors);
    assert_eq!(modules, []);
    assert!(errors.iter().all(|error| error.stage != Stage::Module), "{errors:?}");
}
