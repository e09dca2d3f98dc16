//! Snapshots and plans of all kinds.

use crate::build::{empty, module, region, registers, thread};
use minidump_snapshot::{
    DsoDebug, Exception, Handle, HandleKind, LinkMap, LinuxFacts, MemoryPlan, Module, ModuleId, PlannedRange,
    Protection, Purpose, Region, RegionKind, Snapshot, SoftError, Stage, Thread, ThreadStack,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// The streams that every file has, unless they are left out on purpose.
pub const ALWAYS: [u32; 11] = [3, 4, 5, 6, 7, 15, 17, 24, 0x4d7a_0004, 0x4d44_0001, 0x4d44_0002];

fn any_thread() -> impl Strategy<Value = Thread> {
    let xsave = prop_oneof![Just(0_usize), 1_usize..600, Just(832), Just(2696)];
    let name = option::of(vec(any::<u8>(), 0..20));
    (any::<u64>(), any::<bool>(), xsave, name, option::of(any::<(u64, u64)>())).prop_map(
        |(seed, has_cpu, xsave, name, pointers)| {
            let mut state = registers(seed);
            state.rip = seed;
            state.xsave.resize(xsave, 0x5a);
            let mut thread = if has_cpu { thread(0, state) } else { Thread::new(0) };
            thread.name = name;
            thread.fallback_sp_ip = pointers.filter(|_| !has_cpu);
            thread
        },
    )
}

fn any_threads() -> impl Strategy<Value = Vec<Thread>> {
    btree_map(any::<u32>(), any_thread(), 0..12).prop_map(|threads| {
        let with_id = |(id, thread)| Thread { id, ..thread };
        threads.into_iter().map(with_id).collect()
    })
}

/// Modules that do not overlap: each ends before the next one begins.
fn any_modules() -> impl Strategy<Value = Vec<Module>> {
    let facts = (vec(any::<u8>(), 0..40), option::of(vec(any::<u8>(), 0..40)));
    let slots = btree_set(1_u64..1 << 32, 0..10);
    (slots, vec(facts, 10), option::of(0_usize..10)).prop_map(|(slots, facts, main)| {
        let module = |(slot, (path, id)): (u64, (Vec<u8>, Option<Vec<u8>>))| {
            module(slot << 12, 1 + (slot & 0xfff), &path, id.map(ModuleId::BuildId))
        };
        let mut modules: Vec<Module> = slots.into_iter().zip(facts).map(module).collect();
        if let Some(main) = main.and_then(|index| modules.get_mut(index)) {
            main.is_main = true;
        }
        modules
    })
}

fn any_regions() -> impl Strategy<Value = Vec<Region>> {
    let facts = (0_u8..8, select(vec![RegionKind::Anonymous, RegionKind::File, RegionKind::Device]));
    (btree_set(1_u64..1 << 32, 0..10), vec(facts, 10)).prop_map(|(slots, facts)| {
        let region = |(slot, (protection, kind)): (u64, (u8, RegionKind))| {
            region(slot << 12, (slot << 12) + 0x1000, Protection::from_bits_truncate(protection), kind)
        };
        slots.into_iter().zip(facts).map(region).collect()
    })
}

fn any_purpose() -> impl Strategy<Value = Purpose> {
    select(vec![
        Purpose::BlamedStack,
        Purpose::Crash,
        Purpose::Code,
        Purpose::Stack,
        Purpose::Application,
        Purpose::Loader,
        Purpose::Indirect,
        Purpose::Full,
    ])
}

pub fn any_plan() -> impl Strategy<Value = MemoryPlan> {
    let start = prop_oneof![0_u64..0x8000, Just(u64::MAX - 0x3000), 0x7fff_0000_0000_u64..0x7fff_0000_4000];
    let range = (start, 1_u64..0x2000, any_purpose());
    let stack = (any::<u32>(), any::<Index>());
    (vec(range, 0..10), vec(stack, 0..5)).prop_map(|(ranges, stacks)| {
        let ranges: Vec<_> =
            ranges.into_iter().map(|(start, size, purpose)| PlannedRange { start, size, purpose }).collect();
        let stack = |(thread, index): (u32, Index)| {
            let range = ranges.get(index.index(ranges.len().max(1)))?;
            Some(ThreadStack { thread, start: range.start, size: range.size })
        };
        let stacks = stacks.into_iter().filter_map(stack).collect();
        MemoryPlan::from_ranges(ranges, stacks)
    })
}

/// A crash of the thread number `index` of whatever threads there are, or of one that is gone.
fn any_exception() -> impl Strategy<Value = (Exception, Option<Index>)> {
    let facts = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u64>(), vec(any::<u64>(), 0..18));
    (facts, option::of(any::<Index>())).prop_map(|((thread, code, flags, address, parameters), index)| {
        (Exception { thread, code, flags, address, parameters }, index)
    })
}

fn any_handle() -> impl Strategy<Value = Handle> {
    let kind = select(vec![HandleKind::File, HandleKind::Socket, HandleKind::Anonymous, HandleKind::Unknown]);
    (any::<u64>(), kind, vec(any::<u8>(), 0..30), option::of(any::<u32>()), option::of(any::<u32>()))
        .prop_map(|(value, kind, target, mode, open_flags)| Handle { value, kind, target, mode, open_flags })
}

fn any_dso_debug() -> impl Strategy<Value = DsoDebug> {
    let link_map = (any::<(u64, u64, u64, u64)>(), vec(any::<u8>(), 0..20)).prop_map(
        |((address, base, name_address, dynamic), name)| LinkMap {
            address,
            base,
            name_address,
            name,
            dynamic,
        },
    );
    (any::<[u64; 5]>(), any::<u32>(), vec(any::<u8>(), 0..64), vec(link_map, 0..4)).prop_map(
        |([address, map, brk, ldbase, dynamic], version, dynamic_contents, link_maps)| DsoDebug {
            address,
            version,
            map,
            brk,
            ldbase,
            dynamic,
            dynamic_contents,
            link_maps,
        },
    )
}

fn any_linux() -> impl Strategy<Value = LinuxFacts> {
    let text = || option::of(vec(any::<u8>(), 0..60));
    let texts = [text(), text(), text(), text(), text(), text(), text(), text()];
    (texts, option::of(any_dso_debug())).prop_map(|(texts, dso_debug)| {
        let [cpu_info, status, lsb_release, cmdline, environ, auxv, maps, limits] = texts;
        LinuxFacts {
            cpu_info,
            status,
            lsb_release,
            cmdline,
            environ,
            environ_address: None,
            auxv,
            maps,
            limits,
            dso_debug,
        }
    })
}

fn any_soft_error() -> impl Strategy<Value = SoftError> {
    (any::<String>(), any::<u32>(), option::of(any::<i32>())).prop_map(|(message, thread, os_error)| {
        SoftError::new(Stage::Memory, message).thread(thread).os_error(os_error)
    })
}

pub fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let lists = (any_threads(), any_modules(), any_regions(), vec(any_handle(), 0..6));
    let texts = (vec(any::<(String, String)>(), 0..6), option::of(any_linux()), vec(any_soft_error(), 0..4));
    let blame = (option::of(any::<Index>()), option::of(any_exception()));
    (lists, texts, blame, any::<u64>()).prop_map(
        |((threads, modules, regions, handles), texts, (blamed, crash), captured_at_us)| {
            let mut snapshot = empty();
            let id_of = |index: Index| threads.get(index.index(threads.len().max(1))).map(|thread| thread.id);
            snapshot.blamed_thread = blamed.and_then(id_of);
            snapshot.exception = crash.map(|(exception, index)| {
                let thread = index.and_then(id_of).unwrap_or(exception.thread);
                Exception { thread, ..exception }
            });
            (snapshot.annotations, snapshot.linux, snapshot.soft_errors) = texts;
            (snapshot.threads, snapshot.modules) = (threads, modules);
            (snapshot.regions, snapshot.handles) = (regions, handles);
            snapshot.captured_at_us = captured_at_us;
            snapshot
        },
    )
}

/// A snapshot whose file has every stream there is.
pub fn rich() -> Snapshot {
    let mut snapshot = empty();
    snapshot.threads = vec![thread(1, registers(1)), thread(2, registers(2))];
    snapshot.regions = vec![region(0x1000, 0x2000, Protection::READ, RegionKind::Anonymous)];
    snapshot.annotations = vec![("key".into(), "value".into())];
    let target = b"/x".to_vec();
    snapshot.handles =
        vec![Handle { value: 3, kind: HandleKind::File, target, mode: None, open_flags: None }];
    let text = |name: &str| Some(name.as_bytes().to_vec());
    let dso_debug = DsoDebug {
        address: 0x10,
        version: 1,
        map: 0,
        brk: 0,
        ldbase: 0,
        dynamic: 0,
        dynamic_contents: vec![],
        link_maps: vec![],
    };
    snapshot.linux = Some(LinuxFacts {
        cpu_info: text("cpuinfo"),
        status: text("status"),
        lsb_release: text("lsb"),
        cmdline: text("cmdline"),
        environ: text("environ"),
        environ_address: None,
        auxv: text("auxv"),
        maps: text("maps"),
        limits: text("limits"),
        dso_debug: Some(dso_debug),
    });
    snapshot
}
