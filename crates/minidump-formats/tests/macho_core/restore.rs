//! The snapshot that a core's record makes, with what the rest of the core tells. What stands in that rest, other tests check.

use crate::parse::Core;
use minidump_formats::apple_record::{CommandThread, ListedImage};
use minidump_snapshot::cpu::{Amd64State, Arm64State};
use minidump_snapshot::{CpuState, FaultState, Module, ModuleId, Snapshot, Thread};

/// What is read of `core`, which is that of `snapshot`.
pub fn restored(snapshot: &Snapshot, core: &Core) -> Snapshot {
    let first = snapshot.exception.as_ref().map(|exception| exception.thread).or(snapshot.blamed_thread);
    let (mut order, others): (Vec<&Thread>, Vec<&Thread>) =
        snapshot.threads.iter().partition(|thread| Some(thread.id) == first);
    order.extend(others);
    let is_arm64 = core.cpu_type == 0x0100_000c;
    let commands: Vec<CommandThread> =
        order.into_iter().filter_map(|thread| command(thread, is_arm64)).collect();
    assert_eq!(commands.len(), core.threads.len());
    let listed = snapshot.modules.iter().map(|module| listed(snapshot, module)).collect();
    core.own().into_snapshot(&commands, listed).unwrap()
}

fn command(thread: &Thread, is_arm64: bool) -> Option<CommandThread> {
    let cpu = match (&thread.cpu, thread.fallback_sp_ip) {
        (Some(CpuState::Amd64(state)), _) if !is_arm64 => {
            let mut told = Amd64State { ss: 0, ds: 0, es: 0, fs_base: 0, gs_base: 0, ..*state.clone() };
            (told.orig_rax, told.debug) = (0, None);
            told.xsave = state.fxsave().map(<[u8]>::to_vec).unwrap_or_default();
            CpuState::Amd64(Box::new(told))
        }
        (Some(cpu @ CpuState::Arm64(_)), _) if is_arm64 => cpu.clone(),
        (None, Some((sp, pc))) if is_arm64 => {
            CpuState::Arm64(Box::new(Arm64State { sp, pc, ..Arm64State::default() }))
        }
        (None, Some((rsp, rip))) => {
            CpuState::Amd64(Box::new(Amd64State { rsp, rip, ..Amd64State::default() }))
        }
        _ => return None,
    };
    let fault = thread.apple.as_ref().and_then(|apple| apple.fault);
    // What the set of AArch64 has a field for.
    let fault = fault.map(|fault| FaultState { cpu: 0, ..fault });
    Some(CommandThread { cpu: Some(cpu), fault })
}

fn listed(snapshot: &Snapshot, module: &Module) -> ListedImage {
    let image = snapshot.apple.as_ref().and_then(|facts| facts.image_at(module.base));
    let segments = image.map(|image| image.segments.as_slice()).unwrap_or_default();
    let uuid = match module.id {
        Some(ModuleId::Uuid(uuid)) => uuid,
        _ => [0; 16],
    };
    ListedImage {
        path: module.path.split(|byte| *byte == 0).next().unwrap().to_vec(),
        uuid,
        base: module.base,
        segments: segments.iter().map(|segment| (segment.name, segment.address)).collect(),
        page_zero: None,
        executing: image.is_some_and(|image| image.executing),
    }
}
