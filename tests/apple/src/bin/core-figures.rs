//! Sizes of cores, and the times that they take, of simulated processes with forty deep threads:
//! `cargo run --release -p apple-tests --bin core-figures`.
//!
//! Each thread has 300 frames of 16 bytes, frame records alone, with 30 different return addresses; a tenth of the images run. Times are the least
//! and the median of 30 rounds; a simulated kernel answers at once, so they are those of our own code.

use minidump_formats::macho_core::{MachoCoreOptions, layout};
use minidump_mach::sim::{SimArch, SimTask, SimThread, SyntheticImage};
use minidump_mach::{CaptureOptions, PlanKind, capture};
use minidump_snapshot::CpuState;
use minidump_snapshot::cpu::Arm64State;
use std::error::Error;
use std::time::Instant;

const THREADS: u64 = 40;
const FRAMES: u64 = 300;
const ROUNDS: usize = 30;
const PROGRAM: u64 = 0x1_0000_0000;

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{:>8} {:>8} {:>10} {:>22} {:>22}",
        "images", "bytes", "of stacks", "capture, us", "layout and write, us"
    );
    for images in [50, 400, 2000] {
        let task = task(images)?;
        let options = CaptureOptions { plan: PlanKind::Core, ..CaptureOptions::default() };
        let (mut captures, mut writes, mut size, mut stacks) = (Vec::new(), Vec::new(), 0, 0);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let captured = capture(&task, &options, None)?;
            captures.push(start.elapsed().as_micros());
            stacks = captured.plan.stacks().iter().map(|stack| stack.size).sum();
            let start = Instant::now();
            let options = MachoCoreOptions { source_is_complete: true, ..MachoCoreOptions::default() };
            let mut file = Vec::new();
            layout(&captured.snapshot, &captured.plan, &options)?.write(&captured.memory, &mut file)?;
            writes.push(start.elapsed().as_micros());
            size = file.len();
        }
        println!("{images:>8} {size:>8} {stacks:>10} {:>22} {:>22}", figures(captures), figures(writes));
    }
    Ok(())
}

fn figures(mut times: Vec<u128>) -> String {
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    format!("{} / {}", at(0), at(ROUNDS / 2))
}

fn task(images: u64) -> Result<SimTask, Box<dyn Error>> {
    let base = |image: u64| 0x1_2000_0000 + image * 0x10_0000;
    let program =
        SyntheticImage::executable("/Applications/Example.app/Contents/MacOS/Example").uuid([1; 16]);
    let mut builder = SimTask::builder(SimArch::Arm64).image(&program, PROGRAM);
    for image in 0..images {
        let path = format!("/System/Library/Frameworks/Part{image}.framework/Versions/A/Part{image}");
        let mut uuid = [0x5a; 16];
        uuid.iter_mut().zip(image.to_be_bytes()).for_each(|(to, from)| *to = from);
        builder = builder.image(&SyntheticImage::library(&path).uuid(uuid), base(image));
    }
    for thread in 0..THREADS {
        let stack = 0x20_0000_0000 + thread * 0x10_0000;
        let sp = stack + 0x8_0000 - FRAMES * 16 - 64;
        let running = (images / 10).max(1);
        let caller = |frame: u64| base((thread * 7 + frame % 30) % running) + 0x2010 + (frame % 30) * 64;
        let callers: Vec<u64> = (0..FRAMES).map(caller).collect();
        let lr = callers.first().copied().unwrap_or_default();
        let cpu = Arm64State { pc: PROGRAM + 0x2010, sp, fp: sp + 16, lr, ..Arm64State::default() };
        builder = builder
            .stack(stack, 0x8_0000)
            .frames(sp + 16, 16, &callers)
            .thread(SimThread::new(0x1000 + thread).with_cpu(&CpuState::Arm64(Box::new(cpu))));
    }
    Ok(builder.build()?)
}
