//! Packages of the Python registry, in versions whose hashes the checkout names.

use super::apt;
use crate::{
    places,
    shell::{self, Doing, Outcome},
};
use std::{fs, path::Path, process::Command};

/// The Python that everything is fetched and run with.
const PYTHON: &str = "python3";
/// Wheels for Macs, for both of their processors.
const MAC: [&str; 4] = ["--platform", "macosx_11_0_universal2", "--python-version", "3.11"];

/// Makes `folder` hold the packages of the requirements file, for programs that this machine runs.
pub fn install(requirements: &Path, folder: &Path) -> Outcome {
    once(requirements, folder, |made| shell::run(pip("install", requirements)?.arg("--target").arg(made)))
}

/// Makes `folder` hold what the wheels for Macs of the requirements file contain.
pub fn unpack_for_macs(requirements: &Path, folder: &Path) -> Outcome {
    once(requirements, folder, |made| {
        let wheels = made.join("wheels");
        shell::run(pip("download", requirements)?.args(MAC).arg("--dest").arg(&wheels))?;
        for wheel in fs::read_dir(&wheels).doing(wheels.display())? {
            let wheel = wheel.doing(wheels.display())?.path();
            shell::run(shell::program(PYTHON).args(["-m", "zipfile", "-e"]).arg(wheel).arg(made))?;
        }
        fs::remove_dir_all(&wheels).doing(wheels.display())
    })
}

/// Fills `folder` by `fill`, unless it was filled from the same requirements before.
fn once(requirements: &Path, folder: &Path, fill: impl Fn(&Path) -> Outcome) -> Outcome {
    let wanted = fs::read_to_string(requirements).doing(requirements.display())?;
    let stamp = folder.join("filled-from");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).doing(folder.display())?;
    }
    fs::create_dir_all(folder).doing(folder.display())?;
    fill(folder)?;
    fs::write(&stamp, wanted).doing(stamp.display())
}

fn pip(subcommand: &str, requirements: &Path) -> Outcome<Command> {
    let has_pip = || shell::answer(shell::program(PYTHON).args(["-m", "pip", "--version"])).is_some();
    if !has_pip() {
        apt::install(&["python3", "python3-pip"])?;
    }
    let mut command = shell::program(PYTHON);
    command.args([
        "-m",
        "pip",
        subcommand,
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
    ]);
    command.args(["--disable-pip-version-check", "--requirement"]).arg(requirements);
    // pip's warning about root is for packages that go to the system's folders.
    command.env("PIP_ROOT_USER_ACTION", "ignore").current_dir(places::root());
    Ok(command)
}
