//! A program that starts its handler itself.

use crate::expected;
use crate::hand_over::serve_one;
use crate::parties::{CLIENT, LONG, Party, SECOND, account, small_task, together, told};
use crate::places::ARCHS;
use crate::played::{put, take, welcome};
use crate::run::{Request, TASK, assert_equal};
use crate::tasks;
use apple_emulator::Arch;
use apple_emulator::kernel::{Kernel, Process};
use minidump_mach::{CrashedThread, MachCrash};

const PROGRAM: &str = "/usr/local/bin/minidump-writer";
const HANDLER: i32 = 78;
/// Its standard input is the connection.
const STANDARD_INPUT: u32 = 0;

impl Party<'_> {
    /// `Protection::start` of the program at `path`: what came of it, and the protection if one did.
    fn protect(&mut self, path: &str) -> (i32, u64) {
        let account = account();
        let path = self.place(format!("{path}\0").as_bytes());
        let (bytes, place) = (self.place(&account), self.place(&[0; 8]));
        let outcome = self.call("test_protect", &[path, bytes, account.len() as u64, place]);
        (outcome, self.machine.number(place).unwrap())
    }

    /// `Protection::dump`: what came of it, and the path or the reason.
    fn dump(&mut self, protection: u64) -> (i32, String) {
        let account = account();
        let bytes = self.place(&account);
        let outcome = self.call("test_dump", &[protection, bytes, account.len() as u64]);
        (outcome, self.sentence())
    }
}

/// Runs a program with its handler, in two processes.
fn run<T: Send>(
    arch: Arch,
    program: impl FnOnce(&mut Party<'_>) + Send,
    handler: impl FnOnce(Process) -> T + Send,
) -> T {
    let kernel = Kernel::default();
    kernel.install(PROGRAM, HANDLER);
    let (process, actors) = (kernel.process(CLIENT, &[]), [kernel.actor(), kernel.actor()]);
    let [one, other] = actors;
    let ((), result) = together(
        || {
            let _actor = one;
            let task = small_task(arch);
            let mut party = Party::new(arch, process, &task);
            program(&mut party);
            party.assert_released("program");
            assert_eq!(party.process().open_descriptors(), 0);
            for exception in [10, 11, 12] {
                assert_eq!(party.process().handler(exception), None);
            }
        },
        || {
            let _actor = other;
            handler(kernel.started(PROGRAM, &[(CLIENT, TASK)], LONG).unwrap().unwrap())
        },
    );
    result
}

#[test]
fn a_program_starts_its_handler_is_dumped_and_ends_it() {
    for arch in ARCHS {
        let path = std::sync::Mutex::new(String::new());
        let dump = run(
            arch,
            |party| {
                let (outcome, protection) = party.protect(PROGRAM);
                assert_eq!(outcome, 0, "{}", party.sentence());
                assert!(party.process().handler(10).is_some());
                let (outcome, told) = party.dump(protection);
                assert_eq!(outcome, 0, "{told}");
                *path.lock().unwrap() = told;
                party.end("test_end_protection", protection);
            },
            |process| {
                let task = small_task(arch);
                let mut party = Party::new(arch, process, &task);
                let dump = serve_one(&mut party, STANDARD_INPUT);
                assert_eq!(party.system.file(&path.lock().unwrap()), Some(&*dump));
                dump
            },
        );
        let crash = MachCrash { thread: CrashedThread::Id(tasks::id(1)), exception: None, states: vec![] };
        let request = Request { crash: Some(crash), told: told(), ..Request::MINIDUMP };
        assert_equal(&dump, &expected::file(&small_task(arch), &request).1, "asked for");
    }
}

#[test]
fn a_handler_that_cannot_be_started_leaves_nothing_behind() {
    let kernel = Kernel::default();
    let (_actor, process) = (kernel.actor(), kernel.process(CLIENT, &[]));
    let task = small_task(Arch::Arm64);
    let mut party = Party::new(Arch::Arm64, process, &task);
    assert_eq!(party.protect("/nowhere").0, 1);
    assert!(party.sentence().starts_with("the other process does not answer: "), "{}", party.sentence());
    party.assert_released("not started");
    assert_eq!(party.process().open_descriptors(), 0);
}

#[test]
fn a_handler_that_says_nothing_is_killed_after_ten_seconds() {
    let killed = run(
        Arch::Arm64,
        |party| {
            assert_eq!(party.protect(PROGRAM).0, 1);
            assert_eq!(party.process().kernel().now() / SECOND, 10);
        },
        |process| process.is_killed_before(100 * SECOND).unwrap(),
    );
    assert!(killed);
}

/// Takes the task over, and asks for nothing.
fn take_over(process: &Process) {
    let port = welcome(process, STANDARD_INPUT, "minidump-handler.played");
    let came = process.receive(port, 4096, LONG).unwrap().unwrap();
    assert_eq!(came.size, 24 + 4 + 2 * 12 + 16 + 12);
    put(process, STANDARD_INPUT, b"+");
}

#[test]
fn a_handler_that_does_not_end_is_killed() {
    let killed = run(
        Arch::Amd64,
        |party| {
            let (outcome, protection) = party.protect(PROGRAM);
            assert_eq!(outcome, 0, "{}", party.sentence());
            let start = party.process().kernel().now();
            party.end("test_end_protection", protection);
            assert_eq!((party.process().kernel().now() - start) / SECOND, 10);
        },
        |process| {
            take_over(&process);
            // Says something, but stays.
            put(&process, STANDARD_INPUT, b"wait");
            process.is_killed_before(LONG).unwrap()
        },
    );
    assert!(killed);
}

#[test]
fn an_answer_that_comes_too_late_is_none_to_the_next_question() {
    run(
        Arch::Arm64,
        |party| {
            let (outcome, protection) = party.protect(PROGRAM);
            assert_eq!(outcome, 0, "{}", party.sentence());
            let start = party.process().kernel().now();
            assert_eq!(party.dump(protection).0, 9, "late");
            assert_eq!((party.process().kernel().now() - start) / SECOND, 300);
            party.process().wait_until(party.process().kernel().now() + 100 * SECOND);
            assert_eq!(party.dump(protection).0, 9, "not asked");
            party.end("test_end_protection", protection);
        },
        |process| {
            take_over(&process);
            assert_eq!(take(&process, STANDARD_INPUT), Some(account()));
            process.wait_until(process.kernel().now() + 310 * SECOND);
            put(&process, STANDARD_INPUT, b"+/late");
            assert_eq!(take(&process, STANDARD_INPUT), None, "no other question, but the end");
        },
    );
}

#[test]
fn a_handler_that_dies_leaves_an_error_and_no_wait() {
    run(
        Arch::Amd64,
        |party| {
            let (outcome, protection) = party.protect(PROGRAM);
            assert_eq!(outcome, 0, "{}", party.sentence());
            let start = party.process().kernel().now();
            assert_eq!(party.dump(protection).0, 9);
            party.end("test_end_protection", protection);
            assert_eq!(party.process().kernel().now(), start);
        },
        |process| {
            take_over(&process);
            assert_eq!(take(&process, STANDARD_INPUT), Some(account()));
        },
    );
}
