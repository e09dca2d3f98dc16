//! Handles to objects of every type that a program is likely to have.

use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys::{self, wide};
use std::io;
use std::ptr;
use std::sync::mpsc::channel;
use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Security::TOKEN_QUERY;
use windows_sys::Win32::Storage::FileSystem::{PIPE_ACCESS_DUPLEX, ReadFile};
use windows_sys::Win32::System::IO::CreateIoCompletionPort;
use windows_sys::Win32::System::JobObjects::CreateJobObjectW;
use windows_sys::Win32::System::Memory::{CreateFileMappingW, PAGE_READWRITE};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, CreatePipe, PIPE_TYPE_BYTE, PIPE_WAIT,
};
use windows_sys::Win32::System::Registry::{HKEY_CURRENT_USER, KEY_READ, RegOpenKeyExW};
use windows_sys::Win32::System::Threading::{
    CreateEventW, CreateMutexW, CreateSemaphoreW, CreateWaitableTimerW, GetCurrentProcess,
    GetCurrentProcessId, GetCurrentThreadId, OpenProcess, OpenProcessToken, OpenThread,
    PROCESS_QUERY_INFORMATION, THREAD_QUERY_INFORMATION,
};

/// A handle, the name of its object's type, and the end of the object's name where it has one.
type Told = (HANDLE, &'static str, Option<String>);

/// `handles`: one handle of each type, and two pipes of which another thread reads or waits: asking the system for the name of
/// such a pipe would block.
pub fn handles(_: &Arguments) {
    let told = named().into_iter().chain(nameless()).chain(pipes());
    let facts = told.map(|(handle, kind, name)| {
        let facts = Facts::part().size("value", handle.expose_provenance()).text("type", kind);
        name.into_iter().fold(facts, |facts, name| facts.text("name", &name))
    });
    Facts::new().objects("handles", facts).print();
    control::serve_ping();
}

fn name(kind: &str) -> String {
    format!("crasher-{kind}-{}", std::process::id())
}

fn named() -> Vec<Told> {
    let wide_name = |kind| wide(&name(kind));
    // SAFETY: names are ended by zeros and live through the calls; default rights are asked for by null pointers.
    let objects = unsafe {
        [
            (CreateEventW(ptr::null(), 1, 0, wide_name("event").as_ptr()), "Event", "event"),
            (CreateMutexW(ptr::null(), 0, wide_name("mutant").as_ptr()), "Mutant", "mutant"),
            (CreateSemaphoreW(ptr::null(), 1, 2, wide_name("semaphore").as_ptr()), "Semaphore", "semaphore"),
            (CreateWaitableTimerW(ptr::null(), 1, wide_name("timer").as_ptr()), "Timer", "timer"),
            (CreateJobObjectW(ptr::null(), wide_name("job").as_ptr()), "Job", "job"),
            (section(&wide_name("section")), "Section", "section"),
        ]
    };
    objects.into_iter().map(|(handle, kind, word)| (open(handle, kind), kind, Some(name(word)))).collect()
}

fn section(name: &[u16]) -> HANDLE {
    // SAFETY: the name is ended by a zero; the memory is the system's.
    unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, ptr::null(), PAGE_READWRITE, 0, 4096, name.as_ptr()) }
}

fn nameless() -> Vec<Told> {
    let (mut token, mut key) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the results are written to locals; all else are numbers, the process itself, and a name ended by a zero.
    let objects = unsafe {
        OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token);
        RegOpenKeyExW(HKEY_CURRENT_USER, wide("Environment").as_ptr(), 0, KEY_READ, &raw mut key);
        [
            (CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1), "IoCompletion", None),
            (OpenProcess(PROCESS_QUERY_INFORMATION, 0, GetCurrentProcessId()), "Process", None),
            (OpenThread(THREAD_QUERY_INFORMATION, 0, GetCurrentThreadId()), "Thread", None),
            (token, "Token", None),
            (key, "Key", Some("Environment".to_owned())),
        ]
    };
    let file = std::fs::File::open(std::env::current_exe().expect("the program has a path"));
    let file = std::os::windows::io::IntoRawHandle::into_raw_handle(file.expect("the program can be read"));
    let objects = objects.into_iter().map(|(handle, kind, name)| (open(handle, kind), kind, name));
    objects.chain([(file, "File", Some("windows-crasher.exe".to_owned()))]).collect()
}

fn pipes() -> Vec<Told> {
    let (mut read, mut write) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: both handles are written to locals.
    sys::check("CreatePipe", unsafe { CreatePipe(&raw mut read, &raw mut write, ptr::null(), 0) });
    let path = wide(&format!(r"\\.\pipe\{}", name("pipe")));
    // SAFETY: the path is ended by a zero; default rights are asked for by a null pointer.
    let waiting = unsafe {
        CreateNamedPipeW(
            path.as_ptr(),
            PIPE_ACCESS_DUPLEX,
            PIPE_TYPE_BYTE | PIPE_WAIT,
            1,
            512,
            512,
            0,
            ptr::null(),
        )
    };
    assert_ne!(waiting, INVALID_HANDLE_VALUE, "CreateNamedPipeW: {}", io::Error::last_os_error());
    block(read, |handle| {
        let (mut byte, mut count) = (0u8, 0);
        // SAFETY: one byte is read into a local.
        unsafe { ReadFile(handle, &raw mut byte, 1, &raw mut count, ptr::null_mut()) };
    });
    block(waiting, |handle| {
        // SAFETY: the handle is open, and without an overlapped structure the call waits.
        unsafe { ConnectNamedPipe(handle, ptr::null_mut()) };
    });
    vec![(read, "File", None), (write, "File", None), (waiting, "File", None)]
}

/// Has a thread wait for what never comes through `handle`.
fn block(handle: HANDLE, wait: fn(HANDLE)) {
    let (send, receive) = channel();
    let value = handle.expose_provenance();
    std::thread::spawn(move || {
        send.send(()).expect("the main thread listens");
        wait(ptr::with_exposed_provenance_mut(value));
    });
    receive.recv().expect("the thread runs");
}

fn open(handle: HANDLE, what: &str) -> HANDLE {
    assert!(!handle.is_null() && handle != INVALID_HANDLE_VALUE, "no {what}: {}", io::Error::last_os_error());
    handle
}
