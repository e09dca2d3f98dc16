//! Evaluates the DWARF expressions in call frame information (DWARF 5, sections 2.5 and 6.4.2).

use super::cfi::register_name;
use super::object_file::Section;
use gimli::{Encoding, EvaluationResult, Expression, Location, Value};
use minidump_unwind::FrameWalker;

/// Most operations executed. Real expressions have fewer than twenty.
const MOST_OPERATIONS: u32 = 1000;

/// The value of `expression`, started with `initial` on its stack. Needs at most registers and stack memory.
pub fn evaluate(
    expression: Expression<Section>,
    encoding: Encoding,
    initial: Option<u64>,
    walker: &(dyn FrameWalker + Send),
) -> Option<u64> {
    let mut evaluation = expression.evaluation(encoding);
    evaluation.set_max_iterations(MOST_OPERATIONS);
    if let Some(initial) = initial {
        evaluation.set_initial_value(initial);
    }
    let mut state = evaluation.evaluate().ok()?;
    // Every round needs an operation, whose number is bounded.
    loop {
        state = match state {
            EvaluationResult::Complete => break,
            EvaluationResult::RequiresMemory { address, size, .. } => {
                let word = walker.get_register_at_address(address)?;
                evaluation.resume_with_memory(Value::Generic(truncated(word, size))).ok()?
            }
            EvaluationResult::RequiresRegister { register, .. } => {
                let value = walker.get_callee_register(register_name(register)?)?;
                evaluation.resume_with_register(Value::Generic(value)).ok()?
            }
            _ => return None,
        };
    }
    match evaluation.as_result() {
        [piece] => match piece.location {
            Location::Address { address } => Some(address),
            _ => None,
        },
        _ => None,
    }
}

/// The lowest `size` bytes of a word.
fn truncated(word: u64, size: u8) -> u64 {
    match size {
        0..8 => word & ((1 << (u32::from(size) * 8)) - 1),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimli::{Format, RunTimeEndian};
    use std::sync::Arc;

    /// Every register holds 0x1000, every word of memory its address plus one.
    struct Walker;

    impl FrameWalker for Walker {
        fn get_instruction(&self) -> u64 {
            0
        }
        fn has_grand_callee(&self) -> bool {
            false
        }
        fn get_grand_callee_parameter_size(&self) -> u32 {
            0
        }
        fn get_register_at_address(&self, address: u64) -> Option<u64> {
            (address < 0x8000).then_some(address + 1)
        }
        fn get_callee_register(&self, _name: &str) -> Option<u64> {
            Some(0x1000)
        }
        fn set_caller_register(&mut self, _name: &str, _value: u64) -> Option<()> {
            None
        }
        fn clear_caller_register(&mut self, _name: &str) {}
        fn set_cfa(&mut self, _value: u64) -> Option<()> {
            None
        }
        fn set_ra(&mut self, _value: u64) -> Option<()> {
            None
        }
    }

    fn value(code: &[u8], initial: Option<u64>) -> Option<u64> {
        let section = Section::new(Arc::from(code), RunTimeEndian::Little);
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 4 };
        evaluate(Expression(section), encoding, initial, &Walker)
    }

    #[test]
    fn registers_memory_and_the_initial_value_are_used() {
        // DW_OP_breg7 160, DW_OP_deref: how a signal frame finds the stack pointer it interrupted.
        assert_eq!(value(&[0x77, 0xa0, 0x01, 0x06], None), Some(0x10a1));
        // DW_OP_lit8, DW_OP_plus on top of the frame address.
        assert_eq!(value(&[0x38, 0x22], Some(0x2000)), Some(0x2008));
        // DW_OP_breg7 0xff, DW_OP_deref_size 1: only the lowest byte.
        assert_eq!(value(&[0x77, 0xfe, 0x01, 0x94, 1], None), Some(0xff));
    }

    #[test]
    fn what_cannot_be_evaluated_has_no_value() {
        assert_eq!(value(&[], None), None);
        assert_eq!(value(&[0x06], None), None);
        // Memory that is not in the dump.
        assert_eq!(value(&[0x0a, 0xff, 0xff, 0x06], None), None);
        // DW_OP_skip to itself, for ever.
        assert_eq!(value(&[0x2f, 0xfd, 0xff], None), None);
        // DW_OP_bregx of a register that x86-64 has not.
        assert_eq!(value(&[0x92, 0x40, 0x00], None), None);
    }
}
