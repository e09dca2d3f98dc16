//! Gives the shared library the name by which programs will look for it, and keeps it where it is loaded.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if matches!(system.as_str(), "linux" | "android") {
        // The number changes when programs have to be built anew.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libminidump_writer.so.0");
        // Signal handlers and threads lead into it: dlclose(3) must not take it away.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    if system == "macos" {
        // Where programs find it is told when they are linked or started.
        println!("cargo::rustc-cdylib-link-arg=-install_name");
        println!("cargo::rustc-cdylib-link-arg=@rpath/libminidump_writer.0.dylib");
    }
}
