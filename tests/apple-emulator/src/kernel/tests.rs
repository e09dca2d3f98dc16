//! The kernel keeps to what mach/message.h and mach_port(9) say.

use super::{Kernel, Name, Process, code};

const COPY_SEND: u32 = 19;
const MAKE_SEND_ONCE: u32 = 21;
const SECOND: u64 = 1_000_000_000;
const OWN_TASK: Name = 0x203;

fn message(bits: u32, to: Name, answer: Name, body: &[u32]) -> Vec<u8> {
    let size = u32::try_from(24 + body.len() * 4).unwrap();
    [bits, size, to, answer, 0, 77].iter().chain(body).flat_map(|word| word.to_le_bytes()).collect()
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

/// Two processes of one thread, and a port of the first to which the second may send: its names in both.
fn pair(kernel: &Kernel) -> (Process, Process, Name, Name) {
    let (one, other) = (kernel.process(1, &[]), kernel.process(2, &[(1, 0x1107)]));
    let port = one.check_in("service").unwrap().unwrap();
    let there = other.look_up("service").unwrap().unwrap();
    (one, other, port, there)
}

#[test]
fn a_right_that_is_sent_arrives_under_a_name_and_is_counted() {
    let kernel = Kernel::default();
    let _actor = kernel.actor();
    let (one, other, port, there) = pair(&kernel);
    let body = [1, OWN_TASK, 0, COPY_SEND << 16];
    for count in 1..=2 {
        let mut sent = message(COPY_SEND | 0x8000_0000, there, 0, &body);
        assert_eq!(other.send(&mut sent, SECOND), Ok(Ok(())));
        let came = one.receive(port, 200, SECOND).unwrap().unwrap();
        let words = words(&came.bytes);
        assert_eq!((came.size, words[0], words[3]), (40, 0x8000_0000 | 17 << 8, port));
        assert_eq!(words[9], 17 << 16, "a right to send");
        // Type, size; the fifth word of the token is the process id.
        assert_eq!((words[10], words[11], words[20]), (0, 52, 2));
        assert_eq!(one.rights(), [(port, 0, true, false), (words[7], count, false, false)]);
    }
    assert_eq!(one.deallocate(0x9999), Err(code::INVALID_NAME));
    assert_eq!(one.deallocate(port), Err(code::INVALID_RIGHT), "a right to receive");
}

#[test]
fn time_passes_while_all_wait_and_a_full_port_gives_the_message_back() {
    let kernel = Kernel::default();
    let _actor = kernel.actor();
    let (one, other, port, there) = pair(&kernel);
    assert_eq!(one.receive(port, 200, 7 * SECOND).unwrap().err(), Some(code::RCV_TIMED_OUT));
    assert_eq!(kernel.now(), 7 * SECOND);
    for _ in 0..5 {
        assert_eq!(other.send(&mut message(COPY_SEND, there, 0, &[]), SECOND), Ok(Ok(())));
    }
    let mut more = message(COPY_SEND, there, 0, &[]);
    assert_eq!(other.send(&mut more, SECOND), Ok(Err(code::SEND_TIMED_OUT)));
    assert_eq!(kernel.now(), 8 * SECOND);
    assert_eq!(words(&more)[..3], [17, 24, there], "a right of its own");
    assert_eq!(other.rights(), [(there, 2, false, false)]);
}

#[test]
fn rights_to_a_port_that_dies_are_dead_names_and_unused_answers_are_told() {
    let kernel = Kernel::default();
    let _actor = kernel.actor();
    let (one, other, port, there) = pair(&kernel);
    let answers = other.allocate().unwrap();
    let bits = COPY_SEND | MAKE_SEND_ONCE << 8;
    assert_eq!(other.send(&mut message(bits, there, answers, &[9; 40]), SECOND), Ok(Ok(())));
    assert_eq!(one.receive(port, 200, SECOND).unwrap().err(), Some(code::RCV_TOO_LARGE));
    assert_eq!(words(&other.receive(answers, 200, SECOND).unwrap().unwrap().bytes)[5], 71);
    drop(one);
    let mut late = message(COPY_SEND, there, 0, &[]);
    assert_eq!(other.send(&mut late, SECOND), Ok(Err(code::SEND_INVALID_DEST)));
    assert_eq!(other.look_up("service"), Ok(Err(code::UNKNOWN_SERVICE)));
    assert_eq!(other.deallocate(there), Ok(()), "a dead name");
    assert_eq!(other.rights(), [(answers, 0, true, false)]);
}

#[test]
fn headers_that_no_kernel_takes_are_refused() {
    let kernel = Kernel::default();
    let _actor = kernel.actor();
    let (_one, other, _, there) = pair(&kernel);
    let refused = |mut message: Vec<u8>| other.send(&mut message, 0).unwrap().unwrap_err();
    assert_eq!(refused(message(COPY_SEND, 0, 0, &[])), code::SEND_INVALID_DEST);
    assert_eq!(refused(message(18, there, 0, &[])), code::SEND_INVALID_DEST, "not a right to send once");
    assert_eq!(refused(message(16, there, 0, &[])), code::SEND_INVALID_HEADER, "moves a right to receive");
    assert_eq!(refused(message(COPY_SEND, there, there, &[])), code::SEND_INVALID_HEADER, "no disposition");
    assert_eq!(refused(vec![0; 20]), code::SEND_MSG_TOO_SMALL);
    let nobodys = [1, 0x9999, 0, COPY_SEND << 16];
    assert_eq!(refused(message(COPY_SEND | 0x8000_0000, there, 0, &nobodys)), code::SEND_INVALID_RIGHT);
    assert_eq!(other.rights(), [(there, 1, false, false)]);
}

#[test]
fn who_waits_for_what_nobody_does_is_told() {
    let kernel = Kernel::default();
    let _actor = kernel.actor();
    let (one, other, ..) = pair(&kernel);
    let (here, _there) = kernel.connect(&one, &other).unwrap();
    assert!(one.read(here, 1).is_err());
}
