//! `LC_THREAD`: which threads have one, and what is in it.

use super::architecture::Registers;
use super::{amd64, arm64};
use minidump_snapshot::{CpuState, Snapshot, SoftError, Stage, Thread};

/// The threads that have a command, as indices into the snapshot, in the order of the file: the one that crashed, or else
/// the blamed one, comes first. Threads of which no register is known have none: LLDB could show nothing of them.
pub(crate) struct ThreadOrder(Vec<usize>);

impl ThreadOrder {
    pub(crate) fn new(
        snapshot: &Snapshot,
        registers: Option<Registers>,
        soft_errors: &mut Vec<SoftError>,
    ) -> Self {
        let crashed = snapshot.exception.as_ref().map(|exception| exception.thread);
        let wanted = crashed.or(snapshot.blamed_thread);
        let first = snapshot.threads.iter().position(|thread| Some(thread.id) == wanted);
        let others = (0..snapshot.threads.len()).filter(|index| Some(*index) != first);
        let mut order: Vec<usize> = first.into_iter().chain(others).collect();
        order.retain(|index| {
            let Some(thread) = snapshot.threads.get(*index) else { return false };
            let has_command = command(thread, registers).is_some();
            if !has_command && thread.cpu.is_some() {
                let message = "the registers of the thread are not those of the core's processor";
                soft_errors.push(SoftError::new(Stage::Format, message).thread(thread.id));
            }
            has_command
        });
        Self(order)
    }

    pub(crate) fn threads<'a>(&self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Thread> {
        self.0.iter().filter_map(|index| snapshot.threads.get(*index))
    }

    /// Number of commands.
    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// For each thread of the snapshot, which command is its.
    pub(crate) fn places(&self, threads: usize) -> Vec<Option<usize>> {
        let mut places = vec![None; threads];
        for (place, index) in self.0.iter().enumerate() {
            if let Some(slot) = places.get_mut(*index) {
                *slot = Some(place);
            }
        }
        places
    }
}

/// The command of a thread, if there are registers to put into it.
pub(crate) fn command(thread: &Thread, registers: Option<Registers>) -> Option<Vec<u8>> {
    let fault = thread.apple.as_ref().and_then(|facts| facts.fault);
    let sets = match (registers?, &thread.cpu, thread.fallback_sp_ip) {
        (Registers::Arm64, Some(CpuState::Arm64(state)), _) => arm64::sets(state, fault),
        (Registers::Amd64, Some(CpuState::Amd64(state)), _) => amd64::sets(state, fault),
        (_, Some(_), _) | (_, None, None) => return None,
        (Registers::Arm64, None, Some((sp, ip))) => arm64::pointers_only(sp, ip, fault),
        (Registers::Amd64, None, Some((sp, ip))) => amd64::pointers_only(sp, ip, fault),
    };
    Some(sets.finish())
}
