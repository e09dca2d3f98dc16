//! The client and the handler of Windows in processes of their own: programs that crash in chosen ways, and what their
//! dumps hold.

#[cfg(windows)]
#[path = "windows/mod.rs"]
mod windows;

fn main() {
    #[cfg(windows)]
    windows::main();
}
