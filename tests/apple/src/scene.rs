//! Processes whose threads are in known places.

use crate::emulator::{self, Emulated, Start, Stop, Stopped};
use crate::image::Image;
use crate::programs::Built;
use crate::tools::Tools;
use crate::{Arch, lldb};
use minidump_mach::sim::{SimArch, SimTask, SimThread};
use minidump_snapshot::cpu::{Amd64State, Arm64State, Arm64Vector};
use minidump_snapshot::{CpuState, FaultState, SharedCache};

/// What a thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The main thread: stores through a bad pointer in a leaf function of a library.
    Crash,
    /// Waits in a system call.
    Wait,
    /// Waits above frames of the executable, a bundle and the executable.
    Plugged,
    /// Has called `abort`.
    Abort,
    /// Has called a null pointer.
    CallNull,
    /// Has called a pointer to data.
    CallData,
    /// Has used up its stack.
    Overflow,
    /// Has used up a stack of the size that threads have on macOS unless they ask for more.
    DeepOverflow,
    /// Waits below so many frames of one function.
    Descend(u64),
}

/// Id of the first thread; each further one has the next.
pub const FIRST_ID: u64 = 0x1_001a_2b3c;

/// Address of the executable. It is linked at 4 GiB.
pub const EXECUTABLE: u64 = 0x1_00f4_c000;

/// Where the system's libraries are, and where stacks begin.
fn addresses(arch: Arch) -> (u64, u64) {
    match arch {
        Arch::Arm64 => (0x1_8d53_c000, 0x1_6f00_0000),
        Arch::X86_64 => (0x7ff8_0053_c000, 0x7000_0f00_0000),
    }
}

/// Bytes of a stack; the page below it is a guard.
pub const STACK: u64 = 0x8000;
/// Bytes of the stack of [`Role::DeepOverflow`].
pub const DEEP_STACK: u64 = 0x8_0000;
/// From one stack to the next.
const STACK_DISTANCE: u64 = 0x10_0000;

/// A process.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Its processor.
    pub arch: Arch,
    /// The executable is the last, as since macOS 14.
    pub images: Vec<Image>,
    /// Its threads.
    pub threads: Vec<Stopped>,
    /// Names by thread.
    pub names: Vec<String>,
    /// What the process wrote to its data: address and bytes.
    pub written: Vec<(u64, Vec<u8>)>,
}

impl Scene {
    /// The process of `programs` with one thread for each role.
    #[track_caller]
    pub fn of(tools: &Tools, built: Built, arch: Arch, roles: &[Role]) -> Self {
        let images = images(built, arch);
        let starts: Vec<Start> =
            roles.iter().enumerate().map(|(index, role)| start(&images, arch, index, *role)).collect();
        let Emulated { threads, written } = emulator::run(tools, arch, &images, &starts);
        let names = (0..threads.len()).map(|index| NAMES[index % NAMES.len()].to_owned());
        Self { arch, images, names: names.collect(), threads, written }
    }

    /// The image with this name.
    #[track_caller]
    pub fn image(&self, name: &str) -> &Image {
        self.images.iter().find(|image| image.name() == name).unwrap()
    }

    /// Module and function at `address`, from the symbol tables.
    pub fn place(&self, address: u64) -> Option<String> {
        let holds = |image: &&Image| {
            image
                .segments
                .iter()
                .any(|segment| segment.address <= address && address < segment.address + segment.size)
        };
        let image = self.images.iter().find(holds)?;
        let below = image.symbols.iter().filter(|(_, start)| **start <= address);
        let (name, _) = below.max_by_key(|(_, start)| **start)?;
        Some(format!("{}`{}", image.name(), name.strip_prefix('_').unwrap_or(name)))
    }

    /// Frames as text: `module`function file:line` as the reader shows it, and `(module`function)` where it knows
    /// only the address.
    pub fn shown(&self, frames: &[lldb::Frame]) -> Vec<String> {
        let shown = frames.iter().map(|frame| match (&frame.module, &frame.function, &frame.line) {
            (Some(module), Some(function), Some(line)) => format!("{module}`{function} {line}"),
            (Some(module), Some(function), None) => format!("{module}`{function}"),
            (Some(module), None, _) => module.clone(),
            // A return address may lie behind the function when its call is the last instruction.
            (None, ..) => {
                self.place(frame.pc).map_or_else(|| format!("{:#x}", frame.pc), |place| format!("({place})"))
            }
        });
        shown.collect()
    }

    /// The process as the kernel shows it to our capture.
    #[track_caller]
    pub fn task(&self) -> SimTask {
        let arch = match self.arch {
            Arch::Arm64 => SimArch::Arm64,
            Arch::X86_64 => SimArch::Amd64,
        };
        let mut builder = SimTask::builder(arch).shared_cache(shared_cache(self.arch), SIZE_OF_CACHE);
        for image in &self.images {
            builder = match image.path.as_str() {
                "/usr/lib/dyld" => builder.dyld(&image.bytes, &image.path, image.base),
                path => builder.module_bytes(&image.bytes, path, image.base),
            };
        }
        for (address, bytes) in &self.written {
            builder = builder.bytes(*address, bytes);
        }
        for (index, thread) in self.threads.iter().enumerate() {
            builder =
                builder.stack(thread.bottom, thread.stack.len() as u64).bytes(thread.bottom, &thread.stack);
            let described = SimThread::new(FIRST_ID + index as u64).named(&self.names[index]);
            builder = builder.thread(described.with_cpu(&self.cpu(index)).with_fault(self.fault(index)));
        }
        builder.build().unwrap()
    }

    /// Signs all return addresses of arm64 threads, as functions of arm64e do: in the link registers and in the frame
    /// records.
    pub fn sign_return_addresses(&mut self) {
        for index in 0..self.threads.len() {
            for record in self.frame_records(index) {
                let address = self.stack_word(index, record + 8);
                if address != 0 {
                    self.write_stack(index, record + 8, &(address | SIGNATURE).to_le_bytes());
                }
            }
            let link = self.threads[index].registers.get_mut("lr").unwrap();
            *link |= if *link == 0 { 0 } else { SIGNATURE };
        }
    }

    /// Addresses of the frame records of the arm64 thread at `index`, innermost first.
    pub fn frame_records(&self, index: usize) -> Vec<u64> {
        let first = self.threads[index].registers["fp"];
        let next = |record: &u64| Some(self.stack_word(index, *record)).filter(|next| *next > *record);
        std::iter::successors(Some(first), next).collect()
    }

    fn stack_word(&self, index: usize, address: u64) -> u64 {
        let thread = &self.threads[index];
        let at = usize::try_from(address - thread.bottom).unwrap();
        u64::from_le_bytes(thread.stack[at..at + 8].try_into().unwrap())
    }

    /// Writes into the stack of the thread at `index`.
    pub fn write_stack(&mut self, index: usize, address: u64, bytes: &[u8]) {
        let thread = &mut self.threads[index];
        let at = usize::try_from(address - thread.bottom).unwrap();
        thread.stack[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Registers of the thread at `index`.
    pub fn cpu(&self, index: usize) -> CpuState {
        let thread = &self.threads[index];
        match self.arch {
            Arch::Arm64 => CpuState::Arm64(Box::new(arm64(thread))),
            Arch::X86_64 => CpuState::Amd64(Box::new(amd64(thread))),
        }
    }

    /// What the processor recorded of the last exception of the thread at `index`.
    pub fn fault(&self, index: usize) -> FaultState {
        fault(self.arch, self.threads[index].stop)
    }
}

/// Bits of a pointer's signature: above the 47 bits of an address, but for the bit that tells kernel from user.
const SIGNATURE: u64 = 0x2b7c_8000_0000_0000;

/// Bytes of the shared cache of system libraries.
const SIZE_OF_CACHE: u64 = 0x4000_0000;

fn shared_cache(arch: Arch) -> SharedCache {
    let (base, slide) = match arch {
        Arch::Arm64 => (0x1_8000_0000, 0),
        Arch::X86_64 => (0x7ff8_0000_0000, 0),
    };
    SharedCache { uuid: *b"the shared cache", base, slide }
}

/// Names of threads; characters beyond 16 bits among them.
const NAMES: [&str; 4] = ["", "worker", "пример 🦀", "com.example.queue"];

fn images(built: Built, arch: Arch) -> Vec<Image> {
    let (system, _) = addresses(arch);
    let load = |name: &str, folder: &str, base| {
        Image::load(&built.path(name), arch, &format!("{folder}/{name}"), base)
    };
    vec![
        load("libcrash.dylib", "/Applications/Crasher.app/Contents/Frameworks", 0x1_0123_4000),
        load("plugin.bundle", "/Applications/Crasher.app/Contents/PlugIns", 0x1_0130_0000),
        load("dyld", "/usr/lib", system),
        load("libsystem_c.dylib", "/usr/lib/system", system + 0x20_0000),
        load("libsystem_kernel.dylib", "/usr/lib/system", system + 0x34_0000),
        load("libsystem_pthread.dylib", "/usr/lib/system", system + 0x3a_0000),
        load("crasher", "/Applications/Crasher.app/Contents/MacOS", EXECUTABLE),
    ]
}

fn start(images: &[Image], arch: Arch, index: usize, role: Role) -> Start {
    let address = |symbol: &str| {
        let name = format!("_{symbol}");
        images.iter().find_map(|image| image.symbols.get(&name)).copied().unwrap()
    };
    let bottom = addresses(arch).1 + index as u64 * STACK_DISTANCE;
    let (routine, argument) = match role {
        Role::Crash => ("main", 0),
        Role::Wait => ("app_idle", 0),
        Role::Plugged => ("app_plugged", address("plugin_run")),
        Role::Abort => ("app_check", 0),
        Role::CallNull => ("app_call", 0),
        Role::CallData => ("app_call", address("annotations")),
        Role::Overflow | Role::DeepOverflow => ("app_overflow", 0),
        Role::Descend(levels) => ("app_descend", levels),
    };
    let entry = address(if role == Role::Crash { "start" } else { "thread_start" });
    let size = if role == Role::DeepOverflow { DEEP_STACK } else { STACK };
    Start { entry, arguments: vec![address(routine), argument], bottom, top: bottom + size }
}

fn arm64(thread: &Stopped) -> Arm64State {
    let register = |name: &str| thread.registers[name];
    let mut state = Arm64State {
        fp: register("fp"),
        lr: register("lr"),
        sp: register("sp"),
        pc: register("pc"),
        cpsr: u32::try_from(register("cpsr")).unwrap(),
        ..Arm64State::default()
    };
    for (number, x) in state.x.iter_mut().enumerate() {
        *x = register(&format!("x{number}"));
    }
    state.vector = Some(Box::new(vector()));
    state
}

/// Vector registers, none like another: the emulated code uses none.
fn vector() -> Arm64Vector {
    let mut vector = Arm64Vector { fpsr: 0x0800_0011, fpcr: 0x0300_0000, ..Arm64Vector::default() };
    for (number, byte) in (0_u8..251).cycle().zip(vector.v.iter_mut().flatten()) {
        *byte = number;
    }
    vector
}

/// An FXSAVE image (Intel SDM volume 1, table 10-2): control and status, MXCSR, XMM registers, none like another.
fn fxsave() -> Vec<u8> {
    let mut image = vec![0; 512];
    image[..2].copy_from_slice(&0x037f_u16.to_le_bytes());
    image[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
    for (number, byte) in (0_u8..251).cycle().zip(&mut image[160..160 + 16 * 16]) {
        *byte = number;
    }
    image
}

fn amd64(thread: &Stopped) -> Amd64State {
    let register = |name: &str| thread.registers[name];
    Amd64State {
        rax: register("rax"),
        rbx: register("rbx"),
        rcx: register("rcx"),
        rdx: register("rdx"),
        rdi: register("rdi"),
        rsi: register("rsi"),
        rbp: register("rbp"),
        rsp: register("rsp"),
        r8: register("r8"),
        r9: register("r9"),
        r10: register("r10"),
        r11: register("r11"),
        r12: register("r12"),
        r13: register("r13"),
        r14: register("r14"),
        r15: register("r15"),
        rip: register("rip"),
        rflags: register("rflags"),
        cs: 0x2b,
        orig_rax: u64::MAX,
        xsave: fxsave(),
        ..Amd64State::default()
    }
}

/// ESR, or trap number and error code, as the processor would have set them.
fn fault(arch: Arch, stop: Stop) -> FaultState {
    let (arm_syndrome, trap, error, address) = match stop {
        // EC 0x15, immediate 0x80; trap 133 is how xnu numbers system calls of 64-bit processes.
        Stop::SystemCall => (0x5600_0080, 133, 0, 0),
        // EC 0x24: data abort, translation fault of level 2.
        Stop::Read(address) => (0x9200_0006, 14, 4, address),
        Stop::Write(address) => (0x9200_0046, 14, 6, address),
        // EC 0x20: instruction abort.
        Stop::Fetch(address) => (0x8200_0006, 14, 0x14, address),
    };
    match arch {
        Arch::Arm64 => FaultState { address, syndrome: arm_syndrome, ..FaultState::default() },
        Arch::X86_64 => FaultState { address, syndrome: error, number: trap, cpu: 1 },
    }
}
