//! One program: from its registration to its end. It has a thread of its own, so that it holds up nobody else.

use super::capture::{self, Refusal, Taken};
use super::registration::{self, PATIENCE, Program};
use super::turns::Turns;
use super::{Event, OnEvent};
use crate::protocol::windows::Account;
use crate::protocol::{Reply, ReplyKind};
use crate::store::Store;
use crate::windows::event::{self, Waited, wait};
use crate::windows::pipe::Pipe;
use minidump_writer::DumpOptions;
use std::os::windows::io::AsHandle as _;
use std::time::Duration;

/// Between two signs of life to a program that waits.
const TICK: Duration = Duration::from_millis(500);
/// How long a program that has what it wants may take to say so by its end, or by another request.
const NO_LIMIT: Option<Duration> = None;

/// What all connections share.
pub struct Shared<'s> {
    pub store: &'s Store,
    pub options: &'s DumpOptions,
    pub turns: &'s Turns,
    pub stop: &'s event::Event,
    pub when_idle: Option<fn()>,
    pub on_event: OnEvent<'s>,
}

/// How a program wants to be answered.
enum Asker<'a> {
    /// One that crashes, by its events.
    Crashed(&'a Program),
    /// One that goes on, by its pipe.
    Calm(&'a mut Pipe),
}

impl Asker<'_> {
    /// Answers. Whether the program may still listen.
    fn tell(&mut self, kind: ReplyKind, text: &str) -> bool {
        match self {
            Self::Crashed(program) => {
                match kind {
                    ReplyKind::Done | ReplyKind::Declined => program.settled.set(),
                    ReplyKind::Failed => program.failed.set(),
                    ReplyKind::Accepted | ReplyKind::Waiting | ReplyKind::Hello => program.alive.set(),
                }
                true
            }
            Self::Calm(pipe) => {
                let reply = Reply { kind, text: text.to_owned() };
                pipe.send(&reply.encode(), PATIENCE).is_ok()
            }
        }
    }
}

/// Serves the program at the other end until it, or the server, ends. `admit` says whether one more of its user may come.
pub fn serve(mut pipe: Pipe, shared: &Shared<'_>, admit: impl FnOnce(&super::peer::Peer) -> bool) {
    let program = match Program::register(&mut pipe, admit) {
        Ok(program) => program,
        Err(why) => {
            registration::refuse(&mut pipe, &why);
            let pid = pipe.client().unwrap_or(0);
            return (shared.on_event)(&Event::Refused { pid: super::told(pid), why: &why.to_string() });
        }
    };
    while pipe.expect().is_ok() {
        let handles =
            [shared.stop.as_handle(), program.request.as_handle(), pipe.has_come(), program.peer.ended()];
        let goes_on = match wait(handles, NO_LIMIT) {
            Waited::For(1) => crash(&program, shared),
            Waited::For(2) => wish(&program, &mut pipe, shared),
            _ => false,
        };
        if !goes_on {
            return;
        }
    }
}

/// Dumps a program that has crashed. Whether it is served any longer.
fn crash(program: &Program, shared: &Shared<'_>) -> bool {
    let account = program.mail().and_then(|mail| Ok(Account::decode(&mail)?));
    match account {
        Ok(account) if account.exception.is_some() => {
            answer(&account, program, Asker::Crashed(program), shared)
        }
        account => {
            let why =
                account.err().map_or_else(|| "the account has no exception".into(), |why| why.to_string());
            program.failed.set();
            let pid = super::told(program.peer.pid);
            (shared.on_event)(&Event::Refused { pid, why: &why });
            true
        }
    }
}

/// Dumps a program that goes on. Whether it is served any longer: one that sends what is no request is not.
fn wish(program: &Program, pipe: &mut Pipe, shared: &Shared<'_>) -> bool {
    let Ok(Some(message)) = pipe.message() else { return false };
    match Account::decode(message) {
        Ok(account) if account.exception.is_none() => answer(&account, program, Asker::Calm(pipe), shared),
        decoded => {
            let why = decoded.err().map_or_else(|| "a crash is not told here".into(), |why| why.to_string());
            let why = format!("the request is malformed: {why}");
            let pid = super::told(program.peer.pid);
            (shared.on_event)(&Event::Refused { pid, why: &why });
            Asker::Calm(pipe).tell(ReplyKind::Failed, &why);
            false
        }
    }
}

/// Has a dump taken, and tells all about it. Whether the program may be served any longer.
fn answer(account: &Account, program: &Program, mut asker: Asker<'_>, shared: &Shared<'_>) -> bool {
    let pid = super::told(program.peer.pid);
    asker.tell(ReplyKind::Accepted, "");
    let done = take(account, program, &mut asker, shared);
    let goes_on = match &done {
        Ok(taken) => {
            let goes_on = asker.tell(ReplyKind::Done, &taken.path.to_string_lossy());
            let (program, reason) = (&taken.metadata.program, &taken.metadata.reason);
            (shared.on_event)(&Event::Dumped { pid, program, reason, path: &taken.path });
            goes_on
        }
        Err((kind, why)) => {
            let goes_on = asker.tell(*kind, why);
            (shared.on_event)(&Event::Refused { pid, why });
            goes_on
        }
    };
    if let Ok(taken) = done {
        // The program does not wait for this; and what cannot be tidied up is for another day.
        let _ = shared.store.tidy_after(&taken.id);
    }
    if shared.turns.is_idle() {
        shared.when_idle.iter().for_each(|function| function());
    }
    goes_on
}

/// Waits for the turn and captures, on another thread, while this one tells the program that it is not forgotten.
fn take(
    account: &Account,
    program: &Program,
    asker: &mut Asker<'_>,
    shared: &Shared<'_>,
) -> Result<Taken, (ReplyKind, String)> {
    let failed = |why: String| (ReplyKind::Failed, why);
    let place =
        shared.turns.line_up().ok_or_else(|| failed("too many programs wait for their dumps".into()))?;
    let finished = event::Event::new().map_err(|error| failed(format!("no event can be made: {error}")))?;
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new().name("dumper".into()).spawn_scoped(scope, || {
            let _end = SetAtEnd(&finished);
            let _turn = place.wait();
            capture::capture(account, &program.peer, shared.options, shared.store)
        });
        let worker =
            worker.map_err(|error| failed(format!("no thread can be made for the dump: {error}")))?;
        while wait([finished.as_handle()], Some(TICK)) == Waited::TooLong {
            asker.tell(ReplyKind::Waiting, "");
        }
        match worker.join() {
            Ok(done) => done.map_err(|why: Refusal| (why.kind(), why.to_string())),
            Err(_) => Err(failed("the thread that dumped it ended early; please report this".into())),
        }
    })
}

/// Sets an event, however a thread ends.
struct SetAtEnd<'e>(&'e event::Event);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}
