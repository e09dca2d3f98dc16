//! Where `cargo xtask ci apple` put things.

use apple_emulator::{Arch, MachO};
use std::path::PathBuf;

/// Both processors.
pub const ARCHS: [Arch; 2] = [Arch::Arm64, Arch::Amd64];

fn variable(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    value.unwrap_or_else(|| panic!("{name} is not set: `cargo xtask ci apple` starts this")).into()
}

/// The library for `arch`, as the linker made it.
pub fn library_file(arch: Arch) -> PathBuf {
    variable(match arch {
        Arch::Arm64 => "APPLE_LIBRARY_AARCH64",
        Arch::Amd64 => "APPLE_LIBRARY_X86_64",
    })
}

/// The hand-over behind functions in C (`tests/apple-hand-over`).
pub fn hand_over_library(arch: Arch) -> MachO {
    let file = variable(match arch {
        Arch::Arm64 => "APPLE_HAND_OVER_AARCH64",
        Arch::Amd64 => "APPLE_HAND_OVER_X86_64",
    });
    MachO::parse(&std::fs::read(file).unwrap(), arch).unwrap()
}

pub fn library(arch: Arch) -> MachO {
    MachO::parse(&std::fs::read(library_file(arch)).unwrap(), arch).unwrap()
}

/// The emulator's library.
pub fn emulator() -> PathBuf {
    variable("UNICORN_LIBRARY")
}
