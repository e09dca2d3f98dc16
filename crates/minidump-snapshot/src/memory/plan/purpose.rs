use serde::{Deserialize, Serialize};

/// Why a range belongs into the dump. The order is that of importance, which is also the order of writing: a file
/// that is cut off loses the least useful memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Purpose {
    /// Stack of the blamed thread.
    BlamedStack,
    /// Around the address that the crash was about.
    Crash,
    /// Around an instruction pointer.
    Code,
    /// Stack of any other thread.
    Stack,
    /// What the application asked for.
    Application,
    /// The dynamic loader's own structures.
    Loader,
    /// Around a pointer that was found in a register or on a stack.
    Indirect,
    /// Any other readable memory.
    Full,
}

impl Purpose {
    /// Whether this is a thread's stack.
    #[must_use]
    pub fn is_stack(self) -> bool {
        matches!(self, Self::BlamedStack | Self::Stack)
    }
}
