//! Files of all kinds.

use crate::places::ARCHS;
use crate::run::{Request, assert_same};
use crate::tasks::{self, THREADS, id, task};
use apple_emulator::Arch;
use minidump_mach::{CrashedThread, MachCrash, RawState};
use minidump_snapshot::MemoryMode;

#[test]
fn cores_and_minidumps_are_the_same_to_the_byte() {
    for arch in ARCHS {
        for plain in [Request::CORE, Request::MINIDUMP] {
            let (snapshot, file) = assert_same(arch, &|| task(arch), &plain, "stacks");
            assert_eq!(snapshot.threads.len() as u64, THREADS);
            assert!(snapshot.soft_errors.is_empty(), "{:?}", snapshot.soft_errors);
            let facts = snapshot.apple.as_ref().unwrap();
            let messages: Vec<_> = facts.crash_info.iter().map(|info| info.message.clone()).collect();
            assert_eq!(messages, [b"assertion failed: this is a test".to_vec()]);
            let has = |text: &[u8]| file.windows(text.len()).any(|window| window == text);
            assert!(has(b"/usr/local/lib/libminidump_writer.0.dylib") || !plain.core);
            let indirect = Request { memory: MemoryMode::Indirect, ..plain.clone() };
            let (_, more) = assert_same(arch, &|| task(arch), &indirect, "indirect");
            assert!(more.len() > file.len());
        }
    }
}

#[test]
fn dumps_of_all_memory_are_the_same_to_the_byte() {
    for arch in ARCHS {
        let full = Request { memory: MemoryMode::Full, ..Request::CORE };
        let (_, file) = assert_same(arch, &|| task(arch), &full, "full");
        assert!(file.len() > 0x10_0000 + 0x8_0000 * usize::try_from(THREADS).unwrap());
    }
}

/// Words of a state that was recorded when thread 1 crashed.
fn recorded(arch: Arch) -> MachCrash {
    let (flavors, sizes, sp) = match arch {
        Arch::Arm64 => ([6, 7, 17], [68, 4, 132], 62),
        Arch::Amd64 => ([4, 6, 5], [42, 4, 131], 14),
    };
    let mut states: Vec<RawState> = flavors
        .into_iter()
        .zip(sizes)
        .map(|(flavor, size)| RawState { flavor, words: (0..size).map(|word| word * 3 + 1).collect() })
        .collect();
    // Within the stack of thread 1, and an instruction of the program.
    let pc = if arch == Arch::Arm64 { 64 } else { 32 };
    for (at, value) in [(sp, 0x1_7010_0000_u64 + 0x7_0000), (pc, tasks::PROGRAM + 0x2020)] {
        states[0].words[at] = u32::try_from(value & 0xffff_ffff).unwrap();
        states[0].words[at + 1] = u32::try_from(value >> 32).unwrap();
    }
    MachCrash { thread: CrashedThread::Id(id(1)), exception: None, states }
}

#[test]
fn the_registers_of_a_crash_context_are_those_of_its_thread_which_comes_first() {
    for arch in ARCHS {
        for plain in [Request::CORE, Request::MINIDUMP] {
            let request = Request { crash: Some(recorded(arch)), ..plain };
            let (snapshot, _) = assert_same(arch, &|| task(arch), &request, "context");
            let first = &snapshot.threads[0];
            assert_eq!(u64::from(first.id), id(1));
            assert_eq!(first.stack_pointer(), Some(0x1_7017_0000));
            assert_eq!(
                first.apple.as_ref().unwrap().fault.unwrap().address,
                if arch == Arch::Arm64 { 0x4_0000_0001 } else { 0xa_0000_0007 }
            );
        }
    }
}
