//! A stopped thread that is borrowed to make system calls, and is given back exactly as it was.
//!
//! Between two calls the thread has its own registers and its own signal mask, and stands where it stood: in a stop
//! from which the kernel, when the thread goes on, restarts the system call that the stop interrupted. So whatever
//! happens between calls, the death of this program included, does the thread no harm. During a call, about 50 µs, the
//! thread would find its way back by itself: see [`super::landing`].

use super::super::ptrace;
use super::landing::Landing;
use super::refusal::Refusal;
use super::registers::Registers;
use super::requests::{self, Resume, Stop};
use super::site::Code;
use super::wait::{self, Lost};
use libc::{c_int, c_long, pid_t};
use std::time::{Duration, Instant};

/// Bit by which stops at system calls differ from signals; and a stop when the thread makes a task, which is traced
/// from its birth.
const OPTIONS: c_int = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE;
/// Beyond its deadline, a thread is given this long to come back: giving up would leave it with foreign registers.
pub const RECOVERY: Duration = Duration::from_secs(30);
/// Stops on the way that are not those waited for, such as a SIGSTOP. More than a few are not to be expected.
const MOST_DETOURS: usize = 256;

/// A system call to make.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    number: u64,
    arguments: [u64; 6],
    answer_in: Option<usize>,
    stack_in: Option<usize>,
}

impl Call {
    /// Call `number` (SYS_*).
    pub fn new(number: c_long, arguments: [u64; 6]) -> Self {
        Self { number: number.cast_unsigned(), arguments, answer_in: None, stack_in: None }
    }

    /// Argument `index` is the address of [`Answer::word`].
    pub fn answering_in(self, index: usize) -> Self {
        Self { answer_in: Some(index), ..self }
    }

    /// Argument `index` is the stack of the task that the call makes.
    pub fn with_stack_in(self, index: usize) -> Self {
        Self { stack_in: Some(index), ..self }
    }

    fn with_addresses(&self, landing: &Landing) -> Self {
        let mut call = *self;
        for (index, address) in
            [(self.answer_in, landing.answer_address()), (self.stack_in, landing.helper_stack)]
        {
            if let Some(argument) = index.and_then(|index| call.arguments.get_mut(index)) {
                *argument = address;
            }
        }
        call
    }
}

/// What a call came to.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// What it returned: a negative error number, or a result.
    pub result: i64,
    /// The task that it made, by the id that the calling process sees. It stands, or will before it runs any code.
    pub task: Option<pid_t>,
    /// False when that task had to be killed, because it did not come to its first stop in time.
    pub alive: bool,
    /// What it wrote, with [`Call::answering_in`].
    pub word: [u8; 8],
}

/// Whose thread is borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The target's own. It must come back.
    Target,
    /// A task made for the copy. It dies with this program, and is killed when it is late.
    Helper,
}

/// A borrowed thread. Dropping it takes back the ptrace options of a thread of the target; it stays a
/// stopped tracee.
#[derive(Debug)]
pub struct Borrowed {
    tid: pid_t,
    code: Code,
    registers: Registers,
    mask: u64,
    owner: Owner,
}

impl Borrowed {
    /// Borrows a thread that stands at [`Stop::Trap`], to call through `code`.
    pub fn take(tid: pid_t, registers: Registers, code: Code, owner: Owner) -> Result<Self, Refusal> {
        let options = match owner {
            Owner::Target => OPTIONS,
            // Handed down to the tasks that it makes.
            Owner::Helper => OPTIONS | libc::PTRACE_O_EXITKILL,
        };
        requests::set_options(tid, options).map_err(Refusal::of_request)?;
        let mask = requests::signal_mask(tid).map_err(Refusal::of_request)?;
        Ok(Self { tid, code, registers, mask, owner })
    }

    /// Makes one system call. Afterwards, failed or not, the thread is as it was.
    ///
    /// All signals are blocked meanwhile: they stay pending, and none is delivered on foreign registers.
    pub fn call(&self, call: &Call, deadline: Instant) -> Result<Answer, Refusal> {
        if self.owner == Owner::Helper {
            let changed =
                self.registers.calling(self.code.call, call.number, call.arguments, self.registers.stack());
            return self.make(&changed, None, deadline);
        }
        let landing = Landing::lay(self.tid, &self.registers, self.mask, &self.code)?;
        let call = call.with_addresses(&landing);
        let changed = self.registers.calling(self.code.call, call.number, call.arguments, landing.stack);
        let answer = self.make(&changed, Some(&landing), deadline);
        // A thread that is still on its way needs what lies there.
        if !matches!(answer, Err(Refusal::Stuck { .. })) {
            landing.clear()?;
        }
        answer
    }

    fn make(
        &self,
        changed: &Registers,
        landing: Option<&Landing>,
        deadline: Instant,
    ) -> Result<Answer, Refusal> {
        // With the registers set first and put back last, the thread is on its way home whenever signals are blocked.
        let ready = requests::set_registers(self.tid, &changed.0)
            .and_then(|()| requests::set_signal_mask(self.tid, u64::MAX));
        if let Err(error) = ready {
            self.put_back().map_err(Refusal::of_request)?;
            return Err(Refusal::of_request(error));
        }
        let mut visit = Visit { tid: self.tid, owner: self.owner, deadline, late: false };
        if !visit.enter(changed)? {
            self.put_back().map_err(Refusal::of_request)?;
            return Err(Refusal::Late);
        }
        let mut task = None;
        let passed = visit.pass(&mut task);
        if let (Err(_), Some(orphan)) = (&passed, task) {
            kill_newborn(orphan);
        }
        passed?;
        let result = requests::registers(self.tid).map(|bytes| Registers(bytes).result());
        let word = landing.and_then(Landing::answer).unwrap_or_default();
        let alive = task.is_none_or(|task| take_charge(task, deadline));
        // From here on the thread is its own again; the interrupt stops it before it runs any code.
        ptrace::interrupt(self.tid).and_then(|()| self.put_back()).map_err(Refusal::of_request)?;
        visit.leave()?;
        let answer = Answer { result: result.map_err(Refusal::of_request)?, task, alive, word };
        // A late answer still counts when it made something that must be dealt with.
        if visit.late && task.is_none() { Err(Refusal::Late) } else { Ok(answer) }
    }

    fn put_back(&self) -> std::io::Result<()> {
        let mask = requests::set_signal_mask(self.tid, self.mask);
        requests::set_registers(self.tid, &self.registers.0).and(mask)
    }
}

/// Waits for a new task, which stops before it runs any code, and ties its life to that of this program. False when
/// that failed; then it was killed.
fn take_charge(task: pid_t, deadline: Instant) -> bool {
    let stopped = wait::for_stop(task, deadline) == Ok(Stop::Trap);
    let charged = stopped && requests::set_options(task, libc::PTRACE_O_EXITKILL).is_ok();
    if !charged {
        kill_newborn(task);
    }
    charged
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if self.owner == Owner::Helper {
            return;
        }
        let _ = requests::set_options(self.tid, 0);
    }
}

/// Kills a task that has never run, so that nobody can have reaped it.
pub fn kill_newborn(task: pid_t) {
    requests::kill_unreaped(task);
    wait::for_exit(task, Instant::now() + RECOVERY);
}

/// The way of a thread through one system call.
struct Visit {
    tid: pid_t,
    owner: Owner,
    deadline: Instant,
    late: bool,
}

impl Visit {
    /// Runs to the entry of the system call. False when time was up and the thread stands before it. When time was up
    /// at the entry, the thread will pass without making the call.
    fn enter(&mut self, changed: &Registers) -> Result<bool, Refusal> {
        self.resume(Resume::ToSystemCall, 0)?;
        for _ in 0..MOST_DETOURS {
            match self.next_stop()? {
                Stop::SystemCall => {
                    let bytes = requests::registers(self.tid).map_err(Refusal::of_request)?;
                    let now = Registers(bytes);
                    let ours = now.entered_at() == Some(changed.instruction());
                    self.late |= !ours;
                    if self.late {
                        let skipping = now.skipping();
                        requests::set_registers(self.tid, &skipping.0).map_err(Refusal::of_request)?;
                    }
                    return Ok(true);
                }
                Stop::Trap if self.late => return Ok(false),
                Stop::Trap | Stop::Cloned => self.resume(Resume::ToSystemCall, 0)?,
                // Nothing but SIGSTOP gets here. Handed on, it stops the process as it would have otherwise.
                Stop::Signal(signal) => self.resume(Resume::ToSystemCall, signal)?,
            }
        }
        Err(Refusal::Stuck { tid: self.tid })
    }

    /// Runs from the entry to the exit. `task` gets what was made on the way.
    fn pass(&mut self, task: &mut Option<pid_t>) -> Result<(), Refusal> {
        self.resume(Resume::ToSystemCall, 0)?;
        for _ in 0..MOST_DETOURS {
            match self.next_stop()? {
                Stop::SystemCall => return Ok(()),
                Stop::Cloned => {
                    *task = Some(requests::cloned_task(self.tid).map_err(Refusal::of_request)?);
                    self.resume(Resume::ToSystemCall, 0)?;
                }
                Stop::Trap => self.resume(Resume::ToSystemCall, 0)?,
                Stop::Signal(signal) => self.resume(Resume::ToSystemCall, signal)?,
            }
        }
        Err(Refusal::Stuck { tid: self.tid })
    }

    /// Runs to the stop it was asked for.
    fn leave(&mut self) -> Result<(), Refusal> {
        self.resume(Resume::Freely, 0)?;
        for _ in 0..MOST_DETOURS {
            match self.next_stop()? {
                Stop::Trap => return Ok(()),
                Stop::SystemCall | Stop::Cloned => self.resume(Resume::Freely, 0)?,
                Stop::Signal(signal) => self.resume(Resume::Freely, signal)?,
            }
        }
        Err(Refusal::Stuck { tid: self.tid })
    }

    fn resume(&self, how: Resume, signal: c_int) -> Result<(), Refusal> {
        requests::resume(self.tid, how, signal).map_err(Refusal::of_request)
    }

    /// Waits. When time is up, a thread of the target is asked back, and waited for a while longer.
    fn next_stop(&mut self) -> Result<Stop, Refusal> {
        if !self.late {
            match wait::for_stop(self.tid, self.deadline) {
                Err(Lost::Late) if self.owner == Owner::Target => {
                    self.late = true;
                    ptrace::interrupt(self.tid).map_err(Refusal::of_request)?;
                }
                found => return Ok(found?),
            }
        }
        wait::for_stop(self.tid, self.deadline + RECOVERY).map_err(|lost| match lost {
            Lost::Late => Refusal::Stuck { tid: self.tid },
            Lost::Gone => Refusal::Gone,
        })
    }
}
