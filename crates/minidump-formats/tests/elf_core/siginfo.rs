//! `NT_SIGINFO`, byte for byte.

use crate::build::{empty, encode};
use crate::parse::{word32, word64};
use minidump_snapshot::Exception;

const SIGINFO: u32 = 0x5349_4749;

fn siginfo(code: u32, flags: i32, address: u64, parameters: &[u64]) -> Vec<u8> {
    let mut snapshot = empty();
    let parameters = parameters.to_vec();
    snapshot.exception =
        Some(Exception { thread: 1, code, flags: flags.cast_unsigned(), address, parameters });
    let bytes = encode(&snapshot).only(SIGINFO);
    assert_eq!(bytes.len(), 128);
    let flags = flags.cast_unsigned();
    assert_eq!([0, 4, 8, 12].map(|at| word32(&bytes, at)), [code, 0, flags, 0]);
    bytes
}

#[test]
fn a_fault_has_its_address() {
    let bytes = siginfo(11, 1, 0xdead_0000, &[1, 0xdead_0000, 14, 6, 0xdead_0000]);
    assert_eq!(word64(&bytes, 16), 0xdead_0000);
    assert_eq!(bytes[24..], [0; 104]);
}

#[test]
fn without_parameters_the_address_of_the_exception_counts() {
    assert_eq!(word64(&siginfo(8, 1, 0x1234, &[]), 16), 0x1234);
}

#[test]
fn bounds_keys_and_broken_memory_are_where_the_kernel_puts_them() {
    let bytes = siginfo(11, 3, 0, &[3, 0x10, 5, 0, 0, 0x1000, 0x2000]);
    assert_eq!([16, 24, 32, 40].map(|at| word64(&bytes, at)), [0x10, 0, 0x1000, 0x2000]);
    let bytes = siginfo(11, 4, 0, &[4, 0x10, 14, 0, 0, 7]);
    assert_eq!([16, 24, 32].map(|at| word64(&bytes, at)), [0x10, 0, 7]);
    let bytes = siginfo(7, 5, 0, &[5, 0x10, 18, 0, 0, 12]);
    assert_eq!([16, 24].map(|at| word64(&bytes, at)), [0x10, 12]);
}

#[test]
fn a_sent_signal_names_its_sender() {
    let bytes = siginfo(6, -6, 0x40_0000, &[0xffff_ffff_ffff_fffa, 4242, 1000]);
    assert_eq!((word32(&bytes, 16), word32(&bytes, 20), word64(&bytes, 24)), (4242, 1000, 0));
    let bytes = siginfo(10, -1, 0, &[u64::MAX, 4242, 1000, 0x5555]);
    assert_eq!((word32(&bytes, 16), word32(&bytes, 20), word64(&bytes, 24)), (4242, 1000, 0x5555));
}

#[test]
fn a_refused_system_call_is_told() {
    let bytes = siginfo(31, 1, 0x4000, &[1, 0x4002, 59, 0xc000_003e]);
    assert_eq!((word64(&bytes, 16), word32(&bytes, 24), word32(&bytes, 28)), (0x4002, 59, 0xc000_003e));
}

#[test]
fn other_signals_have_no_more_than_their_numbers() {
    assert_eq!(siginfo(15, 0x80, 0x4000, &[0x80])[16..], [0; 112]);
}

#[test]
fn without_a_crash_there_is_none() {
    assert!(encode(&empty()).all(SIGINFO).is_empty());
}
