//! T3. Files that others built on Macs for both processors: LLDB picks the right half of each and names their functions.
//!
//! The states are made by hand at places where these files have calls: the innermost thread has just entered a function; each
//! frame record above holds an address behind a call instruction of the function that is expected there.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use apple_tests::dumps;
use apple_tests::image::Image;
use apple_tests::lldb::{self, Question};
use apple_tests::scene::FIRST_ID;
use apple_tests::strict::Core;
use apple_tests::tools::Tools;
use apple_tests::wheels::{BUNDLE, NINJA, SODIUM, ZMQ, image};
use apple_tests::{Arch, tools};
use minidump_mach::sim::{SimArch, SimTask, SimThread};
use minidump_mach::{CaptureOptions, CrashedThread, MachCrash, MachException};
use minidump_snapshot::cpu::{Amd64State, Arm64State};
use minidump_snapshot::{CpuState, FaultState};

const STACK: u64 = 0x1_6f00_0000;
/// Where the stack pointer is.
const TOP: u64 = STACK + 0x3000;
/// From one frame record to the next: more than any of the functions uses.
const FRAME: u64 = 0x100;
const FAULT: u64 = 0xdead_0000;

/// The images, the executable last.
struct Images {
    sodium: Image,
    zmq: Image,
    bundle: Image,
    ninja: Image,
}

impl Images {
    fn load(tools: &Tools, arch: Arch) -> Self {
        Self {
            sodium: image(tools, SODIUM, arch, 0x1_0500_0000),
            zmq: image(tools, ZMQ, arch, 0x1_0400_0000),
            bundle: image(tools, BUNDLE, arch, 0x1_0300_0000),
            ninja: image(tools, NINJA, arch, 0x1_02ac_0000),
        }
    }

    /// Return addresses, innermost first: where each of these functions goes on after a call.
    fn returns(&self, arch: Arch) -> [u64; 6] {
        let offsets = match arch {
            Arch::Arm64 => [44, 40, 24, 40, 0x3794],
            Arch::X86_64 => [34, 32, 24, 35, 0x1493],
        };
        [
            self.sodium.symbol("crypto_secretbox_easy") + offsets[0],
            self.zmq.symbol("zmq_msg_send") + offsets[1],
            self.zmq.symbol("zmq_proxy") + offsets[2],
            self.bundle.symbol("mutex_allocate") + offsets[3],
            // The executable tells no names of functions.
            self.ninja.base + offsets[4],
            0,
        ]
    }

    fn cpu(&self, arch: Arch) -> CpuState {
        let pc = self.sodium.symbol("sodium_memcmp");
        match arch {
            Arch::Arm64 => {
                let [lr, ..] = self.returns(arch);
                CpuState::Arm64(Box::new(Arm64State {
                    pc,
                    lr,
                    sp: TOP,
                    fp: TOP + FRAME,
                    ..Arm64State::default()
                }))
            }
            Arch::X86_64 => {
                let state = Amd64State {
                    rip: pc,
                    rsp: TOP,
                    rbp: TOP + FRAME,
                    rflags: 0x246,
                    ..Amd64State::default()
                };
                CpuState::Amd64(Box::new(state))
            }
        }
    }

    fn task(&self, arch: Arch) -> SimTask {
        let (sim, fault) = match arch {
            Arch::Arm64 => (
                SimArch::Arm64,
                FaultState { address: FAULT, syndrome: 0x9200_0006, ..FaultState::default() },
            ),
            Arch::X86_64 => (SimArch::Amd64, FaultState { address: FAULT, syndrome: 4, number: 14, cpu: 0 }),
        };
        let mut builder = SimTask::builder(sim);
        for image in [&self.bundle, &self.zmq, &self.sodium, &self.ninja] {
            builder = builder.module_bytes(&image.bytes, &image.path, image.base);
        }
        let returns = self.returns(arch);
        let thread = SimThread::new(FIRST_ID).with_cpu(&self.cpu(arch)).with_fault(fault);
        let builder = builder.stack(STACK, 0x4000).frames(TOP + FRAME, FRAME, &returns[1..]).thread(thread);
        builder.word(TOP, returns[0]).build().unwrap()
    }
}

#[test]
fn functions_of_universal_files_are_named_on_both_processors() {
    let Some(tools) = tools::find("functions_of_universal_files_are_named_on_both_processors") else {
        return;
    };
    for arch in Arch::ALL {
        let images = Images::load(tools, arch);
        let exception = MachException { kind: dumps::BAD_ACCESS, codes: [1, FAULT] };
        let crash =
            MachCrash { thread: CrashedThread::Id(FIRST_ID), exception: Some(exception), states: Vec::new() };
        let dump = dumps::core_of(&images.task(arch), Some(&crash), &CaptureOptions::default());
        let core = Core::parse(&dump.bytes).unwrap();
        assert_eq!(core.images[0].address, images.ninja.base, "a bundle is not taken for the executable");
        let files = [&images.ninja, &images.bundle, &images.zmq, &images.sodium];
        let answer = lldb::ask_one(tools, Question::with_images(&dump.path, arch, &files));
        let frames: Vec<(u64, String, Option<String>)> = answer.threads[0]
            .frames
            .iter()
            .map(|frame| (frame.pc, frame.module.clone().unwrap_or_default(), frame.function.clone()))
            .collect();
        let returns = images.returns(arch);
        let pcs = [&[images.sodium.symbol("sodium_memcmp")][..], &returns[..5]].concat();
        let names = [
            ("libsodium.26.dylib", Some("sodium_memcmp")),
            ("libsodium.26.dylib", Some("crypto_secretbox_easy")),
            ("libzmq.5.dylib", Some("zmq_msg_send")),
            ("libzmq.5.dylib", Some("zmq_proxy")),
            ("_zmq.cpython-311-darwin.so", Some("mutex_allocate")),
            ("ninja", None),
        ];
        let expected = pcs.iter().zip(names);
        let expected =
            expected.map(|(pc, (module, function))| (*pc, module.to_owned(), function.map(str::to_owned)));
        assert_eq!(frames, expected.collect::<Vec<_>>(), "{arch:?}");
        for image in files {
            let loaded = answer.images.iter().find(|loaded| loaded.uuid == image.uuid_text());
            assert_eq!(loaded.map(|loaded| loaded.address), Some(image.base), "{arch:?} {}", image.path);
        }
        let reason = (arch == Arch::Arm64).then_some("ESR_EC_DABORT_EL0 (fault address: 0xdead0000)");
        assert_eq!(answer.threads[0].stop_reason.as_deref(), reason);
    }
}
