use super::super::{HEADER, MOST_BYTES, MessageWriter};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn crash_message() -> Vec<u8> {
    let mut buffer = vec![0xaa; MOST_BYTES];
    let mut writer = MessageWriter::new(&mut buffer, RequestKind::Crash as u16).unwrap();
    assert!(writer.field(tag::THREAD, &[&77_i32.to_le_bytes()]));
    assert!(writer.field(tag::SIGINFO, &[&[7; 128]]));
    let registers: Vec<u8> = (0..23_u64).flat_map(|word| (word + 100).to_le_bytes()).collect();
    assert!(writer.field(tag::REGISTERS, &[&registers]));
    assert!(writer.field(tag::XSAVE, &[&[9; 600]]));
    assert!(writer.field(tag::ANNOTATION, &[b"channel", &[0], b"beta"]));
    assert!(writer.field(tag::ATTACHMENT, &[b"/var/log/app.log"]));
    assert!(writer.field(0x7777, &[b"from the future"]));
    writer.finish().to_vec()
}

#[test]
fn a_crash_is_read_as_it_was_written() {
    let request = Request::decode(&crash_message()).unwrap();
    assert_eq!((request.kind, request.thread), (RequestKind::Crash, 77));
    let frame = request.crash.unwrap();
    assert_eq!(frame.siginfo, [7; 128]);
    assert_eq!((frame.registers[0], frame.registers[22]), (100, 122));
    assert_eq!(frame.xsave, [9; 600]);
    assert_eq!(request.annotations, [("channel".into(), "beta".into())]);
    assert_eq!(request.attachments, [PathBuf::from("/var/log/app.log")]);
}

#[test]
fn a_crash_without_its_registers_is_refused() {
    let mut buffer = [0; 1024];
    let mut writer = MessageWriter::new(&mut buffer, RequestKind::Crash as u16).unwrap();
    assert!(writer.field(tag::THREAD, &[&77_i32.to_le_bytes()]));
    assert!(writer.field(tag::SIGINFO, &[&[7; 128]]));
    assert_eq!(Request::decode(writer.finish()), Err(Malformed::Missing(tag::REGISTERS)));
}

#[test]
fn fields_of_a_wrong_size_are_refused() {
    for (tag, size) in [(tag::THREAD, 5), (tag::SIGINFO, 127), (tag::REGISTERS, 185), (tag::XSAVE, 511)] {
        let mut buffer = [0; 1024];
        let mut writer = MessageWriter::new(&mut buffer, RequestKind::Dump as u16).unwrap();
        assert!(writer.field(tag, &[&vec![1; size]]));
        assert_eq!(Request::decode(writer.finish()), Err(Malformed::Missing(tag)));
    }
}

#[test]
fn a_thread_without_a_positive_id_is_none() {
    let mut buffer = [0; 1024];
    let mut writer = MessageWriter::new(&mut buffer, RequestKind::Dump as u16).unwrap();
    assert!(writer.field(tag::THREAD, &[&(-1_i32).to_le_bytes()]));
    assert_eq!(Request::decode(writer.finish()), Err(Malformed::Missing(tag::THREAD)));
}

#[test]
fn a_message_of_another_length_version_or_kind_is_refused() {
    let message = crash_message();
    let changed = |at: usize, byte: u8| {
        let mut message = message.clone();
        message[at] = byte;
        Request::decode(&message).unwrap_err()
    };
    assert_eq!(changed(0, 0), Malformed::Magic);
    assert_eq!(changed(4, 2), Malformed::Version(2));
    assert_eq!(changed(6, 9), Malformed::Kind(9));
    assert_eq!(changed(8, 1), Malformed::Length);
    assert_eq!(Request::decode(&message[..HEADER - 1]), Err(Malformed::Magic));
    let cut = &message[..message.len() - 8];
    assert_eq!(Request::decode(cut), Err(Malformed::Length));
}

#[test]
fn what_has_no_room_is_left_out_whole() {
    let mut buffer = [0; HEADER + 24];
    let mut writer = MessageWriter::new(&mut buffer, RequestKind::Dump as u16).unwrap();
    assert!(!writer.field(tag::REASON, &[&[b'x'; 17]]));
    assert!(writer.field(tag::THREAD, &[&5_i32.to_le_bytes()]));
    assert!(!writer.field(tag::ANNOTATION, &[b"k", &[0]]));
    let request = Request::decode(writer.finish()).unwrap();
    assert_eq!((request.thread, request.reason, request.annotations), (5, None, vec![]));
}

#[test]
fn texts_and_lists_are_bounded() {
    let mut buffer = vec![0; MOST_BYTES];
    let mut writer = MessageWriter::new(&mut buffer, RequestKind::Dump as u16).unwrap();
    assert!(writer.field(tag::THREAD, &[&5_i32.to_le_bytes()]));
    assert!(writer.field(tag::REASON, &[&[b'x'; 10_000]]));
    for _ in 0..1000 {
        assert!(writer.field(tag::ANNOTATION, &[b"k", &[0]]));
        assert!(writer.field(tag::ATTACHMENT, &[b"a"]));
    }
    let request = Request::decode(writer.finish()).unwrap();
    assert_eq!(request.reason.unwrap().len(), MOST_TEXT);
    assert_eq!((request.annotations.len(), request.attachments.len()), (MOST_ANNOTATIONS, MOST_ATTACHMENTS));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Request::decode(&bytes);
    }

    #[test]
    fn no_change_of_a_message_makes_reading_panic(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut message = crash_message();
        for (at, byte) in changes {
            *at.get_mut(&mut message) = byte;
        }
        let _ = Request::decode(&message);
    }
}
