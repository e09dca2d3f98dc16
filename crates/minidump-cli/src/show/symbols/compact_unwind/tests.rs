use super::*;
use gimli::RunTimeEndian;
use std::collections::HashMap;
use std::sync::Arc;

const BASE: u64 = 0x1_0000_0000;

/// Two pages: a regular one with functions at 0x100 and 0x200, a compressed one with functions at 0x1000 and 0x1010.
fn info() -> Vec<u8> {
    let mut words: Vec<u32> = vec![1, 28, 1, 32, 0, 32, 3];
    // The one common encoding.
    words.push(0x0400_0000);
    // Index: start, page, no language data; the last one is the end.
    words.extend([0x100, 68, 0, 0x1000, 96, 0, 0x2000, 0, 0]);
    // The regular page: two entries behind a header of eight bytes.
    words.extend([REGULAR, 0x0002_0008, 0x100, 0x0200_3000, 0x200, 0, 0]);
    // The compressed page: two entries behind twelve bytes, one encoding of its own behind them.
    words.extend([COMPRESSED, 0x0002_000c, 0x0001_0014, 0, 0x0100_0010, 0x0200_0000]);
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn unwind(info: Vec<u8>, is_arm64: bool) -> CompactUnwind {
    CompactUnwind { info: Section::new(Arc::from(info), RunTimeEndian::Little), base: BASE, is_arm64 }
}

fn found(address: u64) -> Option<(u64, u32)> {
    unwind(info(), true).lookup(address).map(|function| (function.start - BASE, function.encoding))
}

#[test]
fn functions_are_found_on_pages_of_both_kinds() {
    assert_eq!(found(BASE + 0xff), None);
    assert_eq!(found(BASE + 0x100), Some((0x100, 0x0200_3000)));
    assert_eq!(found(BASE + 0x1ff), Some((0x100, 0x0200_3000)));
    assert_eq!(found(BASE + 0x200), None, "no encoding, no information");
    assert_eq!(found(BASE + 0x100f), Some((0x1000, 0x0400_0000)), "a common encoding");
    assert_eq!(found(BASE + 0x1fff), Some((0x1010, 0x0200_0000)), "one of the page");
    assert_eq!(found(BASE + 0x2000), None);
    assert_eq!((found(0), found(u64::MAX)), (None, None));
}

#[test]
fn damaged_information_is_no_danger() {
    let whole = info();
    for cut in 0..whole.len() {
        let unwind = unwind(whole[..cut].to_vec(), true);
        for offset in [0x100, 0x200, 0x1000, 0x1010, 0x2000] {
            let _ = unwind.lookup(BASE + offset);
        }
    }
    for at in 0..whole.len() / 4 {
        for value in [0, 1, 0xffff, u32::MAX] {
            let mut damaged = whole.clone();
            damaged[4 * at..4 * at + 4].copy_from_slice(&value.to_le_bytes());
            let unwind = unwind(damaged, true);
            for offset in [0x100, 0x1000, 0x1010] {
                let _ = unwind.lookup(BASE + offset);
            }
        }
    }
}

/// A thread with these registers and this memory; remembers what is set.
#[derive(Default)]
struct Walker {
    registers: HashMap<&'static str, u64>,
    memory: HashMap<u64, u64>,
    is_called: bool,
    set: HashMap<String, u64>,
}

impl FrameWalker for Walker {
    fn get_instruction(&self) -> u64 {
        0
    }
    fn has_grand_callee(&self) -> bool {
        self.is_called
    }
    fn get_grand_callee_parameter_size(&self) -> u32 {
        0
    }
    fn get_register_at_address(&self, address: u64) -> Option<u64> {
        self.memory.get(&address).copied()
    }
    fn get_callee_register(&self, name: &str) -> Option<u64> {
        self.registers.get(name).copied()
    }
    fn set_caller_register(&mut self, name: &str, value: u64) -> Option<()> {
        self.set.insert(name.into(), value);
        Some(())
    }
    fn clear_caller_register(&mut self, name: &str) {
        self.set.remove(name);
    }
    fn set_cfa(&mut self, value: u64) -> Option<()> {
        self.set_caller_register("cfa", value)
    }
    fn set_ra(&mut self, value: u64) -> Option<()> {
        self.set_caller_register("ra", value)
    }
}

fn walked(encoding: u32, inside: u64, is_arm64: bool) -> Option<(u64, u64, Option<u64>)> {
    let registers = HashMap::from([("sp", 0x7000), ("x30", 0x42), ("rsp", 0x7000)]);
    let memory = (0..16).map(|index| (0x7000 + 8 * index, 0x100 + index)).collect();
    let mut walker = Walker { registers, memory, ..Walker::default() };
    let step = if is_arm64 { arm64 } else { x86_64 };
    step(encoding, inside, &mut walker)?;
    Some((walker.set["cfa"], walker.set["ra"], walker.set.get("rbp").copied()))
}

#[test]
fn a_function_of_arm64_without_frame_has_its_caller_in_the_link_register() {
    assert_eq!(walked(0x0200_0000, 8, true), Some((0x7000, 0x42, None)));
    assert_eq!(walked(0x0200_3000, 8, true), Some((0x7030, 0x42, None)));
    assert_eq!(walked(0x0200_3000, 0, true), Some((0x7000, 0x42, None)), "nothing is on the stack yet");
    assert_eq!(walked(0x0400_0000, 0, true), Some((0x7000, 0x42, None)));
    assert_eq!(walked(0x0400_0000, 8, true), None, "the frame pointer tells");
    assert_eq!(walked(0x0300_0000, 8, true), None);
}

#[test]
fn a_function_of_x86_64_without_frame_has_its_caller_on_the_stack() {
    assert_eq!(walked(0x0100_0000, 0, false), Some((0x7008, 0x100, None)));
    assert_eq!(walked(0x0100_0000, 1, false), Some((0x7010, 0x101, Some(0x100))));
    assert_eq!(walked(0x0100_0000, 4, false), None, "the frame pointer tells");
    assert_eq!(walked(0x0204_0000, 9, false), Some((0x7020, 0x103, None)));
    assert_eq!(walked(0x02ff_0000, 9, false), None, "not in the dump");
    assert_eq!(walked(0x0400_0000, 9, false), None);
}

#[test]
fn registers_on_the_stack_are_numbered_by_their_permutation() {
    let saved = |count: u32, permutation: u32| saved_registers(count << 10 | permutation);
    assert_eq!(saved(0, 0), Some(vec![]));
    assert_eq!(saved(1, 5), Some(vec!["rbp"]));
    assert_eq!(saved(2, 0), Some(vec!["rbx", "r12"]));
    // 5 * 5 + 4: the last of six, then the last of the five that are left.
    assert_eq!(saved(2, 29), Some(vec!["rbp", "r15"]));
    assert_eq!(saved(6, 0), Some(vec!["rbx", "r12", "r13", "r14", "r15", "rbp"]));
    assert_eq!(saved(6, 719), Some(vec!["rbp", "r15", "r14", "r13", "r12", "rbx"]));
    assert_eq!(saved(1, 6), None);
    assert_eq!(saved(7, 0), None);
    assert_eq!(saved(6, 0x3ff), None);
}

#[test]
fn a_frame_pointer_that_was_pushed_is_restored() {
    // Four words of stack: one free, RBX and RBP, the return address.
    let encoding = X86_64_IMMEDIATE | 4 << 16 | 2 << 10 | 4;
    assert_eq!(saved_registers(encoding), Some(vec!["rbx", "rbp"]));
    assert_eq!(walked(encoding, 9, false), Some((0x7020, 0x103, Some(0x102))));
}

#[test]
fn only_innermost_functions_are_looked_up() {
    let mut walker = Walker { is_called: true, ..Walker::default() };
    assert!(unwind(info(), true).step(BASE + 0x100, &mut walker).is_none());
}
