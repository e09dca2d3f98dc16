//! Where things are in a checkout.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The root of the checkout.
pub fn root() -> PathBuf {
    // Cargo says at run time where the package lies now; the compiled-in path is that of the last build.
    let package =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map_or_else(|| package.clone(), Path::to_path_buf)
}

/// Cargo's target folder; everything that these tasks keep lies below it.
pub fn target() -> PathBuf {
    let chosen = env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty());
    root().join(chosen.map_or_else(|| PathBuf::from("target"), PathBuf::from))
}

/// Where tools from the registry are installed; their programs are in `bin` below it.
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// The manifest of the driver for the published crate.
pub fn peer_manifest() -> PathBuf {
    root().join("tests/peer/Cargo.toml")
}
