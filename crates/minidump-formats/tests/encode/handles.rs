use crate::build::{empty, encode};
use minidump::MinidumpHandleDataStream;
use minidump_snapshot::{Handle, HandleKind};

pub fn handle(value: u64, kind: HandleKind, target: &[u8]) -> Handle {
    Handle { value, kind, target: target.to_vec(), mode: None, open_flags: None }
}

#[test]
fn handles_come_back_with_kind_target_mode_and_flags() {
    let mut snapshot = empty();
    snapshot.handles = vec![
        Handle { mode: Some(0o100_644), open_flags: Some(0o2), ..handle(3, HandleKind::File, b"/tmp/\xffx") },
        handle(4, HandleKind::Socket, b"socket:[1234]"),
        handle(5, HandleKind::File, b""),
        handle(6, HandleKind::Anonymous, b"anon_inode:[eventpoll]"),
    ];
    let raw = encode(&snapshot);
    let handles = raw.read::<MinidumpHandleDataStream>();
    let found: Vec<_> = handles
        .iter()
        .map(|handle| {
            let raw = (*handle.raw.handle().unwrap(), *handle.raw.attributes().unwrap());
            let access = *handle.raw.granted_access().unwrap();
            (raw, access, handle.type_name.clone().unwrap(), handle.object_name.clone().unwrap())
        })
        .collect();
    let text = |kind: &str, target: &str| (kind.to_owned(), target.to_owned());
    let (file, path) = text("File", "/tmp/\u{fffd}x");
    assert_eq!(found[0], ((3, 0o100_644), 0o2, file.clone(), path));
    let (socket, target) = text("Socket", "socket:[1234]");
    assert_eq!(found[1], ((4, 0), 0, socket, target));
    assert_eq!(found[2], ((5, 0), 0, file, String::new()));
    let (anonymous, target) = text("Anonymous", "anon_inode:[eventpoll]");
    assert_eq!(found[3], ((6, 0), 0, anonymous, target));
}

#[test]
fn the_stream_uses_the_first_descriptor_and_shares_type_names() {
    let mut snapshot = empty();
    snapshot.handles = (0..3).map(|value| handle(value, HandleKind::Fifo, b"pipe:[1]")).collect();
    let raw = encode(&snapshot);
    let (stream, size) = raw.stream(12);
    assert_eq!(size, 16 + 3 * 32);
    let header: Vec<u32> = (0..4).map(|index| raw.u32(stream + 4 * index)).collect();
    assert_eq!(header, [16, 32, 3, 0]);
    let names: Vec<u32> = (0..3).map(|index| raw.u32(stream + 16 + 32 * index + 8)).collect();
    assert_eq!(raw.string(names[0] as usize), "Fifo");
    assert!(names.iter().all(|name| *name == names[0]));
}

#[test]
fn without_handles_there_is_no_stream() {
    assert_eq!(encode(&empty()).find(12), None);
}
