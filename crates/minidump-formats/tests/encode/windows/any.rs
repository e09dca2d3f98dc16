//! Processes of Windows of all kinds.

use super::build::{amd64, arm64_thread, windows_system, x86, x86_thread};
use crate::any_snapshot::any_snapshot;
use crate::build::registers;
use minidump_snapshot::{
    Cpu, CpuState, EnvironmentBlock, ModuleId, PeImage, Snapshot, Thread, TimeZone, UnloadedModule,
    WindowsFacts, WindowsHandle, WindowsProcessor, WindowsRegion, WindowsThread,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn any_image() -> impl Strategy<Value = PeImage> {
    (any::<[u32; 2]>(), option::of(any::<[u32; 13]>()), vec(any::<u8>(), 0..60)).prop_map(
        |([time_stamp, check_sum], version_info, code_view)| PeImage {
            base: 0,
            time_stamp,
            check_sum,
            version_info,
            code_view,
        },
    )
}

fn any_unloaded() -> impl Strategy<Value = UnloadedModule> {
    (any::<[u64; 2]>(), any::<[u32; 2]>(), any::<String>()).prop_map(
        |([base, size], [check_sum, time_stamp], name)| UnloadedModule {
            base,
            size,
            check_sum,
            time_stamp,
            name,
        },
    )
}

fn any_region() -> impl Strategy<Value = WindowsRegion> {
    (any::<[u64; 3]>(), any::<[u32; 4]>()).prop_map(
        |([base, allocation_base, size], [allocation_protection, state, protection, kind])| WindowsRegion {
            base,
            allocation_base,
            allocation_protection,
            size,
            state,
            protection,
            kind,
        },
    )
}

fn any_handle() -> impl Strategy<Value = WindowsHandle> {
    let type_name = select(vec!["File", "Event", ""]);
    (any::<u64>(), type_name, option::of(any::<String>()), any::<[u32; 4]>()).prop_map(
        |(value, type_name, name, [attributes, granted_access, handle_count, pointer_count])| WindowsHandle {
            value,
            type_name: type_name.into(),
            name,
            attributes,
            granted_access,
            handle_count,
            pointer_count,
        },
    )
}

fn any_zone() -> impl Strategy<Value = TimeZone> {
    (any::<u32>(), any::<[i32; 3]>(), any::<[String; 2]>(), any::<[[u16; 8]; 2]>()).prop_map(
        |(id, [bias, standard_bias, daylight_bias], [standard_name, daylight_name], [standard, daylight])| {
            TimeZone {
                id,
                bias,
                standard_name,
                standard_date: standard,
                standard_bias,
                daylight_name,
                daylight_date: daylight,
                daylight_bias,
            }
        },
    )
}

fn any_facts() -> impl Strategy<Value = WindowsFacts> {
    let numbers = (any::<(u8, u16)>(), option::of(any::<(u16, u16, [u64; 2])>()), any::<[Option<u64>; 2]>());
    let misc = (any::<String>(), any::<[Option<u32>; 2]>(), option::of(any_zone()));
    let lists = (
        vec(any_image(), 10),
        vec(any_unloaded(), 0..4),
        vec(any_region(), 0..6),
        vec(any_handle(), 0..6),
        vec(any::<(u64, u64)>(), 0..4),
    );
    (numbers, misc, lists, vec(any::<u16>(), 0..40)).prop_map(|(numbers, misc, lists, text)| {
        let ((product_type, suite_mask), told, [peb, native_peb]) = numbers;
        let (service_pack, [integrity_level, execute_flags], time_zone) = misc;
        let (images, unloaded_modules, regions, handles, structures) = lists;
        let processor = |(level, revision, features)| WindowsProcessor { level, revision, features };
        WindowsFacts {
            product_type,
            suite_mask,
            service_pack,
            processor: told.map(processor),
            peb,
            native_peb,
            integrity_level,
            execute_flags,
            time_zone,
            threads: vec![],
            images,
            unloaded_modules,
            regions,
            handles,
            structures,
            environment: Some(EnvironmentBlock { address: 0, text }),
            native_environment: None,
        }
    })
}

/// The registers of a thread on the processor.
fn state(cpu: &Cpu, id: u32) -> Option<CpuState> {
    match cpu {
        Cpu::X86 { .. } => {
            let mut state = x86_thread(id).cpu;
            if let Some(CpuState::X86(state)) = &mut state {
                state.fsave.truncate(if id.is_multiple_of(5) { 107 } else { 108 });
                state.xsave.truncate([0, 511, 512, 832][id as usize % 4]);
            }
            state
        }
        Cpu::Arm64 => arm64_thread(id).cpu,
        _ => Some(CpuState::Amd64(Box::new(registers(u64::from(id))))),
    }
}

fn on_windows(cpu: &Cpu, thread: &mut Thread) {
    if thread.cpu.is_some() {
        // Now and then those of another processor.
        let cpu = if thread.id.is_multiple_of(7) { &Cpu::Arm64 } else { cpu };
        thread.cpu = state(cpu, thread.id);
    }
}

/// A process of Windows on any processor.
pub fn any_windows_snapshot() -> impl Strategy<Value = Snapshot> {
    let cpu = select(vec![x86(), amd64(), Cpu::Arm64]);
    let ids = vec((any::<[u8; 16]>(), any::<u32>()), 10);
    (any_snapshot(), cpu, option::of(any_facts()), ids).prop_map(|(mut snapshot, cpu, facts, ids)| {
        snapshot.linux = None;
        for thread in &mut snapshot.threads {
            on_windows(&cpu, thread);
        }
        for (module, (guid, age)) in snapshot.modules.iter_mut().zip(ids) {
            module.id = module.id.is_some().then_some(ModuleId::Pdb { guid, age });
        }
        snapshot.windows = facts.map(|mut facts| {
            let bases = snapshot.modules.iter().map(|module| module.base);
            let images = bases.zip(std::mem::take(&mut facts.images));
            facts.images = images.map(|(base, image)| PeImage { base, ..image }).collect();
            let thread = |thread: &Thread| WindowsThread {
                id: thread.id,
                suspend_count: thread.id,
                priority_class: 0x20,
                start_address: Some(thread.id.into()).filter(|start| start % 2 == 0),
                native: state(&amd64(), thread.id).filter(|_| thread.id.is_multiple_of(3)),
            };
            facts.threads = snapshot.threads.iter().map(thread).collect();
            facts
        });
        snapshot.system = windows_system(cpu);
        snapshot
    })
}
