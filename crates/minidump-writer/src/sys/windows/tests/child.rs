//! The process that is captured: this test program, started again.
#![expect(unsafe_code, reason = "known registers take assembly")]

use std::io::{BufRead, BufReader, Write};
use std::os::windows::io::AsRawHandle;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;

/// Tells the program that it is the one to be captured.
const ROLE: &str = "MINIDUMP_WRITER_TEST_CHILD";

/// An annotation of the environment that is a secret, and one that is none.
pub const SECRET: (&str, &str) = ("CAPTURE_TEST_PASSWORD", "open sesame");

/// What the stack of each thread of the child holds.
pub const ON_STACK: [u8; 16] = *b"on a thread's st";
/// What the child has on its heap.
pub const ON_HEAP: [u8; 32] = *b"thirty-two bytes of the heap !!!";

/// What a thread of the child has in its registers: 1 in R12, 2 in R13 and so on, above this.
pub const IN_REGISTERS: u64 = 0x1122_3344_5566_0000;

/// A running child.
pub struct Captured {
    pub process: Child,
    /// To this it listens; it ends when this is dropped.
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    /// Ids of its threads: the main one, then those with known registers.
    pub threads: Vec<u32>,
    /// Addresses of [`ON_STACK`] on their stacks.
    pub on_stack: Vec<u64>,
    /// Addresses of what the threads with known registers count.
    pub counters: Vec<u64>,
    /// Address of [`ON_HEAP`].
    pub on_heap: u64,
    /// Address of its EXCEPTION_POINTERS, of a made-up crash of its main thread.
    pub exception_pointers: u64,
}

impl Captured {
    /// A child with `count` threads besides the main one.
    pub fn start(count: usize) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sys::platform::tests::child::role", "--nocapture", "--test-threads=1"])
            .env(ROLE, count.to_string())
            .env(SECRET.0, SECRET.1)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut child = Self {
            process,
            input,
            lines,
            threads: vec![],
            on_stack: vec![],
            counters: vec![],
            on_heap: 0,
            exception_pointers: 0,
        };
        child.on_heap = child.answer("heap")[0];
        child.counters = child.answer("counters");
        assert_eq!(child.counters.len(), count);
        child.exception_pointers = child.answer("crash")[0];
        for _ in 0..=count {
            let [id, address] = child.answer("thread").try_into().unwrap();
            child.threads.push(u32::try_from(id).unwrap());
            child.on_stack.push(address);
        }
        child
    }

    pub fn pid(&self) -> crate::Pid {
        crate::Pid::try_from(self.process.id()).unwrap()
    }

    /// The byte at `address` of its memory.
    pub fn byte(&self, address: u64) -> u8 {
        let mut byte = [0];
        let place = std::ptr::without_provenance(usize::try_from(address).unwrap());
        // SAFETY: the handle is open, and the buffer is as long as said.
        let done = unsafe {
            ReadProcessMemory(
                self.process.as_raw_handle(),
                place,
                byte.as_mut_ptr().cast(),
                1,
                std::ptr::null_mut(),
            )
        };
        assert_ne!(done, 0, "{address:#x}");
        byte[0]
    }

    /// How far each of its threads has counted.
    pub fn counts(&mut self) -> Vec<u64> {
        self.input.as_mut().unwrap().write_all(b"count\n").unwrap();
        self.answer("counts")
    }

    /// Waits until each of its threads has counted on.
    pub fn assert_runs(&mut self) {
        let before = self.counts();
        for _ in 0..1_000_000 {
            let now = self.counts();
            if now.iter().zip(&before).all(|(now, before)| now > before) {
                return;
            }
        }
        panic!("a thread stands still");
    }

    /// The numbers in the next line that begins with `word`.
    fn answer(&self, word: &str) -> Vec<u64> {
        loop {
            let line = self.lines.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
            // The test harness writes in front of the first line.
            let Some(at) = line.find(word) else { continue };
            let numbers = line[at + word.len()..].split_whitespace();
            return numbers.map(|number| number.parse().unwrap()).collect();
        }
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the child does; nothing in the program that runs the tests.
#[test]
fn role() {
    let Ok(count) = std::env::var(ROLE) else { return };
    let heap = Box::new(ON_HEAP);
    let counters: Vec<&'static AtomicU64> =
        (0..count.parse::<usize>().unwrap()).map(|_| &*Box::leak(Box::default())).collect();
    println!("heap {}", heap.as_ptr().addr());
    let places: Vec<String> = counters.iter().map(|counter| counter.as_ptr().addr().to_string()).collect();
    println!("counters {}", places.join(" "));
    println!("crash {}", exception_pointers());
    let stack = ON_STACK;
    println!("thread {} {}", own_id(), std::hint::black_box(&stack).as_ptr().addr());
    for counter in &counters {
        let (sender, started) = mpsc::channel();
        let counter: &'static AtomicU64 = counter;
        std::thread::spawn(move || {
            let stack = ON_STACK;
            let stack = std::hint::black_box(&stack);
            println!("thread {} {}", own_id(), stack.as_ptr().addr());
            sender.send(()).unwrap();
            count_for_ever(counter, stack);
        });
        started.recv().unwrap();
    }
    for line in std::io::stdin().lines().map_while(Result::ok) {
        if line == "count" {
            let counts: Vec<String> =
                counters.iter().map(|counter| counter.load(Ordering::Relaxed).to_string()).collect();
            println!("counts {}", counts.join(" "));
        }
    }
    std::hint::black_box(&heap);
    std::process::exit(0);
}

/// Code, parameters and RBX of the crash that the child makes up.
pub const CRASH: (u32, [u64; 2], u64) = (0xc000_0005, [1, 0xdead_beef], 0x0bb0_0bb0_0bb0);

/// Makes up a crash, with the registers of this moment but for the instruction pointer and RBX.
#[cfg(target_arch = "x86_64")]
fn exception_pointers() -> usize {
    use windows_sys::Win32::System::Diagnostics::Debug::{
        CONTEXT, EXCEPTION_POINTERS, EXCEPTION_RECORD, RtlCaptureContext,
    };
    #[repr(align(16))]
    struct Aligned(CONTEXT);

    let context = Box::leak(Box::new(Aligned(CONTEXT::default())));
    // SAFETY: the structure is live and aligned.
    unsafe { RtlCaptureContext(&raw mut context.0) };
    (context.0.Rip, context.0.Rbx) = (0x1234_5678, CRASH.2);
    let mut record = EXCEPTION_RECORD {
        ExceptionCode: CRASH.0.cast_signed(),
        ExceptionAddress: std::ptr::without_provenance_mut(0x1234_5678),
        NumberParameters: 2,
        ..EXCEPTION_RECORD::default()
    };
    for (to, from) in record.ExceptionInformation.iter_mut().zip(CRASH.1) {
        *to = usize::try_from(from).unwrap();
    }
    let record = Box::leak(Box::new(record));
    let pointers = EXCEPTION_POINTERS { ExceptionRecord: record, ContextRecord: &raw mut context.0 };
    std::ptr::from_ref(Box::leak(Box::new(pointers))).addr()
}

#[cfg(not(target_arch = "x86_64"))]
fn exception_pointers() -> usize {
    0
}

fn own_id() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { windows_sys::Win32::System::Threading::GetCurrentThreadId() }
}

/// Counts up `counter`, with known numbers in the other registers. `stack` is kept alive.
#[cfg(target_arch = "x86_64")]
fn count_for_ever(counter: &AtomicU64, stack: &[u8; 16]) -> ! {
    // SAFETY: the loop writes to the counter alone, which lives for ever, and is never left.
    unsafe {
        std::arch::asm!(
            "movq xmm7, r12",
            "test r8, r8",
            "jz 2f",
            "vinsertf128 ymm7, ymm7, xmm7, 1",
            "2:",
            "inc qword ptr [rdi]",
            "pause",
            "jmp 2b",
            in("rdi") counter.as_ptr(),
            in("rsi") stack.as_ptr(),
            in("r8") u64::from(std::arch::is_x86_feature_detected!("avx")),
            in("r12") IN_REGISTERS + 1,
            in("r13") IN_REGISTERS + 2,
            in("r14") IN_REGISTERS + 3,
            in("r15") IN_REGISTERS + 4,
            options(noreturn)
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn count_for_ever(counter: &AtomicU64, stack: &[u8; 16]) -> ! {
    loop {
        counter.fetch_add(1, Ordering::Relaxed);
        std::hint::black_box(stack);
    }
}
