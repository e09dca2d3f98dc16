use super::state::is_gone;
use crate::{MachTask, ThreadPort};
use minidump_snapshot::{SoftError, Stage};

/// Most threads that are captured; the kernel's own limit for a process is a fifth of it.
const MOST_THREADS: usize = 1 << 16;

/// The threads of `task`, in the kernel's order, each once.
pub fn list(task: &dyn MachTask, errors: &mut Vec<SoftError>) -> Vec<ThreadPort> {
    let mut ports = vec![ThreadPort(0); 256];
    // More may start between two calls, and a call may fail for want of the kernel's memory.
    for round in 0..8 {
        let count = match task.threads(&mut ports) {
            Ok(count) => count,
            Err(error) if round < 2 && !is_gone(error) => continue,
            Err(error) => {
                let message = format!("the threads cannot be listed: {error}");
                errors.push(SoftError::new(Stage::ThreadFacts, message).os_error(Some(error.0)));
                return Vec::new();
            }
        };
        if count <= ports.len() || ports.len() == MOST_THREADS {
            if count > ports.len() {
                let message = format!("of {count} threads only {MOST_THREADS} were captured");
                errors.push(SoftError::new(Stage::ThreadFacts, message));
            }
            ports.truncate(count);
            break;
        }
        ports.resize(count.saturating_add(64).min(MOST_THREADS), ThreadPort(0));
    }
    let mut seen = std::collections::BTreeSet::new();
    ports.retain(|port| port.0 != 0 && seen.insert(*port));
    ports
}
