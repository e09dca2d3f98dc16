//! Mach tasks of all kinds.

use super::{PAIRS, apple_thread, arm64_registers, image, intel, intel_registers, mac_system, shared_cache};
use crate::any_snapshot::any_snapshot;
use minidump_formats::minidump::Arm64Context;
use minidump_snapshot::{AppleFacts, Cpu, CpuState, CrashInfo, ModuleId, OperatingSystem, Snapshot, Thread};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

pub fn any_pair() -> impl Strategy<Value = Arm64Context> {
    select(PAIRS.to_vec())
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![any::<String>().prop_map(String::into_bytes), vec(any::<u8>(), 0..40)]
}

fn any_crash_info() -> impl Strategy<Value = CrashInfo> {
    let texts = [any_text(), any_text(), any_text(), any_text(), any_text()];
    (texts, any::<[u64; 3]>(), option::of(any::<u64>())).prop_map(
        |(
            [module_path, message, signature, backtrace, message2],
            [version, thread, dialog_mode],
            abort_cause,
        )| {
            CrashInfo {
                module_path,
                version,
                thread,
                dialog_mode,
                abort_cause,
                message,
                signature,
                backtrace,
                message2,
            }
        },
    )
}

fn any_facts() -> impl Strategy<Value = AppleFacts> {
    let numbers =
        (any::<[u32; 2]>(), option::of(any::<u8>()), option::of(any::<u64>()), option::of(any::<u32>()));
    let texts =
        (any::<String>(), option::of(any_text()), option::of(any::<String>()), option::of(any::<String>()));
    (numbers, texts, vec(any_crash_info(), 0..24), any::<bool>()).prop_map(
        |((types, address_bits, dyld_all_image_infos, dyld_version), texts, crash_info, has_cache)| {
            let (os_build, dyld_error, boot_args, bundle_version) = texts;
            AppleFacts {
                cpu_type: types[0],
                cpu_subtype: types[1],
                os_build,
                address_bits,
                dyld_all_image_infos,
                dyld_version,
                dyld_error,
                shared_cache: has_cache.then(shared_cache),
                images: vec![],
                crash_info,
                boot_args,
                bundle_version,
            }
        },
    )
}

/// Replaces the registers by those of a Mach task on the processor.
fn on_apple(thread: &mut Thread, is_arm64: bool) {
    let seed = u64::from(thread.id);
    thread.apple = (seed % 3 != 0).then(|| Box::new(apple_thread(thread.id)));
    if let Some(apple) = &mut thread.apple {
        apple.dispatch_queue.clone_from(&thread.name);
    }
    if thread.cpu.is_none() {
        return;
    }
    thread.cpu = Some(if is_arm64 {
        let mut state = arm64_registers(seed);
        state.vector.take_if(|_| seed % 2 == 0);
        CpuState::Arm64(Box::new(state))
    } else {
        CpuState::Amd64(Box::new(intel_registers(seed)))
    });
}

/// A Mach task on either processor.
pub fn any_mac_snapshot() -> impl Strategy<Value = Snapshot> {
    let os = select(vec![OperatingSystem::MacOs, OperatingSystem::Ios]);
    (any_snapshot(), any::<bool>(), os, option::of(any_facts()), vec(any::<[u8; 16]>(), 10)).prop_map(
        |(mut snapshot, is_arm64, os, facts, uuids)| {
            snapshot.linux = None;
            snapshot.system = mac_system(if is_arm64 { Cpu::Arm64 } else { intel() });
            snapshot.system.os = os;
            for thread in &mut snapshot.threads {
                on_apple(thread, is_arm64);
            }
            for (module, uuid) in snapshot.modules.iter_mut().zip(uuids) {
                module.id = module.id.is_some().then_some(ModuleId::Uuid(uuid));
            }
            let bases = snapshot.modules.iter().map(|module| module.base);
            let images = bases.zip([2, 6, 7, 8].into_iter().cycle()).map(|(base, kind)| image(base, kind));
            snapshot.apple = facts.map(|facts| AppleFacts { images: images.collect(), ..facts });
            snapshot
        },
    )
}
