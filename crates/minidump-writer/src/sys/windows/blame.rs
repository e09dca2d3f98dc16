//! Which thread the dump is about, and what the crashing program recorded of it.

use crate::snapshot::{CpuState, Crash, Snapshot, SoftError, Stage, Thread};

/// Takes over what the crashing program recorded. Its registers replace those of the thread, which by now runs an exception
/// handler or has gone.
pub fn take_crash(snapshot: &mut Snapshot, crash: Option<&Crash>, errors: &mut Vec<SoftError>) {
    let Some(Crash { exception, cpu }) = crash else { return };
    snapshot.exception = Some(exception.clone());
    let position = snapshot.threads.iter().position(|thread| thread.id == exception.thread);
    let index = position.unwrap_or_else(|| {
        let message = "the crashed thread has gone; its registers are those that the crash handler recorded";
        errors.push(SoftError::new(Stage::Target, message).thread(exception.thread));
        snapshot.threads.push(Thread::new(exception.thread));
        snapshot.threads.len() - 1
    });
    let (Some(thread), Some(cpu)) = (snapshot.threads.get_mut(index), cpu) else { return };
    let mut cpu = cpu.clone();
    // A CONTEXT has no segment bases; the thread keeps its own for as long as it lives.
    if let (CpuState::Amd64(state), Some(CpuState::Amd64(now))) = (&mut cpu, &thread.cpu)
        && state.gs_base == 0
    {
        state.gs_base = now.gs_base;
    }
    thread.cpu = Some(cpu);
}

/// Chooses the blamed thread and puts it first: the one `asked` for, or the oldest.
pub fn blame(snapshot: &mut Snapshot, asked: Option<u32>, errors: &mut Vec<SoftError>) {
    let has = |id: u32| snapshot.threads.iter().any(|thread| thread.id == id);
    if let Some(id) = asked.filter(|id| !has(*id)) {
        let message = "the process has no such thread (any more); another one is blamed";
        errors.push(SoftError::new(Stage::Target, message).thread(id));
    }
    let oldest = snapshot.threads.first().map(|thread| thread.id);
    let blamed = asked.filter(|id| has(*id)).or(oldest);
    snapshot.blamed_thread = blamed;
    if let Some(index) = snapshot.threads.iter().position(|thread| Some(thread.id) == blamed)
        && let Some(front) = snapshot.threads.get_mut(..=index)
    {
        front.rotate_right(1);
    }
}
