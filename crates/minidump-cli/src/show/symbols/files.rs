//! Finds the files that belong to a module of a dump, and makes sure that they do.

use super::super::model::SymbolsFound;
use super::object_file::ObjectFile;
use super::vdso;
use crate::text;
use minidump::{CodeView, MinidumpModule};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Where distributions keep separate debug information.
const DEBUG_ROOT: &str = "/usr/lib/debug";

/// What a dump says about a module.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Path in the file system of the process.
    pub path: String,
    /// UUID of a Mach-O module, else the GNU build id; of a module without one the hash of its code ([`ObjectFile::text_hash`]).
    pub id: Vec<u8>,
    /// The process, which may be alive.
    pub pid: Option<u32>,
}

impl Identity {
    /// The identity of a module in a dump of the process `pid`.
    pub fn new(module: &MinidumpModule, pid: Option<u32>) -> Self {
        let id = match &module.codeview_info {
            Some(CodeView::Elf(record)) => record.build_id.clone(),
            Some(CodeView::Pdb70(record)) => uuid(&record.signature).to_vec(),
            _ => Vec::new(),
        };
        Self { path: module.name.clone(), id, pid }
    }

    /// Whether the module is the one that the kernel maps into every process.
    pub fn is_vdso(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.starts_with("linux-gate.so") || name.starts_with("linux-vdso.so") || name == "[vdso]"
    }

    /// Whether the path can name a file of this machine. Windows would take `//server/share` for another machine, which whoever
    /// wrote the dump must not make this one talk to.
    fn may_be_here(&self) -> bool {
        self.path.starts_with('/') && !cfg!(windows)
    }

    /// Where the module's file may be: under its path, seen from here or from the process, whose executable can be
    /// read even when it was deleted.
    fn places(&self) -> Vec<PathBuf> {
        let path = self.path.strip_suffix(" (deleted)").unwrap_or(&self.path);
        let mut places = Vec::new();
        if !self.may_be_here() {
            return places;
        }
        places.push(PathBuf::from(path));
        if let Some(pid) = self.pid.filter(|_| cfg!(target_os = "linux")) {
            places.push(PathBuf::from(format!("/proc/{pid}/root{path}")));
            places.push(PathBuf::from(format!("/proc/{pid}/exe")));
        }
        places
    }
}

/// The files of a module.
pub struct Files {
    /// The file that was mapped: code, call frame information, dynamic symbols.
    pub binary: Option<ObjectFile>,
    /// Separate debug information: symbols and lines.
    pub debug: Option<ObjectFile>,
    /// What two debug files have in common, moved out by dwz(1).
    pub shared: Option<ObjectFile>,
}

/// Looks for the files of a module.
///
/// # Errors
/// [`SymbolsFound::Missing`] or [`SymbolsFound::Mismatch`] when there is no file of that very build.
pub fn find(identity: &Identity) -> Result<Files, SymbolsFound> {
    if identity.id.iter().all(|byte| *byte == 0) {
        return Err(SymbolsFound::Mismatch);
    }
    let mut seen = false;
    let mut check = |elf: ObjectFile| {
        seen = true;
        elf.is(&identity.id).then_some(elf)
    };
    let binary = if identity.is_vdso() {
        vdso::read().and_then(ObjectFile::from_bytes).and_then(&mut check)
    } else {
        let mut candidates = identity.places().into_iter().flat_map(|place| ObjectFile::open_all(&place));
        candidates.find_map(&mut check)
    };
    let has_lines = binary.as_ref().is_some_and(ObjectFile::has_lines);
    let debug = if has_lines { None } else { debug_file(identity, binary.as_ref()) };
    let shared = debug.as_ref().or(binary.as_ref()).and_then(shared_file);
    match (&binary, &debug) {
        (None, None) if seen => Err(SymbolsFound::Mismatch),
        (None, None) => Err(SymbolsFound::Missing),
        _ => Ok(Files { binary, debug, shared }),
    }
}

/// Separate debug information: by build id, else by the name that the binary gives (`.gnu_debuglink`). See "Debugging
/// Information in Separate Files" in the GDB manual.
fn debug_file(identity: &Identity, binary: Option<&ObjectFile>) -> Option<ObjectFile> {
    if binary.is_none_or(ObjectFile::is_mach_o)
        && let Some(debug) = debug_bundle(identity)
    {
        return Some(debug);
    }
    let by_id =
        by_build_id(&identity.id).and_then(|path| ObjectFile::open(&path)).filter(|elf| elf.is(&identity.id));
    let by_name = || {
        let name = binary?.debug_link()?;
        let directory = Path::new(&identity.path).parent()?;
        let global = Path::new(DEBUG_ROOT).join(directory.strip_prefix("/").ok()?);
        let places = [directory.join(&name), directory.join(".debug").join(&name), global.join(&name)];
        places
            .iter()
            .find_map(|place| ObjectFile::open(place).filter(|elf| elf.has_lines() && elf.is(&identity.id)))
    };
    by_id.or_else(by_name)
}

/// What dsymutil(1) makes: a bundle beside the file, or beside the bundle that the file is in.
fn debug_bundle(identity: &Identity) -> Option<ObjectFile> {
    const MOST_PARENTS: usize = 5;
    let path = Some(Path::new(&identity.path)).filter(|_| identity.may_be_here())?;
    let name = path.file_name()?;
    let place = |beside: &Path| {
        let mut bundle = beside.file_name()?.to_os_string();
        bundle.push(".dSYM");
        Some(beside.with_file_name(bundle).join("Contents/Resources/DWARF").join(name))
    };
    let places = path.ancestors().take(MOST_PARENTS).filter_map(place);
    places
        .flat_map(|place| ObjectFile::open_all(&place))
        .find(|file| file.is_mach_o() && file.is(&identity.id))
}

/// The bytes of a UUID in their own order, from a GUID.
pub fn uuid(guid: &minidump::format::GUID) -> [u8; 16] {
    let [a0, a1, a2, a3] = guid.data1.to_be_bytes();
    let ([b0, b1], [c0, c1]) = (guid.data2.to_be_bytes(), guid.data3.to_be_bytes());
    let [d0, d1, d2, d3, d4, d5, d6, d7] = guid.data4;
    [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7]
}

/// The file that `.gnu_debugaltlink` names by its build id.
fn shared_file(debug: &ObjectFile) -> Option<ObjectFile> {
    let id = debug.shared_id()?;
    ObjectFile::open(&by_build_id(&id)?).filter(|elf| elf.is(&id))
}

fn by_build_id(id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = id.split_first().filter(|(_, rest)| !rest.is_empty())?;
    Some(PathBuf::from(format!("{DEBUG_ROOT}/.build-id/{first:02x}/{}.debug", text::hex(rest))))
}

/// Whether a name that a file gives for another one is a plain file name, as it should be.
pub fn is_plain_name(name: &OsStr) -> bool {
    Path::new(name).file_name() == Some(name)
}

/// Opens a file for reading. Opening a pipe or device returns at once, whether or not anybody is at the other end.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path)
}

/// Opens a regular file. A dump may name a pipe, a device or a directory; none of them is opened any further.
pub fn open_regular(path: &Path) -> Option<File> {
    let file = open_without_waiting(path).ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(path: &str) -> Identity {
        Identity { path: path.into(), id: vec![1; 20], pid: None }
    }

    #[test]
    fn the_vdso_is_known_by_any_of_its_names() {
        for name in ["linux-gate.so", "linux-vdso.so.1", "[vdso]"] {
            assert!(identity(name).is_vdso());
        }
        assert!(!identity("/lib/libgate.so").is_vdso());
    }

    #[test]
    #[cfg_attr(not(unix), ignore = "files of modules are looked for on Unix alone")]
    fn files_are_looked_for_from_here_and_from_the_process() {
        let mut module = identity("/opt/a (deleted)");
        assert_eq!(module.places(), [PathBuf::from("/opt/a")]);
        module.pid = Some(7);
        let expected = ["/opt/a", "/proc/7/root/opt/a", "/proc/7/exe"].map(PathBuf::from);
        assert_eq!(module.places(), expected);
        assert!(identity("relative.so").places().is_empty());
    }

    #[test]
    fn debug_files_lie_under_the_build_id() {
        let expected = PathBuf::from("/usr/lib/debug/.build-id/ab/cdef.debug");
        assert_eq!(by_build_id(&[0xab, 0xcd, 0xef]), Some(expected));
        assert_eq!(by_build_id(&[0xab]), None);
        assert_eq!(by_build_id(&[]), None);
    }

    #[test]
    #[cfg_attr(not(unix), ignore = "files of modules are looked for on Unix alone")]
    fn pipes_devices_and_directories_are_not_opened_and_nothing_waits() {
        let place = tempfile::tempdir().unwrap();
        let pipe = place.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe.as_path(), Path::new("/dev/zero"), place.path(), Path::new("/nowhere")] {
            assert!(open_regular(path).is_none(), "{}", path.display());
        }
        assert!(open_regular(&std::env::current_exe().unwrap()).is_some());
    }

    #[test]
    fn a_module_without_an_id_gets_no_file() {
        let own = std::env::current_exe().unwrap();
        let identity = Identity { path: own.to_str().unwrap().into(), id: vec![0; 16], pid: None };
        assert!(matches!(find(&identity), Err(SymbolsFound::Mismatch)));
    }

    #[test]
    #[cfg_attr(not(unix), ignore = "files of modules are looked for on Unix alone")]
    fn a_file_of_another_build_is_refused_and_the_right_one_is_taken() {
        let own = std::env::current_exe().unwrap();
        let elf = ObjectFile::open(&own).unwrap();
        let path = own.to_str().unwrap().to_string();
        let mut id = elf.id().unwrap();
        assert!(find(&Identity { path: path.clone(), id: id.clone(), pid: None }).is_ok());
        id[0] ^= 1;
        assert!(matches!(find(&Identity { path, id, pid: None }), Err(SymbolsFound::Mismatch)));
        let nowhere = Identity { path: "/nowhere".into(), id: vec![1; 20], pid: None };
        assert!(matches!(find(&nowhere), Err(SymbolsFound::Missing)));
    }
}
