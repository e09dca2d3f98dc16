//! `floor PID`: the least that any dumper on ptrace has to do while its target stands still, and nothing else.
//!
//! It seizes and interrupts all threads, waits for them, takes their registers, reads the memory map once, copies the
//! live part of every stack, and lets all go. It writes no file and looks at no module. What it prints is one line of
//! JSON with the time that each phase took; `cargo xtask bench` has it run between the dumpers, on the same target.
//!
//! It is an instrument for processes that the bench starts, not a dumper: it waits for a thread for as long as that
//! takes, and gives up at the first thing that fails. The end of the program lets the target run on.

fn main() -> std::process::ExitCode {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    match floor::run(std::env::args().nth(1).as_deref()) {
        Ok(line) => {
            println!("{line}");
            return std::process::ExitCode::SUCCESS;
        }
        Err(error) => eprintln!("floor: {error}"),
    }
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    eprintln!("floor: there is no such measure but on Linux on x86-64");
    std::process::ExitCode::FAILURE
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod buffers;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod floor;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod maps;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod sys;
