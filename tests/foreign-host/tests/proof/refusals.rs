//! What neither build does, or only the one for this machine.

use crate::hosts::Host;
use std::fs;
use tempfile::TempDir;

#[test]
fn files_that_are_no_dumps_are_refused_in_the_same_words() {
    let folder = TempDir::new().unwrap();
    let mut program = vec![0; 64];
    program[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    program[16] = 3;
    let files: [(&str, &[u8]); 4] = [
        ("text", b"no dump at all"),
        ("empty", b""),
        ("program", &program),
        ("old", b"\xce\xfa\xed\xfe and no more"),
    ];
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
        for arguments in [&["show", name][..], &["convert", name, "-o", "out"]] {
            let run = |host: Host| host.run(folder.path(), arguments, None);
            let here = run(Host::Native);
            assert_eq!(run(Host::Foreign), here, "{arguments:?}");
            assert_eq!((here.code, here.output.as_slice()), (Some(1), &b""[..]), "{}", here.complaint);
        }
    }
}

#[test]
fn a_process_that_is_not_there_is_refused_in_one_sentence() {
    let folder = TempDir::new().unwrap();
    let left = Host::Foreign.run(folder.path(), &["dump", "1", "-o", "out"], None);
    assert_eq!(left.code, Some(1));
    assert!(left.complaint.contains("there is no process 1"), "{}", left.complaint);
    assert_eq!(left.complaint.lines().count(), 1, "{}", left.complaint);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
