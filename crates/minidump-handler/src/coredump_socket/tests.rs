//! The kernel's part is played by a thread; what the real kernel does is in the end-to-end tests.

use super::request::{KERNEL, WAIT};
use super::*;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn words(size: u32, second: u32, mask: u64) -> Vec<u8> {
    [&size.to_ne_bytes()[..], &second.to_ne_bytes(), &mask.to_ne_bytes()].concat()
}

/// What comes of `said`, with the acknowledgement and what is left to be read.
fn after(said: &[u8]) -> (std::io::Result<Form>, Vec<u8>, Vec<u8>) {
    let (ours, mut kernels) = UnixStream::pair().unwrap();
    kernels.write_all(said).unwrap();
    kernels.shutdown(std::net::Shutdown::Write).unwrap();
    let form = agree(&ours, PATIENCE);
    let (mut left, mut answered) = (Vec::new(), Vec::new());
    (&ours).read_to_end(&mut left).unwrap();
    drop(ours);
    let _ = kernels.read_to_end(&mut answered);
    (form, answered, left)
}

#[test]
fn a_core_that_comes_at_once_is_left_as_it_is() {
    let (form, answered, left) = after(b"\x7fELF and so on");
    assert_eq!((form.unwrap(), answered, left), (Form::Plain, vec![], b"\x7fELF and so on".to_vec()));
}

#[test]
fn a_request_is_answered_with_the_core_and_the_wait_and_the_core_follows() {
    let more: Vec<u8> = vec![9; 8];
    for said in [words(16, 16, 15), [words(24, 24, 0x1f), more].concat()] {
        let (form, answered, left) = after(&[said, vec![0; 4], b"\x7fELF".to_vec()].concat());
        assert_eq!(form.unwrap(), Form::Asked);
        assert_eq!(answered, words(16, 0, KERNEL | WAIT));
        assert_eq!(left, b"\x7fELF");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let told = |said: &[u8]| after(said).0.unwrap_err().to_string();
    assert!(told(&words(15, 16, 15)).contains("is no request"));
    assert!(told(&words(4097, 16, 15)).contains("is no request"));
    assert!(told(b"GET / HTTP/1.1").contains("is no request"));
    assert!(told(&words(16, 15, 15)).contains("offers no core"));
    assert!(told(&words(16, 16, WAIT)).contains("offers no core"));
    assert!(told(&[words(16, 16, 15), 4_u32.to_ne_bytes().to_vec()].concat()).contains("mark 4"));
    for cut in [0, 3, 4, 15, 16, 19] {
        let whole = [words(16, 16, 15), vec![0; 4]].concat();
        assert!(after(&whole[..cut]).0.is_err(), "{cut} bytes");
    }
}

#[test]
fn silence_is_not_waited_for_longer_than_said() {
    let (ours, _kernels) = UnixStream::pair().unwrap();
    let error = agree(&ours, Duration::from_millis(10)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_process_of_which_no_core_is_taken_is_no_peer() {
    let (ours, _other) = UnixStream::pair().unwrap();
    assert!(!matches!(Peer::of(&ours), Ok(Some(_))), "both ends are this process");
}

#[test]
fn a_socket_is_its_owners_alone_and_replaces_a_dead_one_but_no_other() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("core.sock");
    drop(listen(&path).unwrap());
    let listener = listen(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(listen(&path).unwrap_err().kind(), std::io::ErrorKind::AddrInUse, "somebody listens");
    drop(listener);
    let file = place.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(listen(&file).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}
