use super::super::HEADER;
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn crash_message() -> Vec<u8> {
    let mut buffer = vec![0xaa; MOST_BYTES];
    let mut writer = MessageWriter::new(&mut buffer, RequestKind::Crash as u16).unwrap();
    assert!(writer.field(tag::THREAD, &[&0x8000_0010_u32.to_le_bytes()]));
    let exception = ExceptionAt { pointers: 0x0123_4567_89ab_cdef, code: 0xc000_0005 };
    assert!(writer.field(EXCEPTION, &[&exception.to_bytes()]));
    assert!(writer.field(tag::ANNOTATION, &[b"channel", &[0], b"beta"]));
    assert!(writer.field(tag::ATTACHMENT, &[b"C:\\logs\\app.log"]));
    assert!(writer.field(0x7777, &[b"from the future"]));
    writer.finish().to_vec()
}

#[test]
fn a_crash_is_read_as_it_was_written() {
    let account = Account::decode(&crash_message()).unwrap();
    assert_eq!((account.kind, account.thread), (RequestKind::Crash, 0x8000_0010));
    assert_eq!(account.exception, Some(ExceptionAt { pointers: 0x0123_4567_89ab_cdef, code: 0xc000_0005 }));
    assert_eq!(account.annotations, [("channel".into(), "beta".into())]);
    assert_eq!(account.attachments, ["C:\\logs\\app.log"]);
}

#[test]
fn greeting_registration_and_handles_are_read_as_they_were_written() {
    let hello = Hello { challenge: *b"0123456789abcdef" };
    assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
    let registration = Registration { mailbox: 0x7ff6_1234_5000 };
    assert_eq!(Registration::decode(&registration.encode()), Ok(registration));
    let registered = Registered { request: 0x10, alive: 0x14, settled: 0x18, failed: 0x1c, handler: 0x20 };
    assert_eq!(Registered::decode(&registered.encode()), Ok(registered));
    assert_eq!(Registered::decode(&hello.encode()), Err(Malformed::Kind(HELLO)));
}

#[test]
fn the_bytes_of_a_registration_are_those_of_the_guide() {
    let bytes = Registration { mailbox: 0x1122_3344_5566_7788 }.encode();
    let header = [b'M', b'D', b'W', b'H', 1, 0, 4, 0, 32, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(bytes[..HEADER], header);
    assert_eq!(bytes[HEADER..], [13, 0, 0, 0, 8, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
}

#[test]
fn a_mailbox_beyond_the_end_of_memory_is_refused() {
    for mailbox in [0, u64::MAX, u64::MAX - MAILBOX_SIZE as u64 + 1] {
        let message = Registration { mailbox }.encode();
        assert_eq!(Registration::decode(&message), Err(Malformed::Missing(MAILBOX)));
    }
}

#[test]
fn a_crash_without_thread_or_exception_is_refused() {
    let refused = |tag: u16, bytes: &[u8]| {
        let mut buffer = [0; 256];
        let mut writer = MessageWriter::new(&mut buffer, RequestKind::Crash as u16).unwrap();
        assert!(writer.field(tag, &[bytes]));
        Account::decode(writer.finish()).unwrap_err()
    };
    assert_eq!(refused(EXCEPTION, &[1; 16]), Malformed::Missing(tag::THREAD));
    assert_eq!(refused(tag::THREAD, &[1; 4]), Malformed::Missing(EXCEPTION));
    assert_eq!(refused(tag::THREAD, &[0; 4]), Malformed::Missing(tag::THREAD));
    assert_eq!(refused(tag::THREAD, &[1; 3]), Malformed::Missing(tag::THREAD));
    assert_eq!(refused(EXCEPTION, &[1; 12]), Malformed::Missing(EXCEPTION));
    assert_eq!(refused(tag::ANNOTATION, b"no end"), Malformed::Missing(tag::ANNOTATION));
}

#[test]
fn a_wish_has_no_exception_whatever_it_says() {
    let mut message = crash_message();
    message[6] = RequestKind::Hang as u8;
    let account = Account::decode(&message).unwrap();
    assert_eq!((account.kind, account.exception), (RequestKind::Hang, None));
}

#[test]
fn a_mailbox_holds_no_message_longer_than_itself() {
    let head = |length: u32| {
        let mut head = [0xff; MESSAGE_AT];
        head[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_le_bytes());
        length_of_mail(&head)
    };
    assert_eq!((head(0), head(98_304)), (Ok(0), Ok(MOST_BYTES)));
    assert_eq!((head(98_305), head(u32::MAX)), (Err(Malformed::Length), Err(Malformed::Length)));
    assert_eq!(MAILBOX_SIZE, 24 + 98_304);
}

#[test]
fn handles_of_another_number_are_refused() {
    for count in [0, HANDLE_COUNT - 1, HANDLE_COUNT + 1] {
        let bytes = message(REGISTERED, HANDLES, &vec![4; count * 8]);
        assert_eq!(Registered::decode(&bytes), Err(Malformed::Missing(HANDLES)));
    }
    let odd = message(REGISTERED, HANDLES, &[4; HANDLE_COUNT * 8 - 1]);
    assert_eq!(Registered::decode(&odd), Err(Malformed::Missing(HANDLES)));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Account::decode(&bytes);
        let _ = Registration::decode(&bytes);
        let _ = Registered::decode(&bytes);
        let _ = Hello::decode(&bytes);
    }

    #[test]
    fn no_change_of_a_message_makes_reading_panic(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        for mut message in [crash_message(), Registration { mailbox: 0x1000 }.encode()] {
            for (at, byte) in &changes {
                *at.get_mut(&mut message) = *byte;
            }
            let _ = Account::decode(&message);
            let _ = Registration::decode(&message);
        }
    }
}
