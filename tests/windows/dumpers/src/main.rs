//! Dumps processes of Windows through the library, as an application does that embeds it.
//!
//! `windows-dumper repeat PID COUNT` dumps a process so often and tells after each tenth what it holds itself; `dump WAY PID FILE`
//! dumps one by our own capture or by dbghelp; `turns PID FILE` does so by the way that each line of standard input names.
#![expect(clippy::panic, reason = "whatever goes wrong shall end it loudly")]

#[cfg(not(windows))]
fn main() {
    panic!("it knows only Windows");
}

#[cfg(windows)]
mod held;
#[cfg(windows)]
mod repeat;
#[cfg(windows)]
mod ways;

#[cfg(windows)]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["repeat", pid, count] => repeat::repeat(number(pid), number(count)),
        ["dump", way, pid, file] => ways::dump(way, number(pid), file),
        ["turns", pid, file] => ways::turns(number(pid), file),
        other => panic!("unknown words {other:?}"),
    }
}

#[cfg(windows)]
fn number(word: &str) -> i32 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}
