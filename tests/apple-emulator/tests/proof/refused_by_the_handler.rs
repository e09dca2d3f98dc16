//! Clients that do not keep to what has been agreed, and a kernel that refuses: the handler takes nothing, and keeps
//! nothing of what came.

use crate::parties::{Party, SECOND, STRANGER, Two, task, together, two};
use crate::places::ARCHS;
use crate::played::{
    COPY_SEND, Letter, MAKE_SEND_ONCE, MOVE_RECEIVE, client, introduce, put, right, send, take,
};
use apple_emulator::kernel::{Actor, Process};

/// What `receive` says.
const DONE: i32 = 0;
const PIPE: i32 = 1;
const MALFORMED: i32 = 2;
const MACH: i32 = 3;
const NAME: i32 = 4;
const SILENT: i32 = 5;
const FROM_STRANGER: i32 = 6;
/// How long the handler waits.
const PATIENCE_MS: u64 = 3000;

/// What the client does, which has the connection `u32`.
type Play = fn(&Process, u32);

struct Case {
    about: &'static str,
    client: Play,
    /// A call that is refused to the handler, and with what.
    refuse: Option<(&'static str, i32)>,
    outcome: i32,
    sentence: &'static str,
}

const NO_ANSWER: &str = "the other process does not answer: ";
const LATE: &str = "the right to the task did not come in time";

const fn case(about: &'static str, client: Play, outcome: i32, sentence: &'static str) -> Case {
    Case { about, client, refuse: None, outcome, sentence }
}

const fn refused(call: &'static str, code: i32, outcome: i32, sentence: &'static str) -> Case {
    Case {
        about: call,
        client: |process, at| drop(put_account(process, at)),
        refuse: Some((call, code)),
        outcome,
        sentence,
    }
}

fn put_account(process: &Process, at: u32) -> Option<Vec<u8>> {
    put(process, at, &crate::parties::account());
    take(process, at)
}

/// Sends a changed letter, which is not answered.
fn wrong(process: &Process, at: u32, change: fn(&Process, Letter) -> Letter) {
    assert!(!client(process, at, |letter| change(process, letter)));
}

/// Sends a changed letter and then the right one, which is.
fn wrong_then_right(process: &Process, at: u32, change: fn(&Process, Letter) -> Letter) {
    let (secret, port) = introduce(process, at);
    send(process, change(process, Letter::new(&secret)).to(port));
    send(process, Letter::new(&secret).to(port));
    assert_eq!(take(process, at).unwrap(), b"+");
}

/// A port of the client's, with a right to send to it.
fn own_port(process: &Process) -> u32 {
    let port = process.allocate().unwrap();
    process.make_send(port).unwrap();
    port
}

const CASES: &[Case] = &[
    case("as agreed", |process, at| assert!(client(process, at, |letter| letter)), DONE, ""),
    case(
        "with handlers, one of which nobody is any more",
        |process, at| {
            let (dead, port) = (own_port(process), own_port(process));
            process.destroy_receive(dead).unwrap();
            let change =
                |letter: Letter| letter.with_handler(port, 0x400, 1, 0).with_handler(dead, 0x800, 3, 6);
            assert!(client(process, at, |letter| change(letter).with_handler(0, 0x1000, 0, 0)));
        },
        DONE,
        "",
    ),
    case(
        "other messages before",
        |process, at| wrong_then_right(process, at, |_, letter| Letter { id: 2405, ..letter }),
        DONE,
        "",
    ),
    case(
        "a message that has no room before",
        |process, at| {
            wrong_then_right(process, at, |process, letter| {
                let port = own_port(process);
                Letter { more: 500, ..letter.with_handler(port, 0x400, 1, 0) }
            });
        },
        DONE,
        "",
    ),
    case(
        "memory instead of a right before",
        |process, at| {
            wrong_then_right(process, at, |_, letter| Letter {
                // Of another layout: the address has two words.
                rights: vec![[0, 0, 1 << 24]],
                secret: [[0x8000].as_slice(), &letter.secret].concat(),
                ..letter
            });
        },
        DONE,
        "",
    ),
    case(
        "a right to receive",
        |process, at| {
            wrong(process, at, |process, letter| {
                let port = process.allocate().unwrap();
                Letter { rights: vec![right(port, MOVE_RECEIVE)], ..letter }
            });
        },
        SILENT,
        LATE,
    ),
    case(
        "a right to send once",
        |process, at| {
            wrong(process, at, |process, letter| Letter {
                rights: vec![right(own_port(process), MAKE_SEND_ONCE)],
                ..letter
            });
        },
        SILENT,
        LATE,
    ),
    case(
        "no right",
        |process, at| wrong(process, at, |_, letter| Letter { rights: vec![], ..letter }),
        SILENT,
        LATE,
    ),
    case(
        "no task, but a handler",
        |process, at| {
            wrong(process, at, |process, letter| {
                let letter = Letter { rights: vec![right(0, COPY_SEND)], ..letter };
                letter.with_handler(own_port(process), 0x400, 1, 0)
            });
        },
        SILENT,
        LATE,
    ),
    case(
        "too many handlers",
        |process, at| {
            wrong(process, at, |process, letter| {
                let port = own_port(process);
                (0..15).fold(letter, |letter, _| letter.with_handler(port, 0x400, 1, 0))
            });
        },
        SILENT,
        LATE,
    ),
    case(
        "not said to have rights",
        |process, at| wrong(process, at, |_, letter| Letter { bits: COPY_SEND, ..letter }),
        SILENT,
        LATE,
    ),
    case(
        "a short secret",
        |process, at| wrong(process, at, |_, letter| Letter { secret: vec![1, 2, 3], ..letter }),
        SILENT,
        LATE,
    ),
    case(
        "wants an answer",
        |process, at| {
            let (secret, port) = introduce(process, at);
            let answers = process.allocate().unwrap();
            let letter = Letter::new(&secret);
            let bits = letter.bits | MAKE_SEND_ONCE << 8;
            send(process, Letter { bits, answer: answers, ..letter }.to(port));
            let came = process.receive(answers, 200, SECOND).unwrap().unwrap();
            assert_eq!(crate::played::words(&came.bytes)[5], 71, "the right to answer was given back");
            assert_eq!(take(process, at), None);
        },
        SILENT,
        LATE,
    ),
    case(
        "another secret",
        |process, at| {
            wrong(process, at, |process, letter| {
                let letter = Letter { secret: vec![1, 2, 3, 4], ..letter };
                letter.with_handler(own_port(process), 0x400, 1, 0)
            });
        },
        FROM_STRANGER,
        "process 4242 of user 501 sent a right, and is not the process at the pipe",
    ),
    case(
        "somebody else knows the secret",
        |process, at| {
            let (secret, _port) = introduce(process, at);
            let stranger = process.kernel().process(STRANGER, &[]);
            let port = stranger.look_up(NAME_OF_PORT).unwrap().unwrap();
            send(&stranger, Letter::new(&secret).to(port));
            assert_eq!(take(process, at), None);
        },
        FROM_STRANGER,
        "process 666 of user 501 sent a right, and is not the process at the pipe",
    ),
    case(
        "no message",
        |process, at| {
            introduce(process, at);
        },
        SILENT,
        LATE,
    ),
    case("nothing at all", |_, _| {}, PIPE, NO_ANSWER),
    case(
        "half a message",
        |process, at| process.write(at, &[9, 0, 0, 0, 1]).unwrap().unwrap(),
        PIPE,
        NO_ANSWER,
    ),
    case("an end", |process, at| process.close(at).unwrap(), PIPE, NO_ANSWER),
    case(
        "a length beyond all",
        |process, at| process.write(at, &[0xff; 4]).unwrap().unwrap(),
        PIPE,
        NO_ANSWER,
    ),
    case(
        "no account",
        |process, at| put(process, at, b"Good morning, this is a client"),
        MALFORMED,
        "the other process sent no message of this protocol: it does not begin with the magic number",
    ),
    case(
        "gone before the handler has the right",
        |process, at| {
            let (secret, port) = introduce(process, at);
            process.close(at).unwrap();
            send(process, Letter::new(&secret).to(port));
        },
        PIPE,
        NO_ANSWER,
    ),
    refused("_getentropy", 5, NAME, "there is no usable name for the port"),
    refused("_bootstrap_check_in", 1100, MACH, "bootstrap_check_in failed with 0x44c"),
    refused("_mach_msg", 0x1000_4009, MACH, "mach_msg (receive) failed with 0x10004009"),
];

/// The random numbers of the emulated program are always the same.
const NAME_OF_PORT: &str = "group.example.minidump-handler.a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5";

#[test]
fn the_handler_takes_only_what_was_agreed_and_gives_back_all_else() {
    for (index, arch) in ARCHS.into_iter().enumerate() {
        // In turn, so that each processor has its share.
        let cases = || CASES.iter().skip(index).step_by(2);
        let twos: Vec<Two> = cases().map(|_| two()).collect();
        let (clients, handlers): (Vec<_>, Vec<_>) =
            twos.into_iter().map(|two| (two.client, two.handler)).unzip();
        together(
            || cases().zip(clients).for_each(|(case, client)| play(case, client)),
            || {
                let task = task(arch);
                let mut party = None;
                for (case, (_actor, process, at)) in cases().zip(handlers) {
                    let party = Party::again(&mut party, arch, process, &task);
                    assert_received(case, party, at);
                }
            },
        );
    }
}

fn play(case: &Case, (_actor, process, at): (Actor, Process, u32)) {
    (case.client)(&process, at);
    // Stays there until the handler has let go of the connection.
    while process.read(at, 1).is_ok_and(|bytes| !bytes.is_empty()) {}
}

fn assert_received(case: &Case, party: &mut Party<'_>, at: u32) {
    let about = case.about;
    if let Some((call, code)) = case.refuse {
        party.process().refuse(call, code);
    }
    let kernel = party.process().kernel().clone();
    let start = kernel.now();
    let (outcome, received) = party.receive(at, PATIENCE_MS);
    let waited = (kernel.now() - start) / 1_000_000;
    assert_eq!(
        outcome,
        case.outcome,
        "{about}: {}",
        if outcome == DONE { String::new() } else { party.sentence() }
    );
    if outcome == DONE {
        let names: Vec<u32> = party.process().rights().iter().map(|(name, ..)| *name).collect();
        assert!(names.contains(&crate::run::TASK), "{about}: the right to the task is there");
        party.end("test_end_received", received);
    } else {
        assert!(party.sentence().starts_with(case.sentence), "{about}: {}", party.sentence());
    }
    assert!(waited <= PATIENCE_MS + 1, "{about}: {waited} ms");
    if case.sentence == LATE {
        assert!(waited >= PATIENCE_MS, "{about}: {waited} ms");
    }
    party.assert_released(about);
    assert!(!party.process().is_service(NAME_OF_PORT), "{about}");
    party.process().close(at).unwrap();
}
