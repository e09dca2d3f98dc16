//! Handlers of exceptions that were there before: they are told, in their own form, and answered for.

use crate::exceptions::{DEFAULT, PROTECTED, STATE, STATE_IDENTITY, STATE_PROTECTED, THREAD, crash, serve};
use crate::hand_over::{CODES, CRASH, NOT_HANDLED, registers};
use crate::parties::{LONG, Party, SECOND, Two, small_task, together, two};
use crate::played::{
    COPY_SEND, Letter, MAKE_SEND_ONCE, MOVE_SEND_ONCE, OWN_TASK, introduce, message, right, send, take, words,
};
use crate::tasks;
use apple_emulator::Arch;
use apple_emulator::kernel::{Answer, Name, Process};

/// KERN_SUCCESS: the thread goes on.
const HANDLED: u32 = 0;

/// Who handled exceptions before: in which form it wants them, and what it does. Then what the kernel shall hear.
struct Before {
    about: &'static str,
    form: u32,
    acts: fn(&Process, Name),
    heard: u32,
    /// The registers that the thread goes on with.
    has_new_state: bool,
    /// A call that is refused to the handler, and with what.
    refuse: Option<(&'static str, i32)>,
}

const fn before(about: &'static str, form: u32, acts: fn(&Process, Name), heard: u32) -> Before {
    Before { about, form, acts, heard, has_new_state: false, refuse: None }
}

/// The next exception, as words, and where its answer goes.
fn told_of(process: &Process, port: Name) -> (Vec<u32>, Name) {
    let came = process.receive(port, 8192, LONG).unwrap().unwrap();
    let mut words = words(&came.bytes);
    words.truncate(came.size / 4);
    let answer = words[2];
    assert_eq!(words[0] & 0x1f, MOVE_SEND_ONCE, "a right to send once");
    (words, answer)
}

/// Answers with a code, and registers.
fn answer(process: &Process, to: Name, id: u32, rest: &[u32]) {
    let body = [[0, 1].as_slice(), rest].concat();
    let mut message = message(MOVE_SEND_ONCE, to, 0, id, &body);
    assert_eq!(process.send(&mut message, SECOND), Ok(Ok(())));
}

/// The rights that came with an exception are given back.
fn give_back(process: &Process, words: &[u32]) {
    for index in 0..words[6] as usize {
        assert_eq!(words[9 + index * 3], 17 << 16);
        process.deallocate(words[7 + index * 3]).unwrap();
    }
}

/// All calls of a kind.
const ALWAYS: usize = 1000;

fn hears_nothing(process: &Process, port: Name) {
    let came = process.receive(port, 8192, 60 * SECOND).unwrap();
    assert_eq!(came.map(|came| words(&came.bytes)), Err(0x1000_4003));
}

const NEW_STATE: [u32; 68] = [0x1234_5678; 68];

const BEFORE: &[Before] = &[
    before(
        "rights",
        DEFAULT,
        |process, port| {
            let (words, to) = told_of(process, port);
            assert_eq!((words.len() * 4, words[5], words[6]), (84, 2405, 2));
            assert_eq!(words[7], THREAD);
            assert_eq!(words[10], OWN_TASK, "the right to its own task");
            assert_eq!(words[13..], [0, 1, CRASH, 2, 0xb10_0001, 0, 0x10, 0]);
            give_back(process, &words);
            answer(process, to, 2505, &[HANDLED]);
        },
        HANDLED,
    ),
    Before {
        has_new_state: true,
        ..before(
            "rights and registers, of which it wants others",
            STATE_IDENTITY,
            |process, port| {
                let (words, to) = told_of(process, port);
                assert_eq!((words.len() * 4, words[5]), (84 + 8 + 68 * 4, 2407));
                assert_eq!(words[21..23], [6, 68]);
                assert_eq!(words[23..], crash(Arch::Arm64).state);
                give_back(process, &words);
                answer(process, to, 2507, &[[HANDLED, 6, 68].as_slice(), &NEW_STATE].concat());
            },
            HANDLED,
        )
    },
    before(
        "registers alone, and it wants others of another kind",
        STATE,
        |process, port| {
            let (words, to) = told_of(process, port);
            assert_eq!((words.len() * 4, words[5], words[0] >> 31), (56 + 8 + 68 * 4, 2406, 0));
            assert_eq!(words[6..14], [0, 1, CRASH, 2, 0xb10_0001, 0, 0x10, 0]);
            answer(process, to, 2506, &[HANDLED, 17, 2, 9, 9]);
        },
        HANDLED,
    ),
    before(
        "no rights",
        PROTECTED,
        |process, port| {
            let (words, to) = told_of(process, port);
            assert_eq!((words.len() * 4, words[5], words[6]), (80, 2408, 1));
            let id = tasks::id(0);
            assert_eq!(words[12..14], [(id & 0xffff_ffff) as u32, (id >> 32) as u32]);
            give_back(process, &words);
            answer(process, to, 2508, &[46]);
        },
        46,
    ),
    before(
        "does not answer",
        PROTECTED,
        |process, port| {
            let (words, to) = told_of(process, port);
            give_back(process, &words);
            // Answers when the handler waits no longer: 10 s.
            process.wait_until(process.kernel().now() + 11 * SECOND);
            assert_eq!(
                process.send(&mut message(MOVE_SEND_ONCE, to, 0, 2508, &[0, 1, 0]), 0),
                Ok(Err(0x1000_0003))
            );
            process.deallocate(to).unwrap();
        },
        NOT_HANDLED,
    ),
    before(
        "lets the right to answer go",
        PROTECTED,
        |process, port| {
            let (words, to) = told_of(process, port);
            give_back(process, &words);
            process.deallocate(to).unwrap();
        },
        NOT_HANDLED,
    ),
    before("goes away", PROTECTED, |process, port| process.destroy_receive(port).unwrap(), NOT_HANDLED),
    Before {
        refuse: Some(("_mach_port_allocate", 3)),
        ..before("cannot be asked, for want of a port", PROTECTED, hears_nothing, NOT_HANDLED)
    },
    Before {
        refuse: Some(("_task_threads", 5)),
        ..before("wants a right to a thread that is not found", DEFAULT, hears_nothing, NOT_HANDLED)
    },
    Before {
        refuse: Some(("_thread_info", 4)),
        ..before("wants a right to a thread that has gone", DEFAULT, hears_nothing, NOT_HANDLED)
    },
    before(
        "answers with what is no answer, and with a right",
        PROTECTED,
        |process, port| {
            let (words, to) = told_of(process, port);
            give_back(process, &words);
            let body = [[1].as_slice(), &right(OWN_TASK, COPY_SEND), &[0, 1, 0]].concat();
            let answers = process.allocate().unwrap();
            let bits = MOVE_SEND_ONCE | MAKE_SEND_ONCE << 8 | 0x8000_0000;
            send(process, message(bits, to, answers, 4711, &body));
            let came = process.receive(answers, 200, LONG).unwrap().unwrap();
            assert_eq!(crate::played::words(&came.bytes)[5], 71);
            process.destroy_receive(answers).unwrap();
        },
        NOT_HANDLED,
    ),
    before(
        "answers with fewer registers than it says",
        STATE,
        |process, port| {
            let (_, to) = told_of(process, port);
            answer(process, to, 2506, &[HANDLED, 6, 68, 1, 2, 3]);
        },
        NOT_HANDLED,
    ),
    before(
        "has no room",
        PROTECTED,
        |process, port| {
            for _ in 0..5 {
                assert_eq!(words(&process.receive(port, 200, LONG).unwrap().unwrap().bytes)[5], 1);
            }
        },
        NOT_HANDLED,
    ),
];

/// The client's part with a handler from before. Returns what the kernel hears.
fn play_before(process: &Process, at: u32, before: &Before, arch: Arch) -> Answer {
    let flavor = registers(arch).0;
    let others = process.allocate().unwrap();
    process.make_send(others).unwrap();
    let (secret, port) = introduce(process, at);
    process.set_handler(1 << CRASH, port, STATE_PROTECTED | CODES, flavor).unwrap();
    let letter = Letter::new(&secret);
    send(process, letter.with_handler(others, 1 << CRASH, before.form | CODES, flavor).to(port));
    assert_eq!(take(process, at).unwrap(), b"+");
    if before.about == "has no room" {
        for _ in 0..5 {
            send(process, message(COPY_SEND, others, 0, 1, &[]));
        }
    }
    let kernel = process.kernel().clone();
    let actor = kernel.actor();
    let raised = std::thread::scope(|scope| {
        let raised = scope.spawn(|| {
            let _actor = actor;
            process.kernel().raise(&crash(arch), LONG).unwrap()
        });
        if before.about == "has no room" {
            process.wait_until(kernel.now() + 60 * SECOND);
        }
        (before.acts)(process, others);
        process.wait_until(kernel.now() + 60 * SECOND);
        raised.join().unwrap()
    });
    let _ = process.destroy_receive(others);
    raised
}

#[test]
fn handlers_from_before_are_told_in_their_form_and_answered_for() {
    let arch = Arch::Arm64;
    let twos: Vec<Two> = BEFORE.iter().map(|_| two()).collect();
    let (clients, handlers): (Vec<_>, Vec<_>) = twos.into_iter().map(|two| (two.client, two.handler)).unzip();
    let (answers, ()) = together(
        || {
            let both = BEFORE.iter().zip(clients);
            both.map(|(before, (_actor, process, at))| play_before(&process, at, before, arch))
                .collect::<Vec<_>>()
        },
        || {
            let task = small_task(arch);
            let mut party = None;
            for (before, (_actor, process, at)) in BEFORE.iter().zip(handlers) {
                let party = Party::again(&mut party, arch, process, &task);
                // No right to the task without need: no dump either, which is not what this is about.
                party.system.refuses = !matches!(before.form, DEFAULT | STATE_IDENTITY);
                if let Some((call, code)) = before.refuse {
                    (0..ALWAYS).for_each(|_| party.process().refuse(call, code));
                }
                let (outcome, told) = party.serve(at);
                assert_eq!(outcome, 0, "{}: {told:?}", before.about);
                party.assert_released(before.about);
            }
        },
    );
    for (before, answer) in BEFORE.iter().zip(answers) {
        let (size, id, code, words) = answer.told().unwrap();
        assert_eq!((size, id, code), (36 + 8 + 68 * 4, 2510, before.heard), "{}", before.about);
        let state = if before.has_new_state { NEW_STATE.to_vec() } else { crash(arch).state };
        assert_eq!(words, [[6, 68].as_slice(), &state].concat(), "{}", before.about);
    }
}

#[test]
fn a_kernel_that_waits_no_longer_takes_nothing_from_the_handler() {
    let (answer, served, _) = serve(
        Arch::Arm64,
        |party| party.system.refuses = true,
        |process, at| {
            let others = process.allocate().unwrap();
            process.make_send(others).unwrap();
            let (secret, port) = introduce(process, at);
            process.set_handler(1 << CRASH, port, PROTECTED | CODES, 0).unwrap();
            let letter = Letter::new(&secret);
            send(process, letter.with_handler(others, 1 << CRASH, PROTECTED | CODES, 0).to(port));
            assert_eq!(take(process, at).unwrap(), b"+");
            // The process is killed while the handler waits for the one from before.
            let answer = process.kernel().raise(&crash(Arch::Arm64), SECOND).unwrap();
            process.wait_until(process.kernel().now() + 60 * SECOND);
            answer
        },
    );
    assert_eq!((answer, served.0), (Answer::Silence, 0), "{:?}", served.1);
}
