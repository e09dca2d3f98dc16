//! Names of files, asked for by a thread that may be left to its waiting.
//!
//! Everything that asks whom a file belongs to, and closing the last handle that a process has to it, may wait for a lock
//! that another thread holds as long as it reads from a pipe. So a copied handle is given to a worker, which asks, closes
//! it and answers. A worker that does not answer in time is abandoned: it keeps its handle, ends when its wait does, and
//! counts until then. There are never more than a few of them in a process, however many dumps it makes.

use super::object;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_DISK, GetFileType};
use windows_sys::Win32::System::IO::CancelSynchronousIo;

/// How long a file is waited for. Those that answer do so in microseconds.
const PATIENCE: Duration = Duration::from_millis(100);
/// Most workers that wait for ever.
const MOST_ABANDONED: usize = 8;
/// Workers that were abandoned, and wait still.
static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// States of a worker: at work; abandoned; at its end.
const WORKING: u8 = 0;
const LEFT: u8 = 1;
const ENDED: u8 = 2;

/// What a worker does with a file.
type Ask = Arc<dyn Fn(BorrowedHandle<'_>) -> Option<String> + Send + Sync>;

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub enum Named {
    /// The name, or that there is none that may be asked for.
    Answered(Option<String>),
    /// No answer.
    Silent,
    /// Too many others do not answer.
    NotAsked,
}

/// Asks files for their names.
pub struct FileNames {
    ask: Ask,
    patience: Duration,
    worker: Option<Worker>,
}

impl Default for FileNames {
    fn default() -> Self {
        Self { ask: Arc::new(name_on_disk), patience: PATIENCE, worker: None }
    }
}

/// The name of a file on a disk. Others are not asked.
fn name_on_disk(file: BorrowedHandle<'_>) -> Option<String> {
    // SAFETY: the handle is open.
    let kind = unsafe { GetFileType(file.as_raw_handle()) };
    (kind == FILE_TYPE_DISK).then(|| object::name(file).ok().flatten()).flatten()
}

impl FileNames {
    /// Asks `file` for its name, until `deadline` at most.
    pub fn ask(&mut self, file: OwnedHandle, deadline: Instant) -> Named {
        let Some(worker) = self.worker.take().or_else(|| Worker::start(&self.ask)) else {
            return Named::NotAsked;
        };
        let patience = self.patience.min(deadline.saturating_duration_since(Instant::now()));
        let Ok(name) = worker.ask(file, patience) else {
            worker.abandon();
            return Named::Silent;
        };
        self.worker = Some(worker);
        Named::Answered(name)
    }
}

impl Drop for FileNames {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.end();
        }
    }
}

/// A worker's silence.
struct NoAnswer;

/// A thread that asks one file after the other.
struct Worker {
    files: Sender<OwnedHandle>,
    answers: Receiver<Option<String>>,
    state: Arc<AtomicU8>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// `None` when too many have been abandoned, or there is no room for a thread.
    fn start(ask: &Ask) -> Option<Self> {
        if ABANDONED.load(Ordering::SeqCst) >= MOST_ABANDONED {
            return None;
        }
        let (files, jobs) = channel::<OwnedHandle>();
        let (results, answers) = channel();
        let state = Arc::new(AtomicU8::new(WORKING));
        let (ask, end) = (Arc::clone(ask), End(Arc::clone(&state)));
        let work = move || {
            let _end = end;
            for file in jobs {
                let name = ask(file.as_handle());
                // Closing may wait, too.
                drop(file);
                if results.send(name).is_err() {
                    break;
                }
            }
        };
        let thread = Builder::new().name("file-names".to_owned()).spawn(work).ok()?;
        Some(Self { files, answers, state, thread })
    }

    /// The worker's answer, if it comes in time. The handle is the worker's from now on.
    fn ask(&self, file: OwnedHandle, patience: Duration) -> Result<Option<String>, NoAnswer> {
        self.files.send(file).map_err(|_| NoAnswer)?;
        self.answers.recv_timeout(patience).map_err(|_| NoAnswer)
    }

    /// Lets a worker go that waits.
    fn abandon(self) {
        ABANDONED.fetch_add(1, Ordering::SeqCst);
        if self.state.swap(LEFT, Ordering::SeqCst) == ENDED {
            ABANDONED.fetch_sub(1, Ordering::SeqCst);
        }
        // SAFETY: the thread's handle is open. All that it can do synchronously is what is to end; where the system
        // cannot end it, nothing happens.
        unsafe { CancelSynchronousIo(self.thread.as_raw_handle()) };
    }

    /// Ends a worker that waits for nothing but files.
    fn end(self) {
        let Self { files, thread, .. } = self;
        drop(files);
        // It has nothing left to do.
        let _ = thread.join();
    }
}

/// Notes the end of a worker, whatever it ends of.
struct End(Arc<AtomicU8>);

impl Drop for End {
    fn drop(&mut self) {
        if self.0.swap(ENDED, Ordering::SeqCst) == LEFT {
            ABANDONED.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::sync::Mutex;

    /// A way to ask that waits at a door the first time, and then says that it went through.
    fn waits_once() -> (Ask, Sender<()>, Receiver<()>) {
        let (open, door) = channel();
        let (went, through) = channel();
        let door = Mutex::new(Some((door, went)));
        let ask = move |_: BorrowedHandle<'_>| {
            // Not locked while it waits.
            let first = door.lock().unwrap().take();
            if let Some((door, went)) = first {
                let _ = door.recv();
                went.send(()).unwrap();
            }
            Some("answered".to_owned())
        };
        (Arc::new(ask), open, through)
    }

    fn some_file() -> OwnedHandle {
        File::open(std::env::current_exe().unwrap()).unwrap().into()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_file_that_does_not_answer_is_left_and_the_next_one_asked() {
        let (ask, open, through) = waits_once();
        let mut names = FileNames { ask, patience: Duration::ZERO, worker: None };
        assert_eq!(names.ask(some_file(), Instant::now() + LONG), Named::Silent);
        names.patience = LONG;
        // The deadline counts, too: nobody answers before an instant that has passed.
        let (ask, open_another, through_another) = waits_once();
        let mut others = FileNames { ask, patience: LONG, worker: None };
        assert_eq!(others.ask(some_file(), Instant::now()), Named::Silent);
        assert_eq!(ABANDONED.load(Ordering::SeqCst), 2);
        let answered = Named::Answered(Some("answered".to_owned()));
        assert_eq!(names.ask(some_file(), Instant::now() + LONG), answered);
        assert!(through.try_recv().is_err());
        drop((open, open_another));
        through.recv_timeout(LONG).unwrap();
        through_another.recv_timeout(LONG).unwrap();
        // Both end by themselves.
        while ABANDONED.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_answer_takes_the_file_along() {
        let (answer, asked) = channel();
        let ask = move |file: BorrowedHandle<'_>| {
            answer.send(file.as_raw_handle() as usize).unwrap();
            None
        };
        let mut names = FileNames { ask: Arc::new(ask), patience: LONG, worker: None };
        let file = some_file();
        let value = file.as_raw_handle() as usize;
        assert_eq!(names.ask(file, Instant::now() + LONG), Named::Answered(None));
        assert_eq!(asked.recv().unwrap(), value);
    }
}
