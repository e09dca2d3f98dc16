use super::*;
use std::os::unix::net::UnixStream;

const LONG: Duration = Duration::from_secs(60);

fn relay_of(work: impl FnOnce(UnixStream), patience: Duration) -> (Result<Ending, Broken>, Vec<u8>) {
    let helper = Helper::start(work).unwrap();
    let mut output = Vec::new();
    let result = relay(&helper, patience, &mut output);
    (result, output)
}

#[expect(unsafe_code, reason = "the standard library kills only what it started")]
fn kill(process: i32) {
    // SAFETY: two numbers.
    assert_eq!(unsafe { libc::kill(process, libc::SIGKILL) }, 0, "it was still there");
}

fn end(socket: &mut UnixStream, ending: &Ending) {
    protocol::send(socket, Kind::Ending, &serde_json::to_vec(ending).unwrap()).unwrap();
}

#[test]
fn a_helper_that_is_refused_gets_its_permission_and_goes_on() {
    let (result, output) = relay_of(
        |mut socket| {
            protocol::send(&mut socket, Kind::Data, b"before").unwrap();
            protocol::send(&mut socket, Kind::Permission, &[]).unwrap();
            let mut answer = [0];
            socket.read_exact(&mut answer).unwrap();
            protocol::send(&mut socket, Kind::Data, &answer).unwrap();
            end(&mut socket, &Ending::Denied("still".into()));
        },
        LONG,
    );
    assert!(matches!(result, Ok(Ending::Denied(reason)) if reason == "still"));
    assert_eq!(output, [b"before".as_slice(), &[GRANTED]].concat());
}

#[test]
fn a_large_dump_comes_through_whole_and_in_order() {
    let expected: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_ne_bytes).collect();
    let sent = &expected;
    let (result, output) = relay_of(
        |mut socket| {
            for part in sent.chunks(protocol::MOST_DATA) {
                protocol::send(&mut socket, Kind::Data, part).unwrap();
            }
            end(&mut socket, &Ending::Failed(String::new()));
        },
        LONG,
    );
    assert!(matches!(result, Ok(Ending::Failed(_))));
    assert!(output == expected);
}

#[test]
fn a_helper_that_says_nothing_is_given_up() {
    let patience = Duration::from_millis(20);
    let (result, _) = relay_of(|mut socket| drop(socket.read(&mut [0])), patience);
    assert!(matches!(result, Err(Broken::Silent(time)) if time == patience));
}

#[test]
fn a_helper_that_ends_in_the_middle_is_not_taken_for_complete() {
    let (result, output) = relay_of(
        |mut socket| {
            protocol::send(&mut socket, Kind::Data, b"some").unwrap();
            socket.write_all(&[Kind::Data as u8, 9]).unwrap();
        },
        LONG,
    );
    assert!(matches!(result, Err(Broken::Ended)));
    assert_eq!(output, b"some");
}

#[test]
fn the_end_of_a_helper_is_seen_though_another_process_holds_its_end_of_the_socket() {
    let helper = Helper::start(|mut socket| {
        // Stays behind, as a fork of the application might that was made at the wrong moment.
        let holder = Helper::start(|own| drop((&own).read(&mut [0]))).unwrap();
        protocol::send(&mut socket, Kind::Data, &holder.pid().to_ne_bytes()).unwrap();
        std::mem::forget(holder);
    })
    .unwrap();
    let mut holder = Vec::new();
    let result = relay(&helper, LONG, &mut holder);
    let holder = i32::from_ne_bytes(holder.try_into().unwrap());
    kill(holder);
    assert!(matches!(result, Err(Broken::Ended)));
}

#[test]
fn what_is_no_frame_or_no_ending_is_an_error() {
    let (result, _) = relay_of(|mut socket| socket.write_all(&[0xff; 64]).unwrap(), LONG);
    assert!(matches!(result, Err(Broken::Socket(_))));
    let ending = |mut socket: UnixStream| protocol::send(&mut socket, Kind::Ending, b"{}").unwrap();
    let (result, _) = relay_of(ending, LONG);
    assert!(matches!(result, Err(Broken::Socket(_))));
}
