//! `core-handler`: the program that the kernel starts for every crash (`kernel.core_pattern`, core(5)), and what sets it
//! up.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod capture;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod crash;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod expand;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod head;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod install;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod kernel_log;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod listen;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod pass_on;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod pattern;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod place;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod serve;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod socket;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod state;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod status;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod sysctl;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod watch;

use crate::args::CoreHandlerArguments;
use crate::exit::Failure;

/// Runs the command.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub fn run(arguments: &CoreHandlerArguments) -> Result<(), Failure> {
    let sysctl = sysctl::Sysctl::of_this_machine();
    let done = match (&arguments.directory, arguments) {
        (_, CoreHandlerArguments { status: true, json, .. }) => return status::run(&sysctl, *json),
        (_, CoreHandlerArguments { uninstall: true, .. }) => install::uninstall(&sysctl),
        (_, CoreHandlerArguments { listen: Some(path), .. }) => return listen::run(path, arguments),
        (_, CoreHandlerArguments { serve: Some(path), .. }) => return serve(&sysctl, path, arguments),
        (None, CoreHandlerArguments { install: true, socket: Some(path), pass_to, .. }) => {
            install::install_socket(&sysctl, path, pass_to.as_deref())
        }
        (Some(directory), CoreHandlerArguments { install: true, pass_to, .. }) => {
            install::install(&sysctl, directory, pass_to.as_deref())
        }
        (Some(directory), CoreHandlerArguments { pass_to, deadline, crash, .. }) => {
            return handle(&sysctl, directory, pass_to.as_deref(), *deadline, crash);
        }
        (None, _) => Err("a directory for the dumps is missing; see core-handler --help".into()),
    };
    let told = done.map_err(Failure::Failed)?;
    crate::text::complain("", &told);
    Ok(())
}

/// Takes care of one crash.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn handle(
    sysctl: &sysctl::Sysctl,
    directory: &std::path::Path,
    pass_to: Option<&str>,
    deadline: std::time::Duration,
    words: &[std::ffi::OsString],
) -> Result<(), Failure> {
    if words.is_empty() {
        let sentence = "the kernel starts this for a crash, with words that tell of it; set that up with \
                        core-handler --install DIR";
        return Err(Failure::Failed(sentence.into()));
    }
    // Standard error leads nowhere when the kernel starts a program.
    let crash = crash::Crash::parse(words).inspect_err(|reason| kernel_log::tell(reason));
    let crash = crash.map_err(Failure::Failed)?;
    let watch = watch::Watch::start(deadline, crash.title());
    let pass_to = pass_to.map(str::to_owned).or_else(|| state::State::pass_to(&state::file_in(directory)));
    let failures = capture::run(sysctl, directory, &crash, pass_to.as_deref());
    watch.done();
    let sentence = failures.join("; ");
    if sentence.is_empty() {
        return Ok(());
    }
    kernel_log::tell(&format!("{}: {sentence}", crash.title()));
    Err(Failure::Failed(sentence))
}

/// Takes care of one crash that has come through the socket at `path`.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn serve(
    sysctl: &sysctl::Sysctl,
    path: &std::path::Path,
    arguments: &CoreHandlerArguments,
) -> Result<(), Failure> {
    let CoreHandlerArguments { dumps, pass_to, deadline, .. } = arguments;
    let Some(directory) = dumps else {
        return Err(Failure::Failed("a directory for the dumps is missing; give -d".into()));
    };
    let failures = serve::run(sysctl, path, directory, pass_to.as_deref(), *deadline);
    for failure in &failures {
        kernel_log::tell(failure);
    }
    if failures.is_empty() { Ok(()) } else { Err(Failure::Failed(failures.join("; "))) }
}

/// Runs the command.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub fn run(_: &CoreHandlerArguments) -> Result<(), Failure> {
    let sentence = "this build has no core handler; use one for Linux on x86-64";
    Err(Failure::Failed(sentence.into()))
}
