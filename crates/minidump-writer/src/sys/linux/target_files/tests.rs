use super::*;
use minidump_snapshot::Protection;
use std::os::unix::fs::symlink;
use std::process::Command;
use tempfile::TempDir;

fn own_files() -> TargetFiles {
    TargetFiles::open(std::process::id().cast_signed()).expect("this process exists")
}

/// A mapping that claims to be of the file `path` names now.
fn mapping_of(path: &Path) -> Mapping {
    let metadata = std::fs::metadata(path).expect("the file exists");
    mapping(device(&metadata), metadata.ino())
}

fn mapping(device: (u32, u32), inode: u64) -> Mapping {
    let protection = Protection::READ;
    Mapping { start: 0x1000, end: 0x2000, protection, shared: false, offset: 0, device, inode, name: 0..0 }
}

fn read_all(files: &TargetFiles, mapping: &Mapping, path: &Path) -> Result<(Vec<u8>, bool), FileError> {
    files.inspect(mapping, path.as_os_str().as_bytes(), |file| {
        let mut bytes = vec![0; 64];
        let done = file.read_at(0, &mut bytes);
        bytes.truncate(done);
        (bytes, file.is_proven())
    })
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn the_mapped_file_is_read() {
    let directory = directory();
    let path = directory.path().join("plain");
    std::fs::write(&path, "contents").expect("writable");
    let (bytes, proven) = read_all(&own_files(), &mapping_of(&path), &path).expect("readable");
    assert_eq!((bytes.as_slice(), proven), (b"contents".as_slice(), true));
}

#[test]
fn reads_beyond_the_end_are_short() {
    let directory = directory();
    let path = directory.path().join("plain");
    std::fs::write(&path, "contents").expect("writable");
    let read = own_files().inspect(&mapping_of(&path), path.as_os_str().as_bytes(), |file| {
        let mut buffer = [0; 8];
        (
            file.size(),
            file.read_at(6, &mut buffer),
            file.read_at(99, &mut buffer),
            file.read_at(u64::MAX, &mut buffer),
        )
    });
    assert_eq!(read.expect("readable"), (8, 2, 0, 0));
}

#[test]
fn a_file_replaced_under_its_name_is_refused_and_named() {
    let directory = directory();
    let path = directory.path().join("library.so");
    std::fs::write(&path, "old").expect("writable");
    let mapping = mapping_of(&path);
    let other = directory.path().join("new");
    std::fs::write(&other, "new").expect("writable");
    std::fs::rename(&other, &path).expect("same file system");
    let error = read_all(&own_files(), &mapping, &path).expect_err("another file");
    assert!(matches!(&error, FileError::Replaced { path } if path.ends_with("library.so")), "{error}");
    assert!(!own_files().still_names(&mapping, path.as_os_str().as_bytes()));
}

#[test]
fn a_deleted_file_is_reported_with_the_systems_error() {
    let directory = directory();
    let path = directory.path().join("gone");
    std::fs::write(&path, "old").expect("writable");
    let mapping = mapping_of(&path);
    assert!(own_files().still_names(&mapping, path.as_os_str().as_bytes()));
    std::fs::remove_file(&path).expect("removable");
    let error = read_all(&own_files(), &mapping, &path).expect_err("no file");
    assert_eq!(error.os_error(), Some(libc::ENOENT), "{error}");
}

#[test]
fn a_fifo_is_refused_at_once() {
    let directory = directory();
    let path = directory.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    let files = own_files();
    let error = read_all(&files, &mapping_of(&path), &path).expect_err("a FIFO");
    assert!(matches!(error, FileError::NotRegular { kind: "a FIFO", .. }), "{error}");
    let path = path.as_os_str().as_bytes();
    for refused in [read_in_root(&files.task, path, 9), read_in_own_root(path, 9)] {
        let error = refused.expect_err("a FIFO");
        assert!(matches!(error, FileError::NotRegular { kind: "a FIFO", .. }), "{error}");
    }
    assert!(!files.stuck.load(Ordering::Relaxed), "refused, not timed out");
}

#[test]
fn devices_directories_and_sockets_are_refused() {
    let directory = directory();
    let socket = directory.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("binds");
    let cases =
        [(Path::new("/dev/zero"), "a device"), (directory.path(), "a directory"), (&socket, "a socket")];
    for (path, expected) in cases {
        let error = read_all(&own_files(), &mapping_of(path), path).expect_err("not regular");
        assert!(matches!(error, FileError::NotRegular { kind, .. } if kind == expected), "{error}");
    }
}

#[test]
fn a_file_on_another_device_needs_proof() {
    let directory = directory();
    let path = directory.path().join("plain");
    std::fs::write(&path, "contents").expect("writable");
    let honest = mapping_of(&path);
    let odd = Mapping { device: (0, 0x7f), ..honest };
    let (bytes, proven) = read_all(&own_files(), &odd, &path).expect("readable");
    assert_eq!((bytes.as_slice(), proven), (b"contents".as_slice(), false));
}

#[test]
fn the_executable_is_found_without_its_name() {
    let exe = std::fs::read_link("/proc/self/exe").expect("readable");
    let mapping = mapping_of(&exe);
    let (bytes, proven) =
        read_all(&own_files(), &mapping, Path::new("/no such (deleted)")).expect("readable");
    assert_eq!(bytes[..4], *b"\x7fELF");
    assert!(proven);
    assert_eq!(own_files().executable(), Some((mapping.device, mapping.inode)));
}

#[test]
fn links_resolve_inside_the_root_and_sizes_are_limited() {
    let directory = directory();
    std::fs::write(directory.path().join("release"), "0123456789").expect("writable");
    symlink("release", directory.path().join("link")).expect("link");
    let link = directory.path().join("link");
    let link = link.as_os_str().as_bytes();
    let files = own_files();
    assert_eq!(read_in_root(&files.task, link, 4).expect("readable"), b"0123");
    assert_eq!(read_in_own_root(link, 4).expect("readable"), b"0123");
    assert_eq!(files.read_first_in_root(&[b"/no/such/file", link], 4).as_deref(), Some(&b"0123"[..]));
    assert_eq!(files.read_first_in_root(&[b"/no/such/file"], 4), None);
    let error = read_in_root(&files.task, b"relative", 4).expect_err("not absolute");
    assert_eq!(error.to_string(), "relative cannot be opened: entity not found");
    assert!(read_in_root(&files.task, b"/a\0b", 4).is_err());
}

#[test]
fn absolute_links_do_not_leave_the_given_root() {
    let directory = directory();
    std::fs::create_dir(directory.path().join("etc")).expect("directory");
    std::fs::write(directory.path().join("etc/inner"), "inner").expect("writable");
    symlink("/etc/inner", directory.path().join("absolute")).expect("link");
    symlink("../../../../../../etc/inner", directory.path().join("dotted")).expect("link");
    let root = open_path(directory.path()).expect("opens");
    for name in [b"/absolute".as_slice(), b"/dotted"] {
        let handle = openat2_in_root(&root, name).expect("inside the root");
        let (_, metadata) = with_metadata(handle).expect("stat");
        let inner = std::fs::metadata(directory.path().join("etc/inner")).expect("stat");
        assert_eq!((metadata.dev(), metadata.ino()), (inner.dev(), inner.ino()));
    }
}

#[test]
fn work_that_hangs_is_given_up_and_not_tried_again() {
    let files = TargetFiles { deadline: Duration::from_millis(1), ..own_files() };
    let (release, wait) = mpsc::channel::<()>();
    let hung = files.in_time(b"/slow", move |_| Ok(wait.recv().is_ok()));
    assert!(matches!(hung, Err(FileError::Stuck { .. })));
    assert!(matches!(files.in_time(b"/next", |_| Ok(())), Err(FileError::Stuck { .. })));
    drop(release);
}

#[test]
fn a_task_that_does_not_exist_is_an_error() {
    assert_eq!(TargetFiles::open(0x7fff_fff0).expect_err("no such task").raw_os_error(), Some(libc::ENOENT));
}
