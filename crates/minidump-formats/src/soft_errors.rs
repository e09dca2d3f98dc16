//! Soft errors as all formats have them: a JSON array of objects, `[]` when all went well.

use crate::json::{self, Json, Object};
use minidump_snapshot::SoftError;

/// Those of the capture, and then those of the encoder.
pub(crate) fn json(captured: &[SoftError], encoded: &[SoftError]) -> Vec<u8> {
    json::text(&captured.iter().chain(encoded).collect::<Vec<_>>())
}

/// In the form that `SoftError` is deserialised from.
impl Json for SoftError {
    fn write(&self, to: &mut Vec<u8>) {
        Object::default()
            .field("stage", self.stage.name())
            .field("message", self.message.as_str())
            .known("thread", self.thread)
            .known("address", self.address)
            .known("size", self.size)
            .known("os_error", self.os_error)
            .write(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minidump_snapshot::Stage;
    use proptest::{collection::vec, prelude::*, sample::select};

    const STAGES: [Stage; 12] = [
        Stage::StopThread,
        Stage::Registers,
        Stage::ThreadFacts,
        Stage::MemoryMap,
        Stage::Memory,
        Stage::Module,
        Stage::Loader,
        Stage::ProcFile,
        Stage::Handles,
        Stage::System,
        Stage::Target,
        Stage::Format,
    ];

    #[test]
    fn every_stage_has_the_name_that_it_is_serialised_with() {
        for stage in STAGES {
            let error = [SoftError::new(stage, "")];
            assert_eq!(json(&error, &[]), serde_json::to_vec(&error).unwrap());
        }
    }

    fn any_error() -> impl Strategy<Value = SoftError> {
        let numbers = any::<(Option<u32>, Option<u64>, Option<u64>, Option<i32>)>();
        (select(STAGES.to_vec()), any::<String>(), numbers).prop_map(
            |(stage, message, (thread, address, size, os_error))| SoftError {
                stage,
                message,
                thread,
                address,
                size,
                os_error,
            },
        )
    }

    proptest! {
        #[test]
        fn soft_errors_are_what_serde_json_makes_of_them(
            captured in vec(any_error(), 0..4),
            encoded in vec(any_error(), 0..4),
        ) {
            let all: Vec<&SoftError> = captured.iter().chain(&encoded).collect();
            prop_assert_eq!(json(&captured, &encoded), serde_json::to_vec(&all).unwrap());
        }
    }
}
