//! Handlers that do not keep to what has been agreed, and a kernel that refuses: the process keeps its task, its handlers
//! of exceptions and nothing of what came.

use crate::parties::{Party, SECOND, STRANGER, Two, account, task, together, two};
use crate::places::ARCHS;
use crate::played::{COPY_SEND, letter, message, put, take, welcome, words};
use apple_emulator::Arch;
use apple_emulator::kernel::{Kernel, Name, Process};

/// What `hand_over` says.
const PIPE: i32 = 1;
const MACH: i32 = 3;
const NAME: i32 = 4;
const SILENT: i32 = 5;
/// How long the process waits.
const PATIENCE_MS: u64 = 3000;
const SERVICE: &str = "minidump-handler.played";
/// EXC_CRASH and EXC_GUARD of the three, and the form that somebody wants them in.
const HANDLED: u32 = 1 << 10 | 1 << 12;
const FORM: u32 = 0x8000_0001;

struct Case {
    about: &'static str,
    /// What the handler does.
    handler: fn(&Process, u32),
    /// A call that is refused to the process, and with what.
    refuse: Option<(&'static str, i32)>,
    /// The forms of exceptions that the kernel takes.
    behaviors: &'static [u32],
    outcome: i32,
    sentence: &'static str,
}

const NO_ANSWER: &str = "the other process does not answer: ";
const NO_NAME: &str = "there is no usable name for the port";
const NOT_CONFIRMED: &str = "the right to the task did not come in time";

const fn case(about: &'static str, handler: fn(&Process, u32), outcome: i32, sentence: &'static str) -> Case {
    Case { about, handler, refuse: None, behaviors: &[1, 2, 3, 4, 5], outcome, sentence }
}

/// The handler does its part, and the call is refused.
const fn refused(call: &'static str, code: i32, sentence: &'static str) -> Case {
    let handler: fn(&Process, u32) = |process, at| {
        welcome(process, at, SERVICE);
    };
    Case { refuse: Some((call, code)), ..case(call, handler, MACH, sentence) }
}

/// The handler says this instead of secret and name.
fn say(process: &Process, at: u32, bytes: &[u8]) {
    assert_eq!(take(process, at), Some(account()));
    put(process, at, bytes);
}

/// Takes the letter and answers this.
fn answer(process: &Process, at: u32, bytes: &[u8]) {
    let port = welcome(process, at, SERVICE);
    let (_, words) = letter(process, port);
    // The task, and who handled the exceptions.
    assert_eq!(words[6], 3);
    put(process, at, bytes);
}

const CASES: &[Case] = &[
    case("nothing", |_, _| {}, PIPE, NO_ANSWER),
    case("an end", |process, at| process.close(at).unwrap(), PIPE, NO_ANSWER),
    case("no secret", |process, at| say(process, at, b"0123456789abcde"), NAME, NO_NAME),
    case("no name", |process, at| say(process, at, b"0123456789abcdef"), NAME, NO_NAME),
    case("a name without an end", |process, at| say(process, at, b"0123456789abcdefname"), NAME, NO_NAME),
    case("a name with two ends", |process, at| say(process, at, b"0123456789abcdefna\0me\0"), NAME, NO_NAME),
    case(
        "a name that is too long",
        |process, at| say(process, at, &[&[b'x'; 16 + 128][..], b"\0"].concat()),
        NAME,
        NO_NAME,
    ),
    case(
        "a name that nobody has",
        |process, at| say(process, at, b"0123456789abcdefnobody\0"),
        MACH,
        "bootstrap_look_up failed with 0x44e",
    ),
    case(
        "a length beyond all",
        |process, at| process.write(at, &[0xff; 4]).unwrap().unwrap(),
        PIPE,
        NO_ANSWER,
    ),
    case(
        "half a message",
        |process, at| process.write(at, &[90, 0, 0, 0, 1]).unwrap().unwrap(),
        PIPE,
        NO_ANSWER,
    ),
    case(
        "an end before the letter is confirmed",
        |process, at| {
            let port = welcome(process, at, SERVICE);
            letter(process, port);
            process.close(at).unwrap();
        },
        PIPE,
        NO_ANSWER,
    ),
    case(
        "no confirmation",
        |process, at| {
            let port = welcome(process, at, SERVICE);
            letter(process, port);
        },
        PIPE,
        NO_ANSWER,
    ),
    case("another answer", |process, at| answer(process, at, b"-"), SILENT, NOT_CONFIRMED),
    case("a longer answer", |process, at| answer(process, at, b"++"), SILENT, NOT_CONFIRMED),
    case("an empty answer", |process, at| answer(process, at, b""), SILENT, NOT_CONFIRMED),
    case(
        "no room for the letter",
        |process, at| {
            // Somebody has filled the port before the process even knows of it.
            let port = process.check_in(SERVICE).unwrap().unwrap();
            let stranger = process.kernel().process(STRANGER, &[]);
            let full = stranger.look_up(SERVICE).unwrap().unwrap();
            for _ in 0..5 {
                assert_eq!(stranger.send(&mut message(COPY_SEND, full, 0, 1, &[]), SECOND), Ok(Ok(())));
            }
            say(process, at, &[b"0123456789abcdef", SERVICE.as_bytes(), b"\0"].concat());
            // The pipe's end tells that the process has given up.
            assert_eq!(take(process, at), None);
            for _ in 0..5 {
                let came = process.receive(port, 200, SECOND).unwrap().unwrap();
                assert_eq!(words(&came.bytes)[5], 1);
            }
        },
        MACH,
        "mach_msg (send) failed with 0x10000004",
    ),
    refused("_bootstrap_look_up", 1100, "bootstrap_look_up failed with 0x44c"),
    refused("_mach_msg", 0x1000_0003, "mach_msg (send) failed with 0x10000003"),
    Case {
        behaviors: &[],
        ..case(
            "no form of exceptions",
            |process, at| {
                welcome(process, at, SERVICE);
            },
            MACH,
            "task_swap_exception_ports failed with 0x4",
        )
    },
];

/// The program's process, in which somebody handles crashes already: that one's port, and what is refused.
fn prepare(party: &Party<'_>, case: &Case) -> Name {
    let process = party.process();
    let port = process.allocate().unwrap();
    process.make_send(port).unwrap();
    process.set_handler(HANDLED, port, FORM, 0).unwrap();
    process.kernel().accept_behaviors(case.behaviors);
    if let Some((call, code)) = case.refuse {
        process.refuse(call, code);
    }
    port
}

fn assert_not_handed_over(case: &Case, party: &mut Party<'_>, at: u32) {
    let about = case.about;
    let port = prepare(party, case);
    let before = party.process().rights();
    let kernel = party.process().kernel().clone();
    let start = kernel.now();
    let (outcome, _) = party.hand_over(at, true, PATIENCE_MS);
    let waited = (kernel.now() - start) / 1_000_000;
    assert!(waited <= PATIENCE_MS + 1, "{about}: {waited} ms");
    assert_eq!(outcome, case.outcome, "{about}: {}", party.sentence());
    assert!(party.sentence().starts_with(case.sentence), "{about}: {}", party.sentence());
    assert_eq!(party.process().rights(), before, "{about}");
    let handlers = [10, 11, 12].map(|exception| party.process().handler(exception));
    assert_eq!(handlers, [Some((FORM, 0)), None, Some((FORM, 0))], "{about}");
    give_back(party.process(), port);
    party.assert_released(about);
    party.process().close(at).unwrap();
}

fn give_back(process: &Process, port: Name) {
    process.deallocate(port).unwrap();
    process.destroy_receive(port).unwrap();
}

/// Runs `played` in the handler and `executed` in the program, for each pair.
fn run_all<T: Sync>(
    arch: Arch,
    all: &[T],
    played: impl Fn(&T, &Process, u32) + Send + Sync,
    executed: impl Fn(&T, &mut Party<'_>, u32) + Send + Sync,
) {
    let twos: Vec<Two> = all.iter().map(|_| two()).collect();
    let (clients, handlers): (Vec<_>, Vec<_>) = twos.into_iter().map(|two| (two.client, two.handler)).unzip();
    together(
        || {
            let task = task(arch);
            let mut party = None;
            for (one, (_actor, process, at)) in all.iter().zip(clients) {
                executed(one, Party::again(&mut party, arch, process, &task), at);
            }
        },
        || {
            for (one, (_actor, process, at)) in all.iter().zip(handlers) {
                played(one, &process, at);
                // Stays there until the process has let go of the connection.
                while process.read(at, 1).is_ok_and(|bytes| !bytes.is_empty()) {}
            }
        },
    );
}

#[test]
fn a_process_that_is_not_taken_over_keeps_everything_as_it_was() {
    for (index, arch) in ARCHS.into_iter().enumerate() {
        // In turn, so that each processor has its share.
        let cases: Vec<&Case> = CASES.iter().skip(index).step_by(2).collect();
        run_all(
            arch,
            &cases,
            |case, process, at| (case.handler)(process, at),
            |case, party, at| assert_not_handed_over(case, party, at),
        );
    }
}

/// Waits until the process has let go of the connection.
fn stay(process: &Process, at: u32) {
    assert_eq!(take(process, at), None);
}

#[test]
fn the_letter_has_the_task_and_who_handled_exceptions_before() {
    for arch in ARCHS {
        run_all(
            arch,
            &[()],
            |(), process, at| {
                let port = welcome(process, at, SERVICE);
                let (came, words) = letter(process, port);
                assert_eq!(came.size, 24 + 4 + 3 * 12 + 16 + 2 * 12);
                assert_eq!(words[6], 3, "task, one handler of two exceptions, none of the third");
                assert_eq!(words[7], crate::run::TASK);
                let names = [words[10], words[13]];
                assert!(names[0] > 0 && names[1] == 0, "{names:x?}");
                assert!([7, 10, 13].iter().all(|at| words[at + 2] == 17 << 16));
                assert_eq!(words[16..20], crate::played::words(b"0123456789abcdef"));
                assert_eq!(words[20..26], [HANDLED, FORM, 0, 1 << 11, 0, 0]);
                put(process, at, b"+");
                stay(process, at);
            },
            |(), party, at| {
                let port = prepare(party, &CASES[0]);
                let (outcome, client) = party.hand_over(at, true, PATIENCE_MS);
                assert_eq!(outcome, 0);
                let flavor = if arch == Arch::Arm64 { 6 } else { 4 };
                let handlers = [10, 11, 12].map(|exception| party.process().handler(exception));
                assert_eq!(handlers, [Some((0x8000_0005, flavor)); 3]);
                party.end("test_end_client", client);
                let handlers = [10, 11, 12].map(|exception| party.process().handler(exception));
                assert_eq!(handlers, [Some((FORM, 0)), None, Some((FORM, 0))]);
                give_back(party.process(), port);
                party.assert_released("client");
                party.process().close(at).unwrap();
            },
        );
    }
}

#[test]
fn who_wants_no_exceptions_keeps_its_handlers_and_dead_ones_harm_nobody() {
    run_all(
        Arch::Arm64,
        &[false, true],
        |exceptions, process, at| {
            let port = welcome(process, at, SERVICE);
            let (_, words) = letter(process, port);
            let dead = [u32::MAX, 0, 17 << 16];
            if *exceptions {
                assert_eq!((words[6], &words[10..13]), (3, &dead[..]));
            } else {
                assert_eq!(words[6], 1);
            }
            put(process, at, b"+");
            stay(process, at);
        },
        |exceptions, party, at| {
            let port = prepare(party, &CASES[0]);
            give_back(party.process(), port);
            let (outcome, client) = party.hand_over(at, *exceptions, PATIENCE_MS);
            assert_eq!(outcome, 0);
            let handler = party.process().handler(10).unwrap();
            assert_eq!(handler, if *exceptions { (0x8000_0005, 6) } else { (FORM, 0) });
            party.end("test_end_client", client);
            party.assert_released("client");
            party.process().close(at).unwrap();
        },
    );
}

/// An account that no connection holds at once.
#[test]
fn a_handler_that_reads_nothing_is_not_waited_for_longer_than_told() {
    let kernel = Kernel::default();
    let (_actor, client) = (kernel.actor(), kernel.process(crate::parties::CLIENT, &[]));
    let handler = kernel.process(crate::parties::HANDLER, &[]);
    let (at, there) = kernel.connect(&client, &handler).unwrap();
    let task = task(Arch::Arm64);
    let mut party = Party::new(Arch::Arm64, client, &task);
    assert_eq!(party.hand_over_much(at, 40, PATIENCE_MS).0, PIPE);
    assert!((PATIENCE_MS..PATIENCE_MS + 2).contains(&(kernel.now() / 1_000_000)));
    party.assert_released("client");
    let held = handler.read(there, 1 << 20).unwrap().len();
    assert!((6000..=8192).contains(&held), "{held} bytes are what the connection holds");
}
