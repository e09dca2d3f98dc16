//! A Debian of another architecture in a folder, from the mirror and with the keys that the system's own packages come with.

use super::apt;
use crate::shell::{self, Doing, Outcome};
use std::{fs, path::Path, process::Command};

/// The release whose packages the tests are made with.
const RELEASE: &str = "bookworm";
/// The keys of Debian's archive, and the package that brings them.
const KEYS: (&str, &str) = ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring");

/// Makes `root` one of 32 bits with these packages.
pub fn i386(root: &Path, packages: &[&str]) -> Outcome {
    apt::install(&["debootstrap", KEYS.1])?;
    // Half of one would be taken for a whole one.
    let unfinished = root.with_extension("unfinished");
    for folder in [root, &unfinished] {
        if folder.exists() {
            fs::remove_dir_all(folder).doing(folder.display())?;
        }
    }
    let mut command = shell::program("debootstrap");
    command.args(["--arch=i386", "--variant=minbase", "--force-check-gpg"]);
    command.arg(format!("--keyring={}", KEYS.0)).arg(format!("--include={}", packages.join(",")));
    shell::run(command.arg(RELEASE).arg(&unfinished).args(mirror()))?;
    fs::rename(&unfinished, root).doing(root.display())
}

/// The mirror that the system's own packages of that release come from. Without one, debootstrap has its own.
fn mirror() -> Option<String> {
    let policy = shell::answer(Command::new("apt-cache").arg("policy")).unwrap_or_default();
    policy.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (address, suite) = (words.next()?, words.next()?);
        (suite == format!("{RELEASE}/main")).then(|| address.to_owned())
    })
}
