use super::*;
use std::collections::HashMap;
use std::io::Write as _;

const STACK: u64 = 0x10_0000;
const CALLER: u64 = 0x7ff6_0000_1234;
const STAMP: u32 = 0x6543_2100;
const SIZE: u32 = 0x4000;
/// Where the table of functions, the unwind information and the code lie; in the file as in memory.
const TABLE: usize = 0x400;
const UNWIND: u32 = 0x600;
const CODE: u32 = 0x1000;

/// An image of one section, whose functions are these: begin, end, unwind information.
fn image_bytes(functions: &[(u32, u32, Vec<u8>)], code: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 0x2000];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, b"MZ");
    put(0x3c, &0x80_u32.to_le_bytes());
    put(0x80, b"PE\0\0\x64\x86\x01\0");
    put(0x88, &STAMP.to_le_bytes());
    put(0x94, &240_u16.to_le_bytes());
    put(0x98, &0x20b_u16.to_le_bytes());
    put(0x98 + 56, &SIZE.to_le_bytes());
    put(0x98 + 60, &0x400_u32.to_le_bytes());
    put(
        0x98 + 136,
        &[u32::try_from(TABLE).unwrap(), 12 * u32::try_from(functions.len()).unwrap()]
            .map(u32::to_le_bytes)
            .concat(),
    );
    // The section: size and address in memory, then in the file.
    put(0x188 + 8, &[0x1c00_u32, 0x400, 0x1c00, 0x400].map(u32::to_le_bytes).concat());
    let mut unwind = UNWIND;
    for (index, (begin, end, information)) in functions.iter().enumerate() {
        put(TABLE + 12 * index, &[*begin, *end, unwind].map(u32::to_le_bytes).concat());
        put(unwind as usize, information);
        unwind += 0x40;
    }
    put(CODE as usize, code);
    bytes
}

/// `UNWIND_INFO`: flags, size of the prologue, frame register and offset, codes.
fn information(flags: u8, prologue: u8, frame: u8, codes: &[[u8; 2]]) -> Vec<u8> {
    let count = u8::try_from(codes.len()).unwrap();
    [&[1 | flags << 3, prologue, count, frame], codes.concat().as_slice()].concat()
}

struct File(tempfile::NamedTempFile);

impl File {
    fn new(functions: &[(u32, u32, Vec<u8>)], code: &[u8]) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&image_bytes(functions, code)).unwrap();
        Self(file)
    }

    fn image(&self) -> PeImage<'static> {
        PeImage::in_file(self.0.path(), STAMP, SIZE).unwrap()
    }
}

#[derive(Default)]
struct Walker {
    registers: HashMap<&'static str, u64>,
    /// Words of the stack, from [`STACK`] on.
    stack: Vec<u64>,
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
        let index = usize::try_from(address.checked_sub(STACK)? / 8).ok()?;
        self.stack.get(index).copied()
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
        self.set_caller_register("rsp", value)
    }

    fn set_ra(&mut self, value: u64) -> Option<()> {
        self.set_caller_register("rip", value)
    }
}

fn walker(is_called: bool, stack: &[u64]) -> Walker {
    let registers = HashMap::from([("rsp", STACK), ("rbx", 0xb), ("rbp", STACK + 0x20)]);
    Walker { registers, stack: stack.to_vec(), is_called, set: HashMap::new() }
}

fn stepped(file: &File, at: u32, mut walker: Walker) -> Option<Walker> {
    step(&file.image(), at, &mut walker)?;
    Some(walker)
}

/// push rbx; sub rsp, 0x20; and the epilogue add rsp, 0x20; pop rbx; ret at 0x1080.
fn simple() -> File {
    let codes = [[5, 0x32], [1, 0x30]];
    let mut code = vec![0x90; 0x100];
    code[0x80..0x86].copy_from_slice(&[0x48, 0x83, 0xc4, 0x20, 0x5b, 0xc3]);
    let function = (CODE, CODE + 0x100, information(0, 5, 0, &codes));
    File::new(&[(0x800, 0x900, information(0, 0, 0, &[])), function], &code)
}

#[test]
fn what_the_prologue_did_is_undone() {
    let walker = stepped(&simple(), CODE + 0x40, walker(true, &[1, 2, 3, 4, 0xbb, CALLER])).unwrap();
    assert_eq!((walker.set["rip"], walker.set["rsp"], walker.set["rbx"]), (CALLER, STACK + 0x30, 0xbb));
    assert_eq!(walker.set["rbp"], STACK + 0x20, "what was not saved is as it was");
    assert!(!walker.set.contains_key("r12"), "what is not known stays unknown");
}

#[test]
fn in_the_middle_of_a_prologue_only_what_was_done_is_undone() {
    for (inside, stack, rsp, rbx) in [
        (0, [CALLER, 0, 0], STACK + 8, 0xb),
        (1, [0xbb, CALLER, 0], STACK + 16, 0xbb),
        (4, [0xbb, CALLER, 0], STACK + 16, 0xbb),
    ] {
        let walker = stepped(&simple(), CODE + inside, walker(false, &stack)).unwrap();
        assert_eq!((walker.set["rip"], walker.set["rsp"], walker.set["rbx"]), (CALLER, rsp, rbx), "{inside}");
    }
}

#[test]
fn an_epilogue_is_executed_to_its_end() {
    for (at, stack, rsp) in [
        (0x80, vec![1, 2, 3, 4, 0xbb, CALLER], STACK + 0x30),
        (0x84, vec![0xbb, CALLER], STACK + 0x10),
        (0x85, vec![CALLER], STACK + 8),
    ] {
        let walker = stepped(&simple(), CODE + at, walker(false, &stack)).unwrap();
        assert_eq!((walker.set["rip"], walker.set["rsp"]), (CALLER, rsp), "{at:#x}");
    }
}

#[test]
fn a_function_without_entry_has_its_caller_at_the_stack_pointer() {
    let found = stepped(&simple(), 0x980, walker(false, &[CALLER])).unwrap();
    assert_eq!((found.set["rip"], found.set["rsp"]), (CALLER, STACK + 8));
    assert!(
        stepped(&simple(), 0x980, walker(true, &[CALLER])).is_none(),
        "one that called somebody has an entry"
    );
}

#[test]
fn a_frame_register_stands_for_the_stack_pointer() {
    // rbp is 0x20 above the allocation of 0x1000 bytes; rsi was saved 0x18 above its start.
    let codes = [[12, 0x64], [3, 0], [8, 0x03], [5, 0x01], [0x00, 0x02]];
    let file = File::new(&[(CODE, CODE + 0x100, information(0, 12, 0x25, &codes))], &[]);
    let mut stack = vec![0; 0x300];
    stack[3] = 0x51;
    stack[0x1000 / 8] = CALLER;
    let mut moved = walker(true, &stack);
    // alloca has lowered the stack pointer; only the frame register tells.
    moved.registers.insert("rsp", STACK + 0x8);
    let walker = stepped(&file, CODE + 0x40, moved).unwrap();
    assert_eq!((walker.set["rip"], walker.set["rsp"], walker.set["rsi"]), (CALLER, STACK + 0x1008, 0x51));
}

#[test]
fn chained_information_goes_on_in_the_first_part() {
    let first = information(0, 1, 0, &[[1, 0x30]]);
    let mut second = information(CHAINED, 4, 0, &[[4, 0x02]]);
    // Padded to an even number of slots, then the entry of the first part.
    second.extend([0, 0]);
    second.extend([CODE, CODE + 0x80, UNWIND].map(u32::to_le_bytes).concat());
    let file = File::new(&[(CODE, CODE + 0x80, first), (CODE + 0x80, CODE + 0x100, second)], &[]);
    let walker = stepped(&file, CODE + 0xc0, walker(true, &[0, 0xbb, CALLER])).unwrap();
    assert_eq!((walker.set["rip"], walker.set["rsp"], walker.set["rbx"]), (CALLER, STACK + 24, 0xbb));
}

#[test]
fn what_an_interrupt_left_tells_both_pointers() {
    for (has_error, stack) in
        [(0, vec![CALLER, 0x33, 0x246, 0x5000]), (1, vec![2, CALLER, 0x33, 0x246, 0x5000])]
    {
        let codes = [[0, has_error << 4 | 0xa]];
        let file = File::new(&[(CODE, CODE + 0x100, information(0, 0, 0, &codes))], &[]);
        let walker = stepped(&file, CODE + 0x40, walker(true, &stack)).unwrap();
        assert_eq!((walker.set["rip"], walker.set["rsp"]), (CALLER, 0x5000));
    }
}

#[test]
fn large_allocations_and_far_saves_have_numbers_of_32_bits() {
    // sub rsp, 0x12340 told in two slots; r12 saved at 0x10008.
    let codes = [[9, 0xc5], [0x08, 0x00], [0x01, 0x00], [7, 0x11], [0x40, 0x23], [0x01, 0x00]];
    let file = File::new(&[(CODE, CODE + 0x100, information(0, 9, 0, &codes))], &[]);
    let mut stack = vec![0; 0x12348 / 8 + 1];
    stack[0x1_0008 / 8] = 0x12;
    stack[0x1_2340 / 8] = CALLER;
    let walker = stepped(&file, CODE + 0x40, walker(true, &stack)).unwrap();
    assert_eq!((walker.set["rip"], walker.set["rsp"], walker.set["r12"]), (CALLER, STACK + 0x1_2348, 0x12));
}

#[test]
fn another_build_is_not_taken() {
    let file = simple();
    assert!(PeImage::in_file(file.0.path(), STAMP + 1, SIZE).is_none());
    assert!(PeImage::in_file(file.0.path(), STAMP, SIZE + 1).is_none());
}

#[test]
fn only_paths_on_a_drive_are_looked_at_and_only_on_windows() {
    use super::super::pe_image::place;
    for path in [r"\\server\share\a.dll", r"\\?\C:\a.dll", r"C:a.dll", "/usr/lib/a.so", "//server/a", ""] {
        assert_eq!(place(path), None, "{path}");
    }
    assert_eq!(place(r"C:\Windows\a.dll").is_some(), cfg!(windows));
}

#[test]
fn damage_is_no_danger() {
    let file = simple();
    let whole = std::fs::read(file.0.path()).unwrap();
    let parts = (0..0x200).chain(TABLE..TABLE + 24).chain(UNWIND as usize..UNWIND as usize + 0x60);
    for (index, at) in parts.enumerate() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            std::fs::write(file.0.path(), bytes).unwrap();
            let Some(image) = PeImage::in_file(file.0.path(), STAMP, SIZE) else { continue };
            for place in [CODE, CODE + 3, CODE + 0x80, CODE + 0xff, u32::MAX] {
                step(&image, place, &mut walker(index % 2 == 0, &[1, 2, 3, 4, 5, CALLER]));
            }
        }
    }
}
