//! The dump directory that is used when none is named.

use crate::exit::Failure;
use std::path::PathBuf;

/// `$XDG_STATE_HOME/minidump-writer`, or `~/.local/state/minidump-writer`.
#[cfg(not(windows))]
pub fn usual() -> Result<PathBuf, Failure> {
    let state = of("XDG_STATE_HOME").or_else(|| Some(of("HOME")?.join(".local/state")));
    let sentence = "neither XDG_STATE_HOME nor HOME names a directory for dumps; choose one with -d DIR";
    Ok(state.ok_or_else(|| Failure::Failed(sentence.into()))?.join("minidump-writer"))
}

/// `%LOCALAPPDATA%\minidump-writer`: dumps of this machine do not follow the user to others.
#[cfg(windows)]
pub fn usual() -> Result<PathBuf, Failure> {
    let sentence = "LOCALAPPDATA names no directory for dumps; choose one with -d DIR";
    Ok(of("LOCALAPPDATA").ok_or_else(|| Failure::Failed(sentence.into()))?.join("minidump-writer"))
}

fn of(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
