//! Files that others built on Macs, for both processors each: from wheels of the Python registry, which
//! `cargo xtask apple` fetches in the versions of `programs/wheels.requirements.txt`.

use crate::Arch;
use crate::image::Image;
use crate::tools::Tools;

/// An executable.
pub const NINJA: &str = "ninja-1.13.2.data/scripts/ninja";
/// A library.
pub const ZMQ: &str = "zmq/.dylibs/libzmq.5.dylib";
/// A library.
pub const SODIUM: &str = "zmq/.dylibs/libsodium.26.dylib";
/// A bundle.
pub const BUNDLE: &str = "zmq/backend/cython/_zmq.cpython-311-darwin.so";

/// One of these files, with its header at `base`.
#[track_caller]
pub fn image(tools: &Tools, file: &str, arch: Arch, base: u64) -> Image {
    let name = file.rsplit('/').next().unwrap_or(file);
    let file = tools.fetched.join("wheels").join(file);
    Image::load(&file, arch, &format!("/Applications/Wheels.app/Contents/{name}"), base)
}
