//! Programs that do not keep to the protocol, and one that does.
#![expect(unsafe_code, reason = "handles that arrive as numbers")]

use super::*;
use crate::protocol::windows::{Account, CHALLENGE, ExceptionAt, Hello, LENGTH_AT, MAILBOX_SIZE, MESSAGE_AT};
use crate::protocol::windows::{EXCEPTION, Registered, Registration};
use crate::protocol::{MOST_BYTES, MessageWriter, Reply, ReplyKind, RequestKind, tag};
use crate::store::{Limits, Store};
use crate::windows::event::{Waited, wait};
use crate::windows::{pipe, pipe_name, random};
use std::ffi::OsString;
use std::os::windows::io::{AsHandle as _, FromRawHandle as _};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// No thread has this id: those are multiples of four.
const NO_THREAD: u32 = 0xffff_fff1;

/// A server in this process, and what it says of its events.
fn with_server(test: impl FnOnce(&OsString, &Receiver<String>)) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Limits::default()).unwrap();
    let name = pipe_name::of_random(random::bytes().unwrap());
    let mut server = Server::listen(&name, store).unwrap();
    let stopper = server.stopper();
    let (told, events) = channel();
    let told = Mutex::new(told);
    std::thread::scope(|scope| {
        let server = scope.spawn(move || {
            server.run(&|event| {
                if let Event::Refused { why, .. } = event {
                    told.lock().unwrap().send((*why).to_owned()).unwrap();
                }
            })
        });
        let tested = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&name, &events)));
        stopper.stop();
        server.join().unwrap().unwrap();
        tested.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// A program that keeps to the protocol, as far as the test wants it to.
struct Program {
    pipe: Pipe,
    mailbox: Vec<u8>,
}

impl Program {
    /// Connects and is greeted.
    fn greeted(name: &OsString) -> Self {
        let mut pipe = Pipe::new(pipe::open(name, SOON).unwrap()).unwrap();
        let hello = Hello::decode(pipe.receive(SOON).unwrap()).unwrap();
        let mut mailbox = vec![0; MAILBOX_SIZE];
        mailbox[..CHALLENGE].copy_from_slice(&hello.challenge);
        Self { pipe, mailbox }
    }

    fn register(&mut self, mailbox: u64) -> Vec<u8> {
        self.pipe.send(&Registration { mailbox }.encode(), SOON).unwrap();
        self.pipe.receive(SOON).unwrap().to_vec()
    }

    fn address(&self) -> u64 {
        u64::try_from(self.mailbox.as_ptr().addr()).unwrap()
    }

    /// Registers as it should.
    fn registered(name: &OsString) -> (Self, [event::Event; 4]) {
        let mut program = Self::greeted(name);
        let address = program.address();
        let told = Registered::decode(&program.register(address)).unwrap();
        assert!([told.request, told.alive, told.settled, told.failed, told.handler].iter().all(|it| *it > 0));
        let events = [told.request, told.alive, told.settled, told.failed].map(|handle| {
            let raw = std::ptr::with_exposed_provenance_mut(usize::try_from(handle).unwrap());
            // SAFETY: the server has made them for this process.
            event::Event::of(unsafe { std::os::windows::io::OwnedHandle::from_raw_handle(raw) })
        });
        (program, events)
    }

    fn mail(&mut self, message: &[u8]) {
        let length = u32::try_from(message.len()).unwrap();
        self.mailbox[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_le_bytes());
        self.mailbox[MESSAGE_AT..MESSAGE_AT + message.len()].copy_from_slice(message);
    }
}

fn crash_of(thread: u32) -> Vec<u8> {
    let mut buffer = vec![0; MOST_BYTES];
    let mut writer = MessageWriter::new(&mut buffer, RequestKind::Crash as u16).unwrap();
    writer.field(tag::THREAD, &[&thread.to_le_bytes()]);
    writer.field(EXCEPTION, &[&ExceptionAt { pointers: 8, code: 0xc000_0005 }.to_bytes()]);
    writer.finish().to_vec()
}

fn wish_of(thread: u32) -> Vec<u8> {
    let mut buffer = vec![0; MOST_BYTES];
    let mut writer = MessageWriter::new(&mut buffer, RequestKind::Dump as u16).unwrap();
    writer.field(tag::THREAD, &[&thread.to_le_bytes()]);
    writer.finish().to_vec()
}

/// Whether a program that keeps to the protocol is served: its crash is read, though it blames nobody's thread.
fn assert_serves(name: &OsString) {
    let (mut program, [request, alive, settled, failed]) = Program::registered(name);
    program.mail(&crash_of(NO_THREAD));
    request.set();
    assert_eq!(wait([failed.as_handle(), settled.as_handle()], Some(SOON)), Waited::For(0));
    assert!(alive.is_set(), "the account was read");
}

/// Until the server says of somebody that he was refused for this.
fn assert_refused(events: &Receiver<String>, why: &str) {
    let told = events.recv_timeout(SOON).unwrap();
    assert!(told.contains(why), "{told}");
}

#[test]
fn what_is_no_registration_is_refused_and_others_are_served() {
    with_server(|name, events| {
        let cut = &Registration { mailbox: 0x1000 }.encode()[..20];
        let (long, wish) = (vec![0xff; MOST_BYTES], wish_of(4));
        for message in [&b""[..], b"x", cut, &long, &wish] {
            let mut program = Program::greeted(name);
            program.pipe.send(message, SOON).unwrap();
            let answer = Reply::decode(program.pipe.receive(SOON).unwrap()).unwrap();
            assert_eq!(answer.kind, ReplyKind::Failed);
            assert!(answer.text.contains("malformed"), "{}", answer.text);
            assert_refused(events, "the registration is malformed");
        }
        assert_serves(name);
    });
}

#[test]
fn who_goes_at_any_step_is_forgotten() {
    with_server(|name, events| {
        // One that goes at once may not even have been seen.
        drop(pipe::open(name, SOON).unwrap());
        drop(Program::greeted(name));
        assert_refused(events, "does not register");
        let mut unheard = Program::greeted(name);
        let registration = Registration { mailbox: unheard.address() }.encode();
        unheard.pipe.send(&registration, SOON).unwrap();
        drop(unheard.pipe);
        drop(Program::registered(name));
        assert_serves(name);
    });
}

#[test]
fn a_mailbox_without_the_challenge_is_nobodys() {
    with_server(|name, events| {
        for mailbox in [8, 0x7fff_0000, std::ptr::from_ref(&NO_THREAD).addr() as u64] {
            let mut program = Program::greeted(name);
            let answer = Reply::decode(&program.register(mailbox)).unwrap();
            assert!(answer.text.contains("does not hold the challenge"), "{}", answer.text);
            assert_refused(events, "is not the one that registers");
        }
        assert_serves(name);
    });
}

#[test]
fn accounts_that_are_none_fail_and_the_program_is_served_on() {
    with_server(|name, events| {
        let (mut program, [request, _, settled, failed]) = Program::registered(name);
        let ask = |program: &Program| {
            assert!(!program.mailbox.is_empty());
            request.set();
            assert_eq!(wait([failed.as_handle(), settled.as_handle()], Some(SOON)), Waited::For(0));
            failed.reset();
        };
        ask(&program);
        assert_refused(events, "it does not begin with the magic number");
        program.mailbox[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&[0xff; 4]);
        ask(&program);
        assert_refused(events, "another length than it says");
        let cut = crash_of(4);
        program.mail(&cut[..cut.len() - 8]);
        ask(&program);
        assert_refused(events, "another length than it says");
        program.mail(&wish_of(4));
        ask(&program);
        assert_refused(events, "the account has no exception");
        program.mail(&crash_of(NO_THREAD));
        ask(&program);
        assert_refused(events, "is none of the program's");
    });
}

#[test]
fn a_mailbox_that_is_gone_is_read_by_nobody() {
    with_server(|name, events| {
        let (mut program, [request, .., failed]) = Program::registered(name);
        // A block of this size has pages of its own, which go with it.
        program.mailbox = Vec::new();
        let _ = std::hint::black_box(&program.mailbox);
        request.set();
        assert_eq!(wait([failed.as_handle()], Some(SOON)), Waited::For(0));
        assert!(events.recv_timeout(SOON).is_ok());
        assert_serves(name);
    });
}

#[test]
fn registering_twice_ends_the_connection() {
    with_server(|name, events| {
        let (mut program, _events) = Program::registered(name);
        let address = program.address();
        let answer = Reply::decode(&program.register(address)).unwrap();
        assert_eq!(answer.kind, ReplyKind::Failed);
        assert_refused(events, "its kind 4 is not known");
        assert!(program.pipe.receive(SOON).is_err());
    });
}

#[test]
fn a_wish_is_answered_on_the_pipe() {
    with_server(|name, events| {
        let (mut program, _events) = Program::registered(name);
        program.pipe.send(&wish_of(NO_THREAD), SOON).unwrap();
        let kinds = [(); 2].map(|()| Reply::decode(program.pipe.receive(SOON).unwrap()).unwrap().kind);
        assert_eq!(kinds, [ReplyKind::Accepted, ReplyKind::Failed]);
        assert_refused(events, "is none of the program's");
        program.pipe.send(&crash_of(4), SOON).unwrap();
        let answer = Reply::decode(program.pipe.receive(SOON).unwrap()).unwrap();
        assert!(answer.text.contains("a crash is not told here"), "{}", answer.text);
    });
}

#[test]
fn who_is_silent_or_does_not_read_holds_up_nobody() {
    with_server(|name, _| {
        let _silent: Vec<_> = [(); 3].map(|()| pipe::open(name, SOON).unwrap()).into();
        let (mut deaf, _events) = Program::registered(name);
        for _ in 0..8 {
            deaf.pipe.send(&wish_of(NO_THREAD), SOON).unwrap();
        }
        assert_serves(name);
    });
}

#[test]
fn a_name_that_is_taken_is_not_shared_with_another_server() {
    with_server(|name, _| {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Limits::default()).unwrap();
        let error = Server::listen(name, store).unwrap_err().to_string();
        assert!(error.contains("cannot make the pipe"), "{error}");
    });
}

#[test]
fn the_messages_of_these_tests_are_accounts() {
    assert!(Account::decode(&crash_of(4)).is_ok() && Account::decode(&wish_of(4)).is_ok());
}
