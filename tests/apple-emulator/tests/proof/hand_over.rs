//! Both sides of the hand-over, each executed, and the kernel between them.

use crate::parties::{CLIENT, DUMPS, LONG, Party, Two, task, together, told, two};
use crate::run::{Request, assert_equal};
use crate::{expected, tasks};
use apple_emulator::Arch;
use apple_emulator::kernel::{Answer, Raised};
use minidump_mach::{CrashedThread, MachCrash, MachException, RawState, ThreadPort};

/// EXC_CRASH, EXC_RESOURCE, EXC_GUARD.
pub const CRASH: u32 = 10;
pub const TAKEN_OVER: [u32; 3] = [10, 11, 12];
/// MACH_EXCEPTION_CODES.
pub const CODES: u32 = 0x8000_0000;
/// KERN_FAILURE: the system goes on as without a handler.
pub const NOT_HANDLED: u32 = 5;

/// The flavor of the general registers, and how many words they are.
pub fn registers(arch: Arch) -> (u32, u32) {
    match arch {
        Arch::Arm64 => (6, 68),
        Arch::Amd64 => (4, 42),
    }
}

/// An abort of thread 1, whose registers are told to who wants them.
pub fn abort(arch: Arch) -> Raised {
    Raised {
        pid: CLIENT,
        thread: 0x1203,
        thread_id: tasks::id(1),
        is_gone: false,
        exception: CRASH,
        codes: [0x600_0000, 0],
        state: state(arch),
    }
}

fn state(arch: Arch) -> Vec<u32> {
    (0..registers(arch).1).map(|word| word * 5 + 2).collect()
}

/// The dump that this host makes of such an exception.
pub fn dump_of(arch: Arch, raised: &Raised, thread: CrashedThread, has_state: bool) -> Vec<u8> {
    let exception = MachException { kind: raised.exception, codes: raised.codes };
    let state = RawState { flavor: registers(arch).0, words: raised.state.clone() };
    let states = if has_state { vec![state] } else { Vec::new() };
    let crash = MachCrash { thread, exception: Some(exception), states };
    let request = Request { crash: Some(crash), told: told(), ..Request::MINIDUMP };
    expected::file(&task(arch), &request).1
}

/// The kernel takes only these forms.
struct System {
    behaviors: &'static [u32],
    /// The form that is then agreed upon.
    agreed: u32,
    thread: fn() -> CrashedThread,
    has_state: bool,
}

fn by_id() -> CrashedThread {
    CrashedThread::Id(tasks::id(1))
}

fn by_port() -> CrashedThread {
    CrashedThread::Port(ThreadPort(0x1203))
}

const SYSTEMS: [System; 3] = [
    System { behaviors: &[1, 2, 3, 4, 5], agreed: 5, thread: by_id, has_state: true },
    System { behaviors: &[1, 2, 3, 4], agreed: 4, thread: by_id, has_state: false },
    System { behaviors: &[1, 2, 3], agreed: 3, thread: by_port, has_state: true },
];

/// Hands over, crashes, and gives all back. Returns what the kernel heard.
fn crash(party: &mut Party<'_>, arch: Arch, descriptor: u32, agreed: u32) -> Answer {
    let (outcome, client) = party.hand_over(descriptor, true, 10_000);
    assert_eq!(outcome, 0, "{}", party.sentence());
    for exception in TAKEN_OVER {
        assert_eq!(party.process().handler(exception), Some((agreed | CODES, registers(arch).0)));
    }
    let kernel = party.process().kernel().clone();
    let answer = kernel.raise(&abort(arch), LONG).unwrap();
    party.end("test_end_client", client);
    for exception in TAKEN_OVER {
        assert_eq!(party.process().handler(exception), None, "nobody, as before");
    }
    party.assert_released("client");
    answer
}

/// Serves until the process has gone. Returns its one dump.
pub fn serve_one(party: &mut Party<'_>, descriptor: u32) -> Vec<u8> {
    let (outcome, told) = party.serve(descriptor);
    assert_eq!(outcome, 0, "{told:?}");
    let [path] = told.try_into().unwrap();
    assert!(path.starts_with(&format!("{DUMPS}/pending/")), "{path}");
    party.assert_released("handler");
    party.system.file(&path).unwrap().to_vec()
}

fn assert_answer(answer: &Answer, arch: Arch, system: &System) {
    let (size, id, code, words) = answer.told().unwrap();
    assert_eq!(code, NOT_HANDLED);
    let (flavor, count) = registers(arch);
    if system.has_state {
        assert_eq!((size, id), (36 + 8 + 4 * count, if system.agreed == 5 { 2510 } else { 2507 }));
        assert_eq!((words[0], words[1], &words[2..]), (flavor, count, &state(arch)[..]));
    } else {
        assert_eq!((size, id), (36, 2508));
    }
}

/// Both processes execute the library, once for each system.
fn assert_dumped(arch: Arch, systems: &[System]) {
    let pairs = || systems.iter().map(|_| two()).collect::<Vec<_>>();
    let (mut clients, mut handlers) = (Vec::new(), Vec::new());
    for (system, Two { kernel, client, handler }) in systems.iter().zip(pairs()) {
        kernel.accept_behaviors(system.behaviors);
        clients.push(client);
        handlers.push(handler);
    }
    let (answers, dumps) = together(
        || {
            let task = task(arch);
            let mut party = None;
            let both = clients.into_iter().zip(systems);
            let crashes = both.map(|((_actor, process, descriptor), system)| {
                let party = Party::again(&mut party, arch, process, &task);
                crash(party, arch, descriptor, system.agreed)
            });
            crashes.collect::<Vec<_>>()
        },
        || {
            let task = task(arch);
            let mut party = None;
            let dumps = handlers.into_iter().zip(1..).map(|((_actor, process, descriptor), number)| {
                let party = Party::again(&mut party, arch, process, &task);
                let dump = serve_one(party, descriptor);
                assert_eq!((task.suspend_count(), task.suspensions()), (0, number));
                dump
            });
            dumps.collect::<Vec<_>>()
        },
    );
    for ((answer, dump), system) in answers.iter().zip(dumps).zip(systems) {
        assert_answer(answer, arch, system);
        let expected = dump_of(arch, &abort(arch), (system.thread)(), system.has_state);
        assert_equal(&dump, &expected, &format!("{arch:?}, form {}", system.agreed));
    }
}

#[test]
fn a_task_is_handed_over_and_its_crash_dumped_in_the_first_form_that_the_kernel_takes() {
    assert_dumped(Arch::Arm64, &SYSTEMS);
}

#[test]
fn a_task_of_an_intel_processor_is_handed_over_too() {
    let [newest, _, oldest] = SYSTEMS;
    assert_dumped(Arch::Amd64, &[newest, oldest]);
}
