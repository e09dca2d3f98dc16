use super::*;
use crate::windows::random;

const SOON: Duration = Duration::from_secs(10);

fn ends() -> (Pipe, Pipe) {
    let name = pipe_name::of_random(random::bytes().unwrap());
    let server = create(&name, Instance::Only, &Descriptor::of_pipe(false).unwrap()).unwrap();
    let client = open(&name, SOON).unwrap();
    (Pipe::new(server).unwrap(), Pipe::new(client).unwrap())
}

#[test]
fn messages_stay_whole_both_ways() {
    let (mut server, mut client) = ends();
    client.send(b"first", SOON).unwrap();
    client.send(b"second", SOON).unwrap();
    assert_eq!(server.receive(SOON).unwrap(), b"first");
    assert_eq!(server.receive(SOON).unwrap(), b"second");
    server.send(&[7; 3000], SOON).unwrap();
    assert_eq!(client.receive(SOON).unwrap(), [7; 3000]);
}

#[test]
fn both_ends_know_who_is_at_the_other() {
    let (server, client) = ends();
    assert_eq!(server.client().unwrap(), std::process::id());
    assert_eq!(client.server().unwrap(), std::process::id());
    assert!(client.is_trustworthy().unwrap());
}

#[test]
fn nobody_is_waited_for_longer_than_told_and_the_end_is_noticed() {
    let (mut server, client) = ends();
    let silent = server.receive(Duration::from_millis(10)).unwrap_err();
    assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
    // Nobody reads: the room for what is kept ends.
    let mut sent = Ok(());
    for _ in 0..64 {
        sent = sent.and_then(|()| server.send(&[1; 4096], Duration::from_millis(10)));
    }
    assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
    drop(client);
    assert!(super::super::operation::is_end(&server.receive(SOON).unwrap_err()));
}

#[test]
fn a_message_that_is_too_long_is_an_error() {
    let (mut server, client) = ends();
    let handle = Arc::clone(&client.handle);
    let mut writing = Operation::new(&handle, MOST_BYTES + 1).unwrap();
    writing.write(&vec![3; MOST_BYTES + 1]).unwrap();
    assert!(server.receive(SOON).is_err());
}

#[test]
fn a_name_that_is_taken_is_not_shared() {
    let name = pipe_name::of_random(random::bytes().unwrap());
    let descriptor = Descriptor::of_pipe(false).unwrap();
    let _squatter = create(&name, Instance::Another, &descriptor).unwrap();
    assert!(create(&name, Instance::First, &descriptor).is_err());
}

#[test]
fn a_pipe_that_is_not_there_is_an_error_at_once() {
    let name = pipe_name::of_random(random::bytes().unwrap());
    let error = open(&name, SOON).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
