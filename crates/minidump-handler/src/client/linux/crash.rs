//! What happens when a signal is about to kill the program.
#![expect(unsafe_code, reason = "a stack of its own")]

use super::exchange::{self, Answer, Patience};
use super::message::{self, Signal};
use super::signals::pass_on;
use super::state::{self, ANNOTATIONS, ANSWER, CRASH_STACK, METADATA, REQUEST, State};
use super::turn::{self, Turn};
use super::{stacks, sys};
use crate::protocol::ReplyKind;
use libc::c_void;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far below the stack pointer of a crash the handlers that it was passed on to may work.
const BELOW: u64 = 1 << 20;
/// Between two signs of life of the handler, and for all of its work, in milliseconds.
const SILENCE_MS: u64 = 5_000;
const ALL_MS: u64 = 300_000;

/// The last crash that was passed on: process and thread, and its stack pointer.
static PASSED_ON: AtomicU64 = AtomicU64::new(0);
static PASSED_ON_SP: AtomicU64 = AtomicU64::new(0);

/// How far a report got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The handler is asked; if it does not answer, the program writes the dump itself.
    Ask,
    /// The program writes the dump itself.
    Record,
}

/// What the report needs, handed over from stack to stack.
struct Job<'s> {
    state: &'s State,
    signal: Signal,
    step: Step,
}

/// Reports the crash, and has the signal take its effect.
pub fn handle(signal: &Signal) {
    let Some(state) = state::current() else { return pass_on(None, signal) };
    if state.first_chance.is_some_and(|chance| chance(signal.number, signal.info, signal.ucontext)) {
        return;
    }
    let (pid, tid) = (sys::process_id(), sys::thread_id());
    if !is_death_of_what_was_reported(signal, pid, tid) {
        match turn::take(pid, tid) {
            Turn::Mine => report(Job { state, signal: *signal, step: Step::Ask }),
            Turn::Again(1) => report(Job { state, signal: *signal, step: Step::Record }),
            Turn::Again(_) | Turn::TooLate => {}
        }
        PASSED_ON_SP.store(signal.stack_pointer(), Ordering::Relaxed);
        PASSED_ON.store(identity(pid, tid), Ordering::Release);
        turn::give(pid, tid, state.previous.is_fatal(signal.number));
    }
    pass_on(Some(&state.previous), signal);
}

fn identity(pid: i32, tid: i32) -> u64 {
    u64::from(pid.unsigned_abs()) << 32 | u64::from(tid.unsigned_abs())
}

/// Whether this is how the handler that was there before, to which a crash was passed on, ends the program: Rust's aborts
/// after it has told of a stack overflow. It works on the alternative stack, or below the frame that crashed; a program
/// that has recovered meanwhile is elsewhere.
fn is_death_of_what_was_reported(signal: &Signal, pid: i32, tid: i32) -> bool {
    if signal.number != libc::SIGABRT || PASSED_ON.load(Ordering::Acquire) != identity(pid, tid) {
        return false;
    }
    let (then, now) = (PASSED_ON_SP.load(Ordering::Relaxed), signal.stack_pointer());
    stacks::has(now) || (then.saturating_sub(BELOW)..then).contains(&now)
}

/// Runs the report on a stack of its own, where there is one: that of the signal may be small.
fn report(mut job: Job<'_>) {
    extern "C" fn run_job(job: *mut c_void) {
        // SAFETY: the job that `report` keeps until this returns.
        let job = unsafe { &*job.cast::<Job<'_>>() };
        run(job);
    }
    if job.step == Step::Record {
        // What was taken when the report itself crashed is never given back by it, and its frames are never returned to.
        REQUEST.give();
        ANSWER.give();
        METADATA.give();
        CRASH_STACK.give();
    }
    let argument = (&raw mut job).cast::<c_void>();
    match CRASH_STACK.take() {
        // A thread without an alternative stack that crashed while it reported is still on this one.
        Some(stack) if !stack.as_ptr_range().contains(&argument.cast_const().cast()) => {
            // SAFETY: the stack is ours until it is given back, 128 KiB, nobody is on it, and `run` never unwinds.
            unsafe { sys::call_on(stack.as_mut_ptr_range().end, run_job, argument) };
        }
        _ => return run_job(argument),
    }
    CRASH_STACK.give();
}

fn run(job: &Job<'_>) {
    let is_settled = job.step == Step::Ask && ask(job);
    match &job.state.fallback {
        Some(fallback) if is_settled => fallback.remove(),
        Some(fallback) => {
            fallback.record(&job.signal, &ANNOTATIONS);
        }
        None => {}
    }
}

/// Has the handler dump this process. Whether there is, or shall be, nothing more to do.
fn ask(job: &Job<'_>) -> bool {
    let (Some(request), Some(answer)) = (REQUEST.take(), ANSWER.take()) else { return false };
    let Job { state, signal, .. } = job;
    let control = state.channel.control.get();
    let message = message::of_crash(request, signal, state.about, &ANNOTATIONS);
    let is_settled = match message {
        Some(message) if control >= 0 => exchange_with(state, control, message, answer),
        _ => false,
    };
    REQUEST.give();
    ANSWER.give();
    is_settled
}

fn exchange_with(state: &State, control: i32, message: &[u8], buffer: &mut [u8]) -> bool {
    let Some(pair) = state.channel.take_reply(sys::process_id()) else { return false };
    let tracer = state.channel.handler.load(Ordering::Acquire);
    let was_dumpable = sys::allow_tracing(tracer, state.ask_yama);
    let answer = exchange::ask(control, pair, message, patience(state), buffer);
    sys::disallow_tracing(was_dumpable, state.ask_yama);
    matches!(answer, Answer::Told(ReplyKind::Done | ReplyKind::Declined, _))
}

/// How long the handler is waited for.
pub fn patience(state: &State) -> Patience {
    Patience { accept: state.patience_ms, silence: SILENCE_MS, all: ALL_MS }
}
