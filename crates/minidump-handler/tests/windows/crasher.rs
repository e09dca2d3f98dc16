//! Programs that crash.

use minidump_handler::client::Client;
use std::io::Write as _;
use std::time::Duration;

/// What r12 holds in a crash of these.
pub const MARK: u64 = 0x1122_3344_5566_7788;
/// The status with which a filter of before the client ends the program.
pub const PREVIOUS: u32 = 77;
/// The address that is written to.
pub const WRONG: u64 = 0x18;

/// Bytes that are left of a stack that is nearly used up. The system's own way to the hooks takes some.
const LEFT: usize = 24 << 10;

unsafe extern "system" {
    fn GetCurrentThreadStackLimits(low: *mut usize, high: *mut usize);
    fn GetProcessHeap() -> *mut u8;
    fn HeapAlloc(heap: *mut u8, flags: u32, bytes: usize) -> *mut u8;
    fn RaiseException(code: u32, flags: u32, count: u32, arguments: *const usize);
    fn OpenProcess(access: u32, inherited: i32, id: u32) -> *mut u8;
    fn TerminateProcess(process: *mut u8, code: u32) -> i32;
    fn WaitForSingleObject(handle: *mut u8, milliseconds: u32) -> u32;
    fn GetCurrentThreadId() -> u32;
    fn GetCurrentProcess() -> *mut u8;
    fn SetUnhandledExceptionFilter(filter: extern "system" fn(*const u8) -> i32) -> *mut u8;
    fn abort() -> !;
}

/// Installs a client and crashes in the way that is asked for. `handler` is `start`, `none` or a pipe.
pub fn run(how: &str, directory: &str, handler: &str) {
    if how == "heap" {
        // What the system does by itself at the end of a program needs the heap.
        // SAFETY: a function of this program.
        unsafe { SetUnhandledExceptionFilter(previous) };
    }
    let builder = Client::builder().dump_dir(directory).version("7.2").patience(Duration::from_secs(20));
    let builder = match handler {
        "start" => builder.handler(std::env::current_exe().unwrap()),
        "none" => builder,
        pipe => builder.connect(pipe),
    };
    let log = std::path::Path::new(directory).with_extension("log");
    let client = builder.attachment(log).install().unwrap();
    client.annotate("channel", "beta \"quoted\"").unwrap();
    match how {
        "access" => on_worker(write_wrong),
        "deep" => on_worker(|| println!("{}", deep(1))),
        "overflow" => on_worker(|| println!("{}", overflow(1))),
        "abort" => {
            tell_thread();
            // SAFETY: it ends the program.
            unsafe { abort() }
        }
        "heap" => on_worker(|| {
            ruin_heap();
            write_wrong();
        }),
        "raise" => on_worker(|| raise(0xe123_4567)),
        "orphan" => {
            kill(client.handler_pid().unwrap());
            on_worker(write_wrong);
        }
        "revived" => revived(&client),
        "wish" => println!("{}", client.dump_without_crashing("memory is short").unwrap().display()),
        "hang" => hang(&client),
        "stopped" => {
            client.stop();
            on_worker(write_wrong);
        }
        _ => unreachable!(),
    }
}

extern "system" fn previous(_: *const u8) -> i32 {
    // SAFETY: the pseudo handle of this process.
    unsafe { TerminateProcess(GetCurrentProcess(), PREVIOUS) }
}

fn on_worker(crash: impl FnOnce() + Send + 'static) {
    let worker = std::thread::Builder::new().name("worker".into()).spawn(|| {
        tell_thread();
        crash();
    });
    worker.unwrap().join().unwrap();
}

fn tell_thread() {
    // SAFETY: it touches nothing.
    println!("thread {}", unsafe { GetCurrentThreadId() });
    std::io::stdout().flush().unwrap();
}

/// Writes where nothing is, with a mark in a register.
fn write_wrong() {
    // SAFETY: none; this is the crash.
    unsafe {
        std::arch::asm!("mov qword ptr [rax], 1", in("rax") WRONG, in("r12") MARK, options(nostack));
    }
}

/// Writes where nothing is when next to nothing is left of the stack.
#[expect(unconditional_recursion, reason = "the crash ends it")]
fn deep(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 8]);
    let (mut low, mut high) = (0, 0);
    // SAFETY: places for two numbers.
    unsafe { GetCurrentThreadStackLimits(&raw mut low, &raw mut high) };
    if frame.as_ptr().addr() < low + LEFT {
        write_wrong();
    }
    deep(frame[0] + 1) + frame[1]
}

#[expect(unconditional_recursion, reason = "this is the crash")]
fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 2]);
    overflow(frame[0] + 1) + frame[1]
}

fn raise(code: u32) {
    // SAFETY: an exception that nobody handles.
    unsafe { RaiseException(code, 1, 2, [0x11, 0x22].as_ptr()) };
}

/// Writes over the heap's own records around a block, as a buffer overrun does.
fn ruin_heap() {
    // SAFETY: none; this is what makes the heap unusable.
    unsafe {
        let heap = GetProcessHeap();
        let block = HeapAlloc(heap, 0, 64);
        for at in -64_isize..2048 {
            *block.offset(at) = 0x41;
        }
        // The heap's own head, with its lists of free blocks.
        for at in 0x80_usize..0x180 {
            *heap.add(at) = 0x41;
        }
    }
}

fn kill(pid: u32) {
    // SAFETY: PROCESS_TERMINATE and SYNCHRONIZE, of a process that this one has started.
    unsafe {
        let process = OpenProcess(0x0010_0001, 0, pid);
        assert!(TerminateProcess(process, 9) != 0);
        assert_eq!(WaitForSingleObject(process, 30_000), 0);
    }
}

/// Kills the handler and waits until there is another.
fn revived(client: &Client) {
    let first = client.handler_pid().unwrap();
    kill(first);
    while client.handler_pid().is_none_or(|pid| pid == first) {
        std::thread::yield_now();
    }
    on_worker(write_wrong);
}

/// Beats once and then waits until its dump is there.
fn hang(client: &Client) {
    tell_thread();
    let _heartbeat = client.heartbeat(Duration::from_millis(50));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}
