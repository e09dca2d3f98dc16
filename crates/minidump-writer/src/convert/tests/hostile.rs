//! Dumps that are cut off, damaged or made to do harm.

use super::*;
use proptest::prelude::*;

#[test]
fn what_is_no_dump_is_refused() {
    let refusal = |bytes: &[u8]| converted(bytes, None).unwrap_err();
    assert!(matches!(refusal(b""), ConvertError::NotADump));
    assert!(matches!(refusal(b"GIF89a"), ConvertError::NotADump));
    assert!(matches!(refusal(b"\x7fELF"), ConvertError::Damaged { .. }));
    assert!(matches!(refusal(b"MDMP"), ConvertError::Damaged { .. }));
    let program = std::fs::read("/proc/self/exe").unwrap();
    assert!(matches!(refusal(&program), ConvertError::NotACore));
    let mut other = core_of(&crashed());
    other[18] = 183;
    assert!(matches!(refusal(&other), ConvertError::OtherMachine { .. }));
}

#[test]
fn a_core_that_is_cut_off_yields_what_is_in_it() {
    let core = core_of(&crashed());
    let memory = core.len() - 3 * 0xf80 - 24;
    // Behind the first two stacks and a half.
    let (_, report) = converted(&core[..memory + 2 * 0xf80 + 0x100], None).unwrap();
    assert_eq!(report.threads, 3);
    let is_told = |text: &str| report.soft_errors.iter().any(|error| error.message.contains(text));
    assert!(is_told("cut off"), "{:?}", report.soft_errors);
    // Behind the status of the first thread.
    let notes = 64 + 56 * usize::from(u16::from_le_bytes([core[56], core[57]]));
    let (bytes, report) = converted(&core[..notes + 356], None).unwrap();
    assert_eq!(report.threads, 1);
    let dump = ::minidump::Minidump::read(bytes.as_slice()).unwrap();
    let threads: ::minidump::MinidumpThreadList = dump.get_stream().unwrap();
    let context = threads.threads[0].context(&dump.get_stream().unwrap(), None).unwrap();
    assert_eq!(context.get_instruction_pointer(), registers(2).rip);
}

#[test]
fn every_cut_is_survived() {
    for whole in [core_of(&crashed()), minidump_of(&crashed())] {
        for size in (0..whole.len()).step_by(61) {
            let _ = converted(&whole[..size], None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damage_is_survived(
        is_core in any::<bool>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let mut bytes = if is_core { core_of(&crashed()) } else { minidump_of(&crashed()) };
        for (index, value) in damage {
            // Most of what steers a reader is in the first part of a dump.
            let end = bytes.len().min(8192);
            bytes[index.index(end)] = value;
        }
        let _ = converted(&bytes, None);
    }

    #[test]
    fn words_that_are_as_large_as_can_be_are_survived(
        is_core in any::<bool>(),
        places in proptest::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let mut bytes = if is_core { core_of(&crashed()) } else { minidump_of(&crashed()) };
        for place in places {
            let at = 16 + place.index(1000) * 4;
            bytes[at..at + 4].fill(0xff);
        }
        let _ = converted(&bytes, None);
    }
}
