//! The handler's loop: what the kernel, processes and handlers from before may do to it.

use crate::hand_over::{CODES, CRASH, NOT_HANDLED, registers};
use crate::parties::{
    CLIENT, HANDLER, LONG, Party, Two, account, account_of, account_of_nobody, small_task, together, told,
    two,
};
use crate::places::ARCHS;
use crate::played::{
    COPY_SEND, Letter, MAKE_SEND_ONCE, OWN_TASK, client, introduce, message, put, right, send, take, words,
};
use crate::run::{Request, assert_equal};
use crate::{expected, tasks};
use apple_emulator::Arch;
use apple_emulator::kernel::{Name, Process, Raised};
use minidump_mach::sim::SimTask;
use minidump_mach::{CrashedThread, MachCrash, MachException, RawState, ThreadPort};

/// EXCEPTION_DEFAULT to EXCEPTION_STATE_IDENTITY_PROTECTED.
pub const DEFAULT: u32 = 1;
pub const STATE: u32 = 2;
pub const STATE_IDENTITY: u32 = 3;
pub const PROTECTED: u32 = 4;
pub const STATE_PROTECTED: u32 = 5;
/// The thread of the small task.
pub const THREAD: Name = 0x1103;

pub fn crash(arch: Arch) -> Raised {
    Raised {
        pid: CLIENT,
        thread: THREAD,
        thread_id: tasks::id(0),
        is_gone: false,
        exception: CRASH,
        codes: [0xb10_0001, 0x10],
        state: (0..registers(arch).1).map(|word| word * 7 + 3).collect(),
    }
}

/// The client's part up to the exceptions: its port for them has this form.
fn take_over(process: &Process, at: u32, form: u32, flavor: u32) -> Name {
    let (secret, port) = introduce(process, at);
    process.set_handler(1 << CRASH, port, form | CODES, flavor).unwrap();
    send(process, Letter::new(&secret).to(port));
    assert_eq!(take(process, at).unwrap(), b"+");
    port
}

/// What came of `serve`: outcome, and what was told of each dump.
type Served = (i32, Vec<String>);

/// Runs a played client with an executed handler, which `prepare` changes first. Returns what the client found, how the
/// handler ended, and the dumps that it kept.
pub fn serve<T: Send>(
    arch: Arch,
    prepare: impl FnOnce(&mut Party<'_>) + Send,
    played: impl FnOnce(&Process, u32) -> T + Send,
) -> (T, Served, Vec<Vec<u8>>) {
    let Two { kernel: _kernel, client, handler } = two();
    let (found, (served, dumps)) = together(
        || {
            let (_actor, process, at) = client;
            played(&process, at)
        },
        || {
            let (_actor, process, at) = handler;
            let task = small_task(arch);
            let mut party = Party::new(arch, process, &task);
            prepare(&mut party);
            let served = party.serve(at);
            party.assert_released("handler");
            assert_eq!(task.suspend_count(), 0);
            let paths = served.1.iter().filter(|told| told.starts_with('/'));
            let dumps = paths.map(|path| party.system.file(path).unwrap().to_vec()).collect::<Vec<_>>();
            (served, dumps)
        },
    );
    (found, served, dumps)
}

/// The dump that this host makes of the small task.
fn dump_of(arch: Arch, crash: MachCrash) -> Vec<u8> {
    let request = Request { crash: Some(crash), told: told(), ..Request::MINIDUMP };
    expected::file(&small_task(arch), &request).1
}

fn mach_crash(arch: Arch, raised: &Raised, form: u32) -> MachCrash {
    let is_protected = form >= PROTECTED;
    let thread = if is_protected {
        CrashedThread::Id(raised.thread_id)
    } else {
        CrashedThread::Port(ThreadPort(raised.thread))
    };
    let state = RawState { flavor: registers(arch).0, words: raised.state.clone() };
    let has_state = form == STATE_IDENTITY || form == STATE_PROTECTED;
    MachCrash {
        thread,
        exception: Some(MachException { kind: raised.exception, codes: raised.codes }),
        states: if has_state { vec![state] } else { Vec::new() },
    }
}

#[test]
fn what_is_no_exception_is_given_back_and_the_next_one_served() {
    let arch = Arch::Arm64;
    let (answer, served, dumps) = serve(
        arch,
        |_| {},
        |process, at| {
            let port = take_over(process, at, STATE_PROTECTED, 6);
            let right_of = |name| right(name, COPY_SEND);
            let complex = COPY_SEND | 0x8000_0000;
            let task = right_of(OWN_TASK);
            let two_rights = [[2].as_slice(), &task, &task].concat();
            // Of no known kind; the letter again; without rights; a number of codes beyond all; without its end; with more rights
            // than belong there; with no room.
            let codes = [two_rights.as_slice(), &[0, 1, 10, 3, 0, 0, 0, 0, 0, 0]].concat();
            let short = [two_rights.as_slice(), &[0, 1, 10, 2, 0, 0, 0]].concat();
            let many = [[3].as_slice(), &task, &task, &task, &[0, 1, 10, 2, 0, 0, 0, 0]].concat();
            let state = [[1].as_slice(), &task, &[0, 1, 10, 0, 6, 0]].concat();
            let wrong: [(u32, u32, &[u32]); 9] = [
                (complex, 2409, &codes),
                (complex, crate::played::ID, &codes),
                (COPY_SEND, 2405, &[0, 1, 10, 2, 0, 0, 0, 0]),
                (complex, 2405, &codes),
                (complex, 2405, &short),
                (complex, 2405, &many),
                (complex, 2406, &state),
                (complex, 2405, &[[1].as_slice(), &[0, 0, 1 << 24, 0x4000], &[0; 10]].concat()),
                (COPY_SEND, 2405, &[0x55; 4000]),
            ];
            let answers = process.allocate().unwrap();
            for (bits, id, body) in wrong {
                send(process, message(bits | MAKE_SEND_ONCE << 8, port, answers, id, body));
                let came = process.receive(answers, 200, LONG).unwrap().unwrap();
                assert_eq!(words(&came.bytes)[5], 71, "{id}: nobody answers");
            }
            process.kernel().raise(&crash(arch), LONG).unwrap()
        },
    );
    assert_eq!(served.0, 0, "{:?}", served.1);
    assert_eq!(answer.told().unwrap().2, NOT_HANDLED);
    let [dump] = dumps.try_into().unwrap();
    assert_equal(&dump, &dump_of(arch, mach_crash(arch, &crash(arch), STATE_PROTECTED)), "after the others");
}

#[test]
fn a_thread_that_has_gone_leaves_a_dump_without_it() {
    for (arch, form) in ARCHS.into_iter().zip([STATE_IDENTITY, PROTECTED]) {
        let raised = if form == PROTECTED {
            Raised { thread_id: 0xdead, ..crash(arch) }
        } else {
            Raised { is_gone: true, ..crash(arch) }
        };
        let (answer, served, dumps) = serve(
            arch,
            |_| {},
            |process, at| {
                take_over(process, at, form, registers(arch).0);
                process.kernel().raise(&raised, LONG).unwrap()
            },
        );
        assert_eq!(served.0, 0, "{:?}", served.1);
        assert_eq!(answer.told().unwrap().2, NOT_HANDLED);
        let mut expected = mach_crash(arch, &raised, form);
        if form == STATE_IDENTITY {
            // No right came: the thread of the account is the next best.
            expected.thread = CrashedThread::Id(tasks::id(1));
        }
        let [dump] = dumps.try_into().unwrap();
        assert_equal(&dump, &dump_of(arch, expected), &format!("{arch:?}"));
    }
}

#[test]
fn without_the_right_to_the_task_there_is_no_dump_and_the_system_goes_on() {
    let refuse: [fn(&mut Party<'_>); 2] =
        [|party| party.system.refuses = true, |party| party.system.is_old = true];
    for refuse in refuse {
        let (answer, served, _) = serve(Arch::Amd64, refuse, |process, at| {
            take_over(process, at, PROTECTED, 0);
            process.kernel().raise(&crash(Arch::Amd64), LONG).unwrap()
        });
        assert_eq!(served, (0, vec![]));
        assert_eq!(answer.told().unwrap(), (36, 2508, NOT_HANDLED, vec![]));
    }
}

#[test]
fn a_child_that_inherits_the_handler_is_dumped_without_what_its_parent_told_of_itself() {
    const CHILD: i32 = 5000;
    const CHILDS_TASK: Name = 0x1303;
    let arch = Arch::Arm64;
    let make = || -> SimTask { crate::parties::small(arch).pid(CHILD).build().unwrap() };
    let Two { kernel, client: one, handler: other } = two();
    let handler_knows = other.1.pid();
    assert_eq!(handler_knows, HANDLER);
    let (answer, dump) = together(
        || {
            let (_actor, process, at) = one;
            let port = take_over(&process, at, STATE_IDENTITY, 6);
            let child = kernel.process(CHILD, &[]);
            process.lend_handlers(&child);
            let answer = kernel.raise(&Raised { pid: CHILD, ..crash(arch) }, LONG).unwrap();
            process.deallocate(port).unwrap();
            answer
        },
        || {
            let (_actor, process, at) = other;
            process.name_task(CHILD, CHILDS_TASK);
            let task = make();
            let mut party = Party::of_task(arch, process, &task, CHILDS_TASK);
            let dump = crate::hand_over::serve_one(&mut party, at);
            assert_eq!((task.suspend_count(), task.suspensions()), (0, 1));
            dump
        },
    );
    assert_eq!(answer.told().unwrap().2, NOT_HANDLED);
    let told = crate::run::Told { executable: None, ..told() };
    let crash = Some(mach_crash(arch, &crash(arch), STATE_IDENTITY));
    let request = Request { crash, told, ..Request::MINIDUMP };
    assert_equal(&dump, &expected::file(&make(), &request).1, "child");
}

/// The process asks for a dump, and returns the answer.
fn ask(process: &Process, at: u32, account: &[u8]) -> String {
    assert!(client(process, at, |letter| letter));
    put(process, at, account);
    String::from_utf8(take(process, at).unwrap()).unwrap()
}

#[test]
fn a_process_is_dumped_when_it_asks_and_hears_where_the_dump_is() {
    let arch = Arch::Amd64;
    let account = account_of(Some((1, [1, 0x10])));
    let (answer, served, dumps) = serve(arch, |_| {}, |process, at| ask(process, at, &account));
    assert_eq!(served.0, 0);
    assert_eq!(answer, format!("+{}", served.1[0]));
    let exception = Some(MachException { kind: 1, codes: [1, 0x10] });
    let crash = MachCrash { thread: CrashedThread::Id(tasks::id(1)), exception, states: Vec::new() };
    assert_equal(&dumps[0], &dump_of(arch, crash), "on demand");
}

#[test]
fn a_process_that_does_not_know_which_thread_asks_is_dumped_for_its_main_thread() {
    let arch = Arch::Arm64;
    let (answer, served, dumps) = serve(arch, |_| {}, |process, at| ask(process, at, &account_of_nobody()));
    assert_eq!((served.0, answer), (0, format!("+{}", served.1[0])));
    let request = Request { told: told(), ..Request::MINIDUMP };
    let (snapshot, expected) = expected::file(&small_task(arch), &request);
    let ids: Vec<u64> = snapshot.threads.iter().map(|thread| thread.apple.as_ref().unwrap().id).collect();
    assert_eq!(ids, [tasks::id(0)]);
    assert_equal(&dumps[0], &expected, "asked for by nobody");
}

#[test]
fn a_process_that_asks_hears_why_there_is_no_dump() {
    let full = |party: &mut Party<'_>| party.system.most_per_write = 0;
    let (answer, served, _) = serve(Arch::Arm64, full, |process, at| ask(process, at, &account()));
    assert_eq!(served.0, 0);
    let [why] = served.1.try_into().unwrap();
    assert_eq!(answer.strip_prefix('-'), why.strip_prefix("! "));
    assert_eq!(answer, "-the dump could not be written: write zero");
}

#[test]
fn what_is_no_account_ends_the_handler() {
    type Wrong = (fn(&Process, u32), i32);
    let wrong: [Wrong; 3] = [
        (|process, at| put(process, at, b"Good morning, this is the client again"), 2),
        (|process, at| process.write(at, &[0xff; 4]).unwrap().unwrap(), 1),
        (|process, at| process.write(at, &[100, 0, 0, 0, 1]).unwrap().unwrap(), 1),
    ];
    let twos: Vec<Two> = wrong.iter().map(|_| two()).collect();
    let (clients, handlers): (Vec<_>, Vec<_>) = twos.into_iter().map(|two| (two.client, two.handler)).unzip();
    together(
        || {
            for ((play, _), (_actor, process, at)) in wrong.iter().zip(clients) {
                assert!(client(&process, at, |letter| letter));
                play(&process, at);
                assert_eq!(take(&process, at), None);
            }
        },
        || {
            let task = small_task(Arch::Arm64);
            let mut party = None;
            for ((_, outcome), (_actor, process, at)) in wrong.iter().zip(handlers) {
                let party = Party::again(&mut party, Arch::Arm64, process, &task);
                assert_eq!(party.serve(at).0, *outcome);
                party.assert_released("no account");
                party.process().close(at).unwrap();
            }
        },
    );
}
