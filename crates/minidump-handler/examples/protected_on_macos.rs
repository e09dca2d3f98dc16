//! `protected_on_macos HANDLER DIR [crash|abort|dump|child]`: a program that a handler of its own protects, for the check of
//! `docs/macos.md`. It dies as it is told to, or has itself dumped and goes on.

#[cfg(target_os = "macos")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use minidump_handler::mach::{Account, Protection};
    use std::process::Command;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [handler, directory, how] = arguments.as_slice() else {
        return Err("usage: protected_on_macos HANDLER DIR crash|abort|dump|child".into());
    };
    let mut command = Command::new(handler);
    command.args(["handler", "--client", "--dir", directory]);
    let account = Account {
        executable: std::env::current_exe()?,
        bundle_version: "1.0".into(),
        annotations: vec![("example".into(), how.clone())],
        ..Account::new(0)
    };
    let mut protection = Protection::start(command, &account)?;
    match how.as_str() {
        "dump" => println!("{}", protection.dump(&account)?.display()),
        "abort" => std::process::abort(),
        // A shell that kills itself: the exception ports are inherited.
        "child" => println!("{}", Command::new("/bin/sh").args(["-c", "kill -SEGV $$"]).status()?),
        _ => crash(),
    }
    Ok(())
}

/// Writes to an address where nothing is mapped.
#[cfg(target_os = "macos")]
fn crash() {
    let nowhere = std::hint::black_box(0x10 as *mut u32);
    // SAFETY: none. It is what this program is for.
    unsafe { nowhere.write_volatile(1) };
}

#[cfg(not(target_os = "macos"))]
fn main() {
    eprintln!("this example is for macOS");
}
