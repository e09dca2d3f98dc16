//! Programs from the crates registry, installed below the target folder.

use crate::{
    places,
    shell::{self, Outcome},
};
use std::{path::PathBuf, process::Command};

/// A program that `cargo install` can build.
pub struct Tool {
    /// Its crate.
    pub package: &'static str,
    /// Its program.
    pub program: &'static str,
    /// The wanted version without its last number, for example `0.27`.
    pub version: &'static str,
    /// The features it is built with, where they are not its defaults.
    pub features: Option<&'static str>,
}

impl Tool {
    /// Installs the tool unless it is there, and returns the path of its program.
    pub fn ensure(&self) -> Outcome<PathBuf> {
        let program = places::tools().join("bin").join(self.program);
        let said = shell::answer(Command::new(&program).arg("--version"));
        if said.is_some_and(|said| is_version(&said, self.version)) {
            return Ok(program);
        }
        self.install()?;
        Ok(program)
    }

    fn install(&self) -> Outcome {
        let mut command = shell::cargo();
        command
            .args(["install", "--locked", "--force", self.package, "--version"])
            .arg(format!("^{}", self.version));
        if let Some(features) = self.features {
            command.args(["--no-default-features", "--features", features]);
        }
        command.arg("--root").arg(places::tools());
        command.arg("--target-dir").arg(places::tools().join("build"));
        // The release settings of these packages are made for distribution; a tool that runs a few times should
        // rather be built quickly.
        command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_LTO", "off");
        command.env("CARGO_PROFILE_RELEASE_DEBUG", "0").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        // What these tasks ask of our own code is not asked of others'.
        command.env_remove("RUSTFLAGS");
        shell::run(&mut command)
    }
}

/// Is this the output of `PROGRAM --version` for some `VERSION.x`?
fn is_version(said: &str, version: &str) -> bool {
    said.split_whitespace()
        .nth(1)
        .and_then(|word| word.strip_prefix(version))
        .is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn any_patch_of_the_wanted_version_is_accepted() {
        assert!(is_version("minidump-stackwalk 0.27.0\n", "0.27"));
        assert!(is_version("cargo-deny 0.20.12", "0.20"));
    }

    #[test]
    fn other_versions_and_other_output_are_not_accepted() {
        assert!(!is_version("minidump-stackwalk 0.26.1", "0.27"));
        assert!(!is_version("minidump-stackwalk 0.270.0", "0.27"));
        assert!(!is_version("minidump-stackwalk", "0.27"));
        assert!(!is_version("", "0.27"));
    }
}
