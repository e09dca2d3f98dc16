//! What the kernel sends to an exception port, and what it wants to hear (mach/mach_exc.defs, as MIG lays it out).
//!
//! All forms are read, because a previous handler's form is needed to pass an exception on to it.

use super::message::{
    COMPLEX, COPY_SEND, Header, MAKE_SEND_ONCE, MOVE_SEND, MOVE_SEND_ONCE, Port, begin, finish, port,
    put_port,
};
use super::words::{Words, put};

/// What the kernel tells of an exception (`exception_behavior_t`, mach/exception_types.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Behavior {
    /// EXCEPTION_DEFAULT: rights to thread and task.
    Default = 1,
    /// EXCEPTION_STATE: the registers.
    State = 2,
    /// EXCEPTION_STATE_IDENTITY: both.
    StateIdentity = 3,
    /// EXCEPTION_IDENTITY_PROTECTED: the thread's id, and a token for the task. Hardened processes allow no other form.
    IdentityProtected = 4,
    /// EXCEPTION_STATE_IDENTITY_PROTECTED: these and the registers.
    StateIdentityProtected = 5,
}

/// MACH_EXCEPTION_CODES: codes have 64 bits. Without it they have 32, in messages that are not read here.
pub const EXCEPTION_CODES: u32 = 0x8000_0000;
/// First message of the subsystem `mach_exc`.
const FIRST_ID: u32 = 2404;
/// What an answer's id is more than the request's.
const ANSWER: u32 = 100;
/// `NDR_record`: little-endian integers, ASCII, IEEE floats.
const NDR: [u32; 2] = [0, 1];
/// The most words of a thread's state (THREAD_STATE_MAX).
const MOST_STATE: u32 = 1296;
/// KERN_SUCCESS: the exception has been dealt with, the thread goes on.
pub const HANDLED: i32 = 0;
/// KERN_FAILURE: the next handler's turn.
pub const NOT_HANDLED: i32 = 5;

impl Behavior {
    /// The form with this number, with or without [`EXCEPTION_CODES`].
    #[must_use]
    pub fn of(number: u32) -> Option<Self> {
        let all = [
            Self::Default,
            Self::State,
            Self::StateIdentity,
            Self::IdentityProtected,
            Self::StateIdentityProtected,
        ];
        all.into_iter().find(|behavior| *behavior as u32 == number & !EXCEPTION_CODES)
    }

    /// Messages come in the order 2405, 2406, 2407, 2408 and, after one of something else, 2410.
    fn id(self) -> u32 {
        match self {
            Self::StateIdentityProtected => FIRST_ID + 6,
            other => FIRST_ID + other as u32,
        }
    }

    fn of_id(id: u32) -> Option<Self> {
        (1..=5).filter_map(Self::of).find(|behavior| behavior.id() == id)
    }

    fn has_state(self) -> bool {
        matches!(self, Self::State | Self::StateIdentity | Self::StateIdentityProtected)
    }
}

/// Who crashed, as far as the message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Rights to thread and task. The receiver owns them.
    Ports {
        /// The thread.
        thread: Port,
        /// The task.
        task: Port,
    },
    /// A right to the task's identity, from which a right to the task can be had. The receiver owns it.
    Protected {
        /// The token.
        task_token: Port,
        /// `thread_id` of THREAD_IDENTIFIER_INFO.
        thread_id: u64,
    },
    /// Nothing: EXCEPTION_STATE.
    Unknown,
}

/// Registers of one kind, as the kernel keeps them: `thread_get_state` (mach/thread_status.h).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadState {
    /// Which registers.
    pub flavor: u32,
    /// Their words.
    pub words: Vec<u32>,
}

impl ThreadState {
    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(Self { flavor: words.u32()?, words: words.array(MOST_STATE)? })
    }

    fn put(&self, message: &mut Vec<u8>) -> Option<()> {
        put(message, &[self.flavor, u32::try_from(self.words.len()).ok()?]);
        put(message, &self.words);
        Some(())
    }
}

/// An exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExceptionMessage {
    /// The form in which it came.
    pub behavior: Behavior,
    /// Whose it is.
    pub identity: Identity,
    /// `EXC_*`.
    pub exception: i32,
    /// Its codes, at most two.
    pub codes: Vec<u64>,
    /// The registers at the exception, when the form has them.
    pub state: Option<ThreadState>,
    /// Where the answer goes: a right to send once. The receiver owns it.
    pub answer_to: Port,
    answer_disposition: u32,
}

impl ExceptionMessage {
    /// Reads a message that the kernel sent. `None` when it is none of these.
    #[must_use]
    pub fn read(message: &[u8]) -> Option<Self> {
        let mut words = Words::new(message);
        let header = Header::read(&mut words)?;
        let message = message.get(..usize::try_from(header.size).ok()?)?;
        let mut words = Words::new(message);
        Header::read(&mut words)?;
        let behavior = Behavior::of_id(header.id)?;
        // How the right to answer is given back is known of these alone.
        matches!(header.remote_disposition(), 0 | MOVE_SEND | MOVE_SEND_ONCE).then_some(())?;
        let identity = identity(behavior, header, &mut words)?;
        let exception = words.u32()?.cast_signed();
        let count = words.u32().filter(|count| *count <= 2)?;
        let codes = (0..count).map(|_| words.u64()).collect::<Option<Vec<u64>>>()?;
        let state = if behavior.has_state() { Some(ThreadState::read(&mut words)?) } else { None };
        let (answer_to, answer_disposition) = (header.remote, header.remote_disposition());
        Some(Self { behavior, identity, exception, codes, state, answer_to, answer_disposition })
    }

    /// The answer `code`, of [`HANDLED`] and [`NOT_HANDLED`] one. The thread goes on with the registers `state`, when these are of the
    /// kind that came, or else with those that it had.
    #[must_use]
    pub fn answer(&self, code: i32, state: Option<&ThreadState>) -> Option<Vec<u8>> {
        let disposition = if self.answer_disposition == 0 { MOVE_SEND_ONCE } else { self.answer_disposition };
        let mut message = begin(disposition, self.answer_to, 0, self.behavior.id() + ANSWER);
        put(&mut message, &NDR);
        put(&mut message, &[code.cast_unsigned()]);
        if let Some(before) = &self.state {
            state.filter(|state| state.flavor == before.flavor).unwrap_or(before).put(&mut message)?;
        }
        finish(message)
    }

    /// The same exception for the handler at `to`, which wants it in the form `behavior` with registers of kind `flavor`, told of by
    /// `identity`; the answer is to go to `answer_port`, a right to receive. `None` when what is known does not suffice for that
    /// form.
    #[must_use]
    pub fn forward(
        &self,
        to: Port,
        (behavior, flavor): (Behavior, u32),
        identity: Identity,
        answer_port: Port,
    ) -> Option<Vec<u8>> {
        let bits = COPY_SEND | MAKE_SEND_ONCE << 8;
        let complex = if behavior == Behavior::State { 0 } else { COMPLEX };
        let mut message = begin(bits | complex, to, answer_port, behavior.id());
        match (behavior, identity) {
            (Behavior::State, _) => put(&mut message, &NDR),
            (Behavior::Default | Behavior::StateIdentity, Identity::Ports { thread, task }) => {
                put(&mut message, &[2]);
                put_port(&mut message, thread, COPY_SEND);
                put_port(&mut message, task, COPY_SEND);
                put(&mut message, &NDR);
            }
            (
                Behavior::IdentityProtected | Behavior::StateIdentityProtected,
                Identity::Protected { task_token, thread_id },
            ) => {
                put(&mut message, &[1]);
                put_port(&mut message, task_token, COPY_SEND);
                put(&mut message, &NDR);
                message.extend(thread_id.to_le_bytes());
            }
            _ => return None,
        }
        put(&mut message, &[self.exception.cast_unsigned(), u32::try_from(self.codes.len()).ok()?]);
        message.extend(self.codes.iter().flat_map(|code| code.to_le_bytes()));
        if behavior.has_state() {
            self.state.as_ref().filter(|state| state.flavor == flavor)?.put(&mut message)?;
        }
        finish(message)
    }

    /// What a handler to which it was [forwarded](Self::forward) answered: whether the exception has been dealt with, and the registers
    /// that it wants, if it wants any. `None` when it is no answer.
    #[must_use]
    pub fn read_answer(message: &[u8]) -> Option<(i32, Option<ThreadState>)> {
        let mut words = Words::new(message);
        let header = Header::read(&mut words)?;
        // Behind it lies the trailer, which is nobody's registers.
        let mut words = Words::new(message.get(..usize::try_from(header.size).ok()?)?);
        Header::read(&mut words)?;
        let behavior = Behavior::of_id(header.id.checked_sub(ANSWER)?)?;
        words.skip(8)?;
        let code = words.u32()?.cast_signed();
        if !behavior.has_state() || code != HANDLED {
            return Some((code, None));
        }
        Some((code, Some(ThreadState::read(&mut words)?)))
    }
}

fn identity(behavior: Behavior, header: Header, words: &mut Words<'_>) -> Option<Identity> {
    let mut descriptors = |expected| {
        (header.is_complex() && words.u32()? == expected).then_some(())?;
        (0..expected).map(|_| port(words)).collect::<Option<Vec<Port>>>()
    };
    let ports = match behavior {
        Behavior::State if header.is_complex() => return None,
        Behavior::State => Vec::new(),
        Behavior::Default | Behavior::StateIdentity => descriptors(2)?,
        Behavior::IdentityProtected | Behavior::StateIdentityProtected => descriptors(1)?,
    };
    words.skip(8)?;
    Some(match ports.as_slice() {
        [thread, task] => Identity::Ports { thread: *thread, task: *task },
        [task_token] => Identity::Protected { task_token: *task_token, thread_id: words.u64()? },
        _ => Identity::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: [u64; 2] = [0x0b10_0001, 0x10];

    fn exception(behavior: Behavior) -> ExceptionMessage {
        let identity = match behavior {
            Behavior::State => Identity::Unknown,
            Behavior::Default | Behavior::StateIdentity => Identity::Ports { thread: 0x1203, task: 0x1307 },
            _ => Identity::Protected { task_token: 0x1403, thread_id: 0x1a_2b3c },
        };
        let state = behavior.has_state().then(|| ThreadState { flavor: 6, words: (0..68).collect() });
        ExceptionMessage {
            behavior,
            identity,
            exception: 10,
            codes: CODES.to_vec(),
            state,
            answer_to: 0x207,
            answer_disposition: MOVE_SEND_ONCE,
        }
    }

    fn sent(behavior: Behavior) -> Vec<u8> {
        let exception = exception(behavior);
        received(exception.forward(0x111, (behavior, 6), exception.identity, 0x222).unwrap())
    }

    /// As the kernel gives it to the receiver: the right to answer is the remote port, and rights have come.
    fn received(mut message: Vec<u8>) -> Vec<u8> {
        message[0] = 18;
        message[8..12].copy_from_slice(&0x207_u32.to_le_bytes());
        let descriptors = if message[3] == 0 { 0 } else { message[24] };
        for descriptor in 0..usize::from(descriptors) {
            message[28 + descriptor * 12 + 10] = 17;
        }
        message
    }

    fn all() -> impl Iterator<Item = Behavior> {
        (1..=5).filter_map(Behavior::of)
    }

    #[test]
    fn messages_have_the_sizes_and_ids_of_mach_exc() {
        let sizes: Vec<(u32, usize)> = all().map(|behavior| (behavior.id(), sent(behavior).len())).collect();
        let state = 8 + 68 * 4;
        assert_eq!(
            sizes,
            [(2405, 84), (2406, 56 + state), (2407, 84 + state), (2408, 80), (2410, 80 + state)]
        );
    }

    #[test]
    fn every_form_is_read_as_it_was_sent() {
        for behavior in all() {
            assert_eq!(ExceptionMessage::read(&sent(behavior)), Some(exception(behavior)), "{behavior:?}");
        }
    }

    #[test]
    fn the_fields_of_the_classic_form_lie_where_the_kernel_puts_them() {
        let message = sent(Behavior::Default);
        assert_eq!(message[28..32], 0x1203_u32.to_le_bytes(), "thread");
        assert_eq!(message[40..44], 0x1307_u32.to_le_bytes(), "task");
        assert_eq!(message[52..60], [0, 0, 0, 0, 1, 0, 0, 0], "NDR");
        assert_eq!(message[60..64], 10_u32.to_le_bytes(), "exception");
        assert_eq!(message[64..68], 2_u32.to_le_bytes(), "number of codes");
        assert_eq!(message[68..76], CODES[0].to_le_bytes());
        assert_eq!(message[76..84], CODES[1].to_le_bytes());
        let message = sent(Behavior::IdentityProtected);
        assert_eq!(message[48..56], 0x1a_2b3c_u64.to_le_bytes(), "thread id");
        assert_eq!(message[56..60], 10_u32.to_le_bytes(), "exception");
    }

    #[test]
    fn rights_where_none_belong_are_no_exception() {
        let mut complex = sent(Behavior::State);
        complex[3] = 0x80;
        assert_eq!(ExceptionMessage::read(&complex), None);
        let mut other = sent(Behavior::Default);
        other[0] = 16;
        assert_eq!(ExceptionMessage::read(&other), None, "a right to receive, to answer with");
    }

    #[test]
    fn an_answer_ends_where_it_says() {
        let classic = exception(Behavior::StateIdentity);
        let mut answer = classic.answer(HANDLED, None).unwrap();
        let length = u32::try_from(answer.len() - 4).unwrap();
        answer[4..8].copy_from_slice(&length.to_le_bytes());
        answer.extend([0xff; 52]);
        assert_eq!(ExceptionMessage::read_answer(&answer), None, "the trailer is no register");
    }

    #[test]
    fn an_answer_goes_back_with_its_registers() {
        for behavior in all() {
            let answer = exception(behavior).answer(NOT_HANDLED, None).unwrap();
            assert_eq!(answer[8..12], 0x207_u32.to_le_bytes());
            assert_eq!(answer[20..24], (behavior.id() + 100).to_le_bytes());
            assert_eq!(answer[32..36], 5_u32.to_le_bytes());
            assert_eq!(answer.len(), if behavior.has_state() { 36 + 8 + 272 } else { 36 });
            assert_eq!(answer[4..8], u32::try_from(answer.len()).unwrap().to_le_bytes());
            assert_eq!(ExceptionMessage::read_answer(&answer), Some((NOT_HANDLED, None)));
        }
        let classic = exception(Behavior::StateIdentity);
        let answer = classic.answer(HANDLED, None).unwrap();
        assert_eq!(ExceptionMessage::read_answer(&answer), Some((HANDLED, classic.state.clone())));
        let wanted = ThreadState { flavor: 6, words: vec![7; 68] };
        let answer = classic.answer(HANDLED, Some(&wanted)).unwrap();
        assert_eq!(ExceptionMessage::read_answer(&answer), Some((HANDLED, Some(wanted.clone()))));
        let answer = classic.answer(HANDLED, Some(&ThreadState { flavor: 17, ..wanted })).unwrap();
        assert_eq!(ExceptionMessage::read_answer(&answer), Some((HANDLED, classic.state)));
    }

    #[test]
    fn what_is_not_known_is_not_forwarded() {
        let protected = exception(Behavior::StateIdentityProtected);
        let ports = Identity::Ports { thread: 3, task: 4 };
        assert_eq!(protected.forward(1, (Behavior::Default, 0), protected.identity, 2), None, "no rights");
        assert_eq!(protected.forward(1, (Behavior::State, 17), ports, 2), None, "other registers");
        let classic = exception(Behavior::Default);
        assert_eq!(
            classic.forward(1, (Behavior::IdentityProtected, 0), classic.identity, 2),
            None,
            "no token"
        );
        assert_eq!(classic.forward(1, (Behavior::State, 6), classic.identity, 2), None, "no registers");
        let message = protected.forward(1, (Behavior::StateIdentity, 6), ports, 2).unwrap();
        let read = ExceptionMessage::read(&received(message)).unwrap();
        assert_eq!((read.state, read.identity, read.codes), (protected.state, ports, CODES.to_vec()));
    }

    #[test]
    fn no_change_of_a_message_is_too_much_for_the_reader() {
        for behavior in all() {
            let message = sent(behavior);
            for length in 0..message.len() {
                assert_eq!(ExceptionMessage::read(&message[..length]), None, "{behavior:?} cut to {length}");
            }
            for at in 0..message.len() {
                for value in [0, 0x7f, 0xff] {
                    let mut changed = message.clone();
                    changed[at] = value;
                    let read = ExceptionMessage::read(&changed);
                    assert!(read.is_none_or(|read| read.codes.len() <= 2), "{behavior:?}, byte {at}");
                    let _ = ExceptionMessage::read_answer(&changed);
                }
            }
        }
    }
}
