//! Dumps of other processes.

use crate::built::{Linked, Program, WAYS};
use end_to_end::{Dump, Target, process};
use minidump::{MinidumpMemoryList, MinidumpMiscInfo, MinidumpModuleList, MinidumpThreadList};

#[test]
fn another_process_and_the_own_one_are_dumped() {
    for linked in WAYS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dmp");
        let target = Target::start(["threads", "2"]);
        let program = Program::new("dump.c", linked);
        let finished = process::run(program.command().arg(target.pid().to_string()).arg(&path));
        let stdout = String::from_utf8(finished.expect_success("dump").stdout).unwrap();
        let other = Dump::of(std::fs::read(&path).unwrap());
        let parsed = other.parse();
        let threads = parsed.get_stream::<MinidumpThreadList<'_>>().unwrap().threads.len();
        let modules = parsed.get_stream::<MinidumpModuleList>().unwrap().iter().count();
        assert!(parsed.get_stream::<MinidumpMemoryList<'_>>().is_ok());
        let bytes = other.bytes.len();
        assert_eq!(stdout, format!("bytes {bytes}\nthreads {threads}\nmodules {modules}\nreserved 0\n"));
        let id = |dump: &Dump| {
            let misc: MinidumpMiscInfo = dump.parse().get_stream().unwrap();
            misc.raw.process_id().copied().unwrap()
        };
        assert_eq!(i64::from(id(&other)), i64::from(target.pid()));
        let asked = b"by C";
        assert!(other.bytes.windows(asked.len()).any(|window| window == asked), "the annotation");

        let own = Dump::of(std::fs::read(folder.path().join("x.dmp.own")).unwrap());
        assert_ne!(id(&own), id(&other));
        let core = std::fs::read(folder.path().join("x.dmp.core")).unwrap();
        assert_eq!(&core[..4], b"\x7fELF");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left");
    }
}

#[test]
fn a_process_that_is_not_there_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new("dump.c", Linked::Shared);
    let finished = process::run(program.command().arg(i32::MAX.to_string()).arg(folder.path().join("x.dmp")));
    assert_eq!(finished.status.code(), Some(3));
    assert!(finished.stderr.contains("returned 8"), "MDW_ERROR_NO_PROCESS: {}", finished.stderr);
    assert!(finished.stderr.contains(&i32::MAX.to_string()), "{}", finished.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
