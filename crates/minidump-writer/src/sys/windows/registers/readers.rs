//! Reading the registers of many threads, none of which may keep the others waiting.
//!
//! The system asks the thread itself for its registers (GetThreadContext), and waits until it answers. A thread does so
//! when it next passes a certain point of the kernel, which is at once in all states but a few: one that waits for a broken
//! disk or a faulty driver may never do. Nothing ends such a wait; so it happens on threads of the dumper that can be left
//! behind. They end when the system answers, or with the dumper.

use super::super::threads::ThreadHandle;
use super::live::{Reader, Registers};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How long a reader may be silent before another one goes on with the next thread.
const STEP: Duration = Duration::from_millis(50);

/// How long the last threads are waited for, when nothing else remains to be done.
const PATIENCE: Duration = Duration::from_millis(500);

/// Most readers: so many threads may be stuck at the same time before the others remain without registers.
const MOST_READERS: usize = 16;

/// Threads to read.
#[derive(Debug)]
struct Work {
    threads: Vec<ThreadHandle>,
    /// The first one that nobody reads yet.
    next: AtomicUsize,
    is_wow64: bool,
    results: Sender<(usize, Registers)>,
}

/// A thread that waits to read registers: making it takes time, which the target need not stand still for.
#[derive(Debug)]
pub struct Readers {
    waiting: Sender<Arc<Work>>,
}

impl Readers {
    /// Makes the first reader.
    pub fn ready() -> io::Result<Self> {
        let (waiting, work) = mpsc::channel();
        start(work)?;
        Ok(Self { waiting })
    }

    /// The registers of `threads`, in that order. Those that do not come are errors of the kind
    /// [`TimedOut`](io::ErrorKind::TimedOut).
    pub fn read(self, threads: &[ThreadHandle], is_wow64: bool, deadline: Instant) -> Vec<Registers> {
        let (results, answers) = mpsc::channel();
        let work = Arc::new(Work { threads: threads.to_vec(), next: AtomicUsize::new(0), is_wow64, results });
        let mut found: Vec<Registers> = threads.iter().map(|_| Registers::missing()).collect();
        let mut missing = found.len();
        let mut readers = usize::from(self.waiting.send(Arc::clone(&work)).is_ok());
        let mut last_answer = Instant::now();
        while missing > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            match answers.recv_timeout(STEP.min(left)) {
                Ok((index, registers)) => {
                    if let Some(place) = found.get_mut(index) {
                        *place = registers;
                    }
                    missing -= 1;
                    last_answer = Instant::now();
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if left.is_zero() => break,
                Err(RecvTimeoutError::Timeout) => {
                    let all_begun = work.next.load(Ordering::Relaxed) >= threads.len();
                    if all_begun || readers >= MOST_READERS {
                        if last_answer.elapsed() >= PATIENCE {
                            break;
                        }
                    } else {
                        readers += usize::from(start_with(&work).is_ok());
                    }
                }
            }
        }
        // Whoever is left behind finds nothing more to do.
        work.next.store(threads.len(), Ordering::Relaxed);
        found
    }
}

fn start_with(work: &Arc<Work>) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel();
    start(receiver)?;
    sender.send(Arc::clone(work)).map_err(|_| io::ErrorKind::BrokenPipe.into())
}

fn start(work: Receiver<Arc<Work>>) -> io::Result<()> {
    thread::Builder::new().name("registers".to_owned()).spawn(move || {
        let mut reader = Reader::new();
        let Ok(work) = work.recv() else { return };
        loop {
            let index = work.next.fetch_add(1, Ordering::Relaxed);
            let Some(thread) = work.threads.get(index) else { return };
            let registers = reader.read(thread.handle(), thread.teb, work.is_wow64);
            if work.results.send((index, registers)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
