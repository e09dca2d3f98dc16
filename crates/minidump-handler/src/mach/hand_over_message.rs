//! The message by which a process gives the handler the right to its own task, and to the handlers that it had before.

use super::exception_message::Behavior;
use super::message::{COMPLEX, COPY_SEND, Header, Port, Sender, begin, finish, port, put_port};
use super::words::{Words, put};

/// `msgh_id`: "MDWT".
const ID: u32 = u32::from_le_bytes(*b"MDWT");
/// The most handlers that a process has for the exceptions that are taken over: the kernel keeps one for each of them.
pub const MOST_PREVIOUS: usize = 14;
/// Bytes that only the process knows that the handler talked to.
pub const SECRET: usize = 16;

/// A handler that was there before (`task_get_exception_ports`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousHandler {
    /// Of which exceptions: bits `1 << EXC_*`.
    pub mask: u32,
    /// Where they went.
    pub port: Port,
    /// In which form: a [`Behavior`], with or without 64-bit codes.
    pub behavior: u32,
    /// With which registers.
    pub flavor: u32,
}

impl PreviousHandler {
    /// Whether it is one of exception `exception` that wants to be told in a form which is known here.
    #[must_use]
    pub fn wants(&self, exception: i32) -> Option<Behavior> {
        let bit = u32::try_from(exception).ok().and_then(|exception| 1_u32.checked_shl(exception))?;
        let with_codes = self.behavior & super::exception_message::EXCEPTION_CODES != 0;
        (self.port != 0 && self.mask & bit != 0 && with_codes).then_some(())?;
        Behavior::of(self.behavior)
    }
}

/// What a process hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// Right to its task.
    pub task: Port,
    /// What the handler told it, and nobody else.
    pub secret: [u8; SECRET],
    /// Who handled exceptions before.
    pub previous: Vec<PreviousHandler>,
}

impl HandOver {
    /// The message to the handler at `to`. `None` with too many handlers.
    #[must_use]
    pub fn write(&self, to: Port) -> Option<Vec<u8>> {
        if self.previous.len() > MOST_PREVIOUS {
            return None;
        }
        let mut message = begin(COPY_SEND | COMPLEX, to, 0, ID);
        put(&mut message, &[u32::try_from(self.previous.len()).ok()?.checked_add(1)?]);
        put_port(&mut message, self.task, COPY_SEND);
        self.previous.iter().for_each(|previous| put_port(&mut message, previous.port, COPY_SEND));
        message.extend(self.secret);
        self.previous
            .iter()
            .for_each(|previous| put(&mut message, &[previous.mask, previous.behavior, previous.flavor]));
        finish(message)
    }

    /// Reads what `mach_msg` received, trailer included, and tells who sent it. `None` when it is something else.
    #[must_use]
    pub fn read(received: &[u8]) -> Option<(Self, Sender)> {
        let header = Header::read(&mut Words::new(received))?;
        let sender = Sender::of(received, header.size)?;
        let mut words = Words::new(received.get(..usize::try_from(header.size).ok()?)?);
        Header::read(&mut words)?;
        // Nobody answers: a right to do so would be kept for ever.
        (header.id == ID && header.is_complex() && header.remote == 0).then_some(())?;
        let count = words.u32().filter(|count| (1..=MOST_PREVIOUS + 1).contains(&(*count as usize)))?;
        let ports = (0..count).map(|_| port(&mut words)).collect::<Option<Vec<Port>>>()?;
        let (task, others) = ports.split_first().filter(|(task, _)| ![0, Port::MAX].contains(*task))?;
        let mut secret = [0; SECRET];
        for part in secret.chunks_exact_mut(4) {
            part.copy_from_slice(&words.u32()?.to_le_bytes());
        }
        let previous = others.iter().map(|port| {
            let (mask, behavior, flavor) = (words.u32()?, words.u32()?, words.u32()?);
            Some(PreviousHandler { mask, port: *port, behavior, flavor })
        });
        let previous = previous.collect::<Option<Vec<_>>>()?;
        Some((Self { task: *task, secret, previous }, sender))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: Sender = Sender { euid: 501, pid: 4711, pid_version: 3 };

    fn hand_over() -> HandOver {
        let previous = |mask, port| PreviousHandler { mask, port, behavior: 0x8000_0001, flavor: 6 };
        let previous = vec![previous(0x400, 0x2203), previous(0x1800, 0)];
        HandOver { task: 0x203, secret: *b"0123456789abcdef", previous }
    }

    /// As the kernel gives it to the receiver.
    fn received(message: &[u8]) -> Vec<u8> {
        let mut received = message.to_vec();
        received[8..12].fill(0);
        for descriptor in 0..3 {
            received[28 + descriptor * 12 + 10] = 17;
        }
        put(&mut received, &[0, 52, 0, 501, 20, 0, 501, 20, 501, 20, 4711, 100_005, 3]);
        received
    }

    #[test]
    fn rights_and_secret_arrive_with_the_senders_identity() {
        let message = hand_over().write(0x111).unwrap();
        assert_eq!(message.len(), 24 + 4 + 3 * 12 + 16 + 2 * 12);
        assert_eq!(HandOver::read(&received(&message)), Some((hand_over(), SENDER)));
    }

    #[test]
    fn a_message_without_its_sender_is_refused() {
        let message = hand_over().write(0x111).unwrap();
        assert_eq!(HandOver::read(&message), None);
    }

    #[test]
    fn a_message_that_wants_an_answer_or_moves_other_rights_is_refused() {
        let message = received(&hand_over().write(0x111).unwrap());
        let mut answered = message.clone();
        answered[8] = 3;
        assert_eq!(HandOver::read(&answered), None);
        let mut other = message.clone();
        other[28 + 12 + 10] = 16;
        assert_eq!(HandOver::read(&other), None, "a right to receive");
        for nothing in [[0; 4], [0xff; 4]] {
            let mut no_task = message.clone();
            no_task[28..32].copy_from_slice(&nothing);
            assert_eq!(HandOver::read(&no_task), None, "no right");
        }
    }

    #[test]
    fn too_many_handlers_are_not_sent_and_not_read() {
        let mut many = hand_over();
        many.previous = vec![many.previous[0]; MOST_PREVIOUS + 1];
        assert_eq!(many.write(1), None);
        let mut message = received(&hand_over().write(1).unwrap());
        message[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(HandOver::read(&message), None);
    }

    #[test]
    fn a_previous_handler_wants_its_own_exceptions_in_a_known_form() {
        let [crashes, nobody] = hand_over().previous.try_into().unwrap();
        assert_eq!(crashes.wants(10), Some(Behavior::Default));
        assert_eq!(crashes.wants(12), None, "not in its mask");
        assert_eq!(nobody.wants(12), None, "no port");
        for exception in [-1, 32, i32::MAX] {
            assert_eq!(crashes.wants(exception), None);
        }
        let old = PreviousHandler { behavior: 1, ..crashes };
        assert_eq!(old.wants(10), None, "32-bit codes are another message");
    }
}
