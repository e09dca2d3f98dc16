//! The published minidumper and crash-handler, with this repository's writer in place of the published one: what crashes
//! in which way on which thread must come out as that.

mod report;
mod stack;

use minidump::system_info::{Cpu, Os};
use report::{Report, crash};

/// The function that overflows the stack.
const OVERFLOW: &str = "::crashes::overflow";

/// What every report of a crash has in common; `function` is where it happened, `None` for a function of the C library.
fn check(report: &Report, place: &str, reason: &str, function: Option<&str>) {
    assert_eq!(report.copy, report.bytes, "minidumper is given what is in the file");
    let threads = report.threads();
    assert_eq!(threads[0], report.tid, "the crashed thread comes first");
    assert!(threads.len() >= if place == "main" { 2 } else { 3 }, "{threads:?}");
    assert_eq!(report.exception().thread_id, report.tid);
    assert_eq!(report.exception().get_crash_reason(Os::Linux, Cpu::X86_64).to_string(), reason);

    let [ip, sp, bp] = report.registers();
    assert_eq!(report.first_thread_registers(), [ip, sp, bp], "a thread has the registers of its crash");
    assert!(report.memory_at(ip - 128, 256).is_some(), "the code around {ip:#x} is there");
    // A stack pointer that ran out of the stack lies on the page below it.
    let stack = if function == Some(OVERFLOW) { (sp | 0xfff) + 1 } else { sp };
    assert!(report.memory_at(stack, 256).is_some(), "the stack at {stack:#x} is there");

    let frames = stack::unwind(report, [ip, sp, bp]);
    let found = |name: &str| frames.iter().position(|frame| frame.function.ends_with(name));
    match function {
        Some(function) => assert_eq!(found(function), Some(0), "{frames:#?}"),
        None => assert!(frames[0].module.contains("libc.so"), "{frames:#?}"),
    }
    let committed = found("::crashes::commit").unwrap_or_else(|| panic!("{frames:#?}"));
    assert!(committed > 0, "{frames:#?}");
    let root = found(&format!("::client::on_{place}")).unwrap_or_else(|| panic!("{frames:#?}"));
    assert!(root > committed, "{frames:#?}");
}

/// The parameters of the exception, as `minidump_writer::crash::from_crash_context` documents them.
fn parameters(report: &Report) -> Vec<u64> {
    let record = &report.exception().raw.exception_record;
    record.exception_information[..record.number_parameters as usize].to_vec()
}

fn address(report: &Report) -> u64 {
    report.exception().get_crash_address(Os::Linux, Cpu::X86_64)
}

fn abort(place: &str) {
    let report = crash("abort", place, Some(libc::SIGABRT));
    check(&report, place, "SIGABRT / SI_TKILL", None);
    let frames = stack::unwind(&report, report.registers());
    assert!(frames.iter().any(|frame| frame.function.ends_with("::crashes::abort")), "{frames:#?}");
    assert_eq!(address(&report), report.registers()[0]);
    // SAFETY: getuid(2) has no preconditions.
    let uid = unsafe { libc::getuid() };
    assert_eq!(parameters(&report), [(-6_i64).cast_unsigned(), u64::from(report.pid), u64::from(uid)]);
}

fn segv(place: &str) {
    let report = crash("segv", place, Some(libc::SIGSEGV));
    check(&report, place, "SIGSEGV / SEGV_MAPERR", Some("::crashes::segv"));
    assert_eq!(address(&report), 0x18);
    // A page fault (14) of user mode, by a write to a page that is not there (error code 6).
    assert_eq!(parameters(&report), [1, 0x18, 14, 6, 0x18]);
}

fn bus(place: &str) {
    let report = crash("bus", place, Some(libc::SIGBUS));
    check(&report, place, "SIGBUS / BUS_ADRERR", Some("::crashes::bus"));
    let region = report.region_at(address(&report)).expect("the address is a mapped one");
    assert!(region.contains("/memfd:empty"), "{region}");
    assert_eq!(parameters(&report)[..3], [2, address(&report), 14]);
}

fn fpe(place: &str) {
    let report = crash("fpe", place, Some(libc::SIGFPE));
    check(&report, place, "SIGFPE / FPE_INTDIV", Some("::crashes::fpe"));
    assert_eq!(address(&report), report.registers()[0]);
    assert_eq!(parameters(&report)[..4], [1, report.registers()[0], 0, 0]);
}

fn illegal(place: &str) {
    let report = crash("illegal", place, Some(libc::SIGILL));
    check(&report, place, "SIGILL / ILL_ILLOPN", Some("::crashes::illegal"));
    let ip = report.registers()[0];
    assert_eq!(address(&report), ip);
    assert_eq!(report.memory_at(ip, 2), Some(vec![0x0f, 0x0b]), "ud2");
    assert_eq!(parameters(&report)[..3], [2, ip, 6]);
}

fn trap(place: &str) {
    let report = crash("trap", place, None);
    check(&report, place, "SIGTRAP / SI_KERNEL", Some("::crashes::trap"));
    let ip = report.registers()[0];
    assert_eq!(address(&report), ip);
    assert_eq!(report.memory_at(ip - 1, 1), Some(vec![0xcc]), "int3");
    assert_eq!(parameters(&report)[..3], [0x80, 0, 3]);
}

fn stack_overflow(place: &str, reason: &str) {
    let report = crash("stack-overflow", place, Some(libc::SIGSEGV));
    check(&report, place, reason, Some(OVERFLOW));
    let sp = report.registers()[1];
    let distance = sp.abs_diff(address(&report));
    assert!(distance < 64 << 10, "{:#x} is far from the stack pointer {sp:#x}", address(&report));
    let frames = stack::unwind(&report, report.registers());
    let depth = frames.iter().filter(|frame| frame.function.ends_with(OVERFLOW)).count();
    assert!(depth > 100, "the whole recursion is there: {depth}");
}

fn simulated(place: &str) {
    let report = crash("simulated", place, None);
    assert_eq!(report.copy, report.bytes);
    assert_eq!(report.threads()[0], report.tid);
    let exception = report.exception();
    assert_eq!(exception.thread_id, report.tid);
    assert_eq!(exception.get_crash_reason(Os::Linux, Cpu::X86_64).to_string(), "SIGABRT");
    assert_eq!(parameters(&report), [0, u64::from(report.pid), 0]);
    let frames = stack::unwind(&report, report.registers());
    let found = |name: &str| frames.iter().any(|frame| frame.function.ends_with(name));
    assert!(found("::crashes::simulate") && found(&format!("::client::on_{place}")), "{frames:#?}");
}

#[test]
fn abort_on_the_main_thread() {
    abort("main");
}

#[test]
fn abort_on_another_thread() {
    abort("worker");
}

#[test]
fn segv_on_the_main_thread() {
    segv("main");
}

#[test]
fn segv_on_another_thread() {
    segv("worker");
}

#[test]
fn bus_error_on_the_main_thread() {
    bus("main");
}

#[test]
fn bus_error_on_another_thread() {
    bus("worker");
}

#[test]
fn division_by_zero_on_the_main_thread() {
    fpe("main");
}

#[test]
fn division_by_zero_on_another_thread() {
    fpe("worker");
}

#[test]
fn illegal_instruction_on_the_main_thread() {
    illegal("main");
}

#[test]
fn illegal_instruction_on_another_thread() {
    illegal("worker");
}

#[test]
fn breakpoint_on_the_main_thread() {
    trap("main");
}

#[test]
fn breakpoint_on_another_thread() {
    trap("worker");
}

/// The main stack ends where it may not grow; nothing is mapped there.
#[test]
fn stack_overflow_on_the_main_thread() {
    stack_overflow("main", "SIGSEGV / SEGV_MAPERR");
}

/// The stack of any other thread ends at a guard page.
#[test]
fn stack_overflow_on_another_thread() {
    stack_overflow("worker", "SIGSEGV / SEGV_ACCERR");
}

#[test]
fn report_without_a_crash_from_the_main_thread() {
    simulated("main");
}

#[test]
fn report_without_a_crash_from_another_thread() {
    simulated("worker");
}
