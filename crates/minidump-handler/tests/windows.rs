//! The client and the handler of Windows in processes of their own: programs that crash in chosen ways, and what their
//! dumps hold.

#[cfg(all(windows, target_arch = "x86_64"))]
#[path = "windows/mod.rs"]
mod windows;

fn main() {
    #[cfg(all(windows, target_arch = "x86_64"))]
    windows::main();
}
