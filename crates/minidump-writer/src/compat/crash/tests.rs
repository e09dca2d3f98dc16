use super::*;
use crate::snapshot::CpuState;
use crate::snapshot::cpu::Amd64State;
use ::crash_context::CrashContext;

/// Offsets in a crash context of this machine.
const SIGINFO: usize = std::mem::offset_of!(CrashContext, siginfo);
const FLOAT_STATE: usize = std::mem::offset_of!(CrashContext, float_state);

/// A crash context with `siginfo` (of either layout) and all else zero.
fn context(siginfo: &[u8]) -> CrashContext {
    let mut bytes = vec![0; size_of::<CrashContext>()];
    bytes[SIGINFO..SIGINFO + siginfo.len()].copy_from_slice(siginfo);
    let mut context = CrashContext::from_bytes(&bytes).expect("of the right size");
    context.pid = 1000;
    context.tid = 1001;
    context.context.uc_mcontext.gregs[16] = 0x40_1234;
    context
}

/// 128 bytes that start with signal and code and have `fields` at the given offsets.
fn siginfo(signal: i32, code: i32, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes[..4].copy_from_slice(&signal.to_le_bytes());
    bytes[8..12].copy_from_slice(&code.to_le_bytes());
    for (offset, field) in fields {
        bytes[*offset..offset + field.len()].copy_from_slice(field);
    }
    bytes
}

fn exception(siginfo: &[u8]) -> Exception {
    from_crash_context(&context(siginfo)).exception
}

fn state(context: &CrashContext) -> Amd64State {
    match from_crash_context(context).cpu {
        Some(CpuState::Amd64(state)) => *state,
        other => panic!("no x86-64 registers: {other:?}"),
    }
}

#[test]
fn every_general_register_comes_from_its_own_slot() {
    let mut context = context(&siginfo(libc::SIGSEGV, 1, &[]));
    for (register, index) in context.context.uc_mcontext.gregs.iter_mut().zip(0_i64..) {
        *register = -0x1111_0000_0000_0000 + index;
    }
    // ss, fs, gs, cs.
    context.context.uc_mcontext.gregs[libc::REG_CSGSFS as usize] = 0x002b_0053_0047_0033;
    let slot = |index: libc::c_int| (-0x1111_0000_0000_0000 + i64::from(index)).cast_unsigned();
    let expected = Amd64State {
        rax: slot(libc::REG_RAX),
        rbx: slot(libc::REG_RBX),
        rcx: slot(libc::REG_RCX),
        rdx: slot(libc::REG_RDX),
        rsi: slot(libc::REG_RSI),
        rdi: slot(libc::REG_RDI),
        rbp: slot(libc::REG_RBP),
        rsp: slot(libc::REG_RSP),
        r8: slot(libc::REG_R8),
        r9: slot(libc::REG_R9),
        r10: slot(libc::REG_R10),
        r11: slot(libc::REG_R11),
        r12: slot(libc::REG_R12),
        r13: slot(libc::REG_R13),
        r14: slot(libc::REG_R14),
        r15: slot(libc::REG_R15),
        rip: slot(libc::REG_RIP),
        rflags: slot(libc::REG_EFL),
        cs: 0x33,
        gs: 0x47,
        fs: 0x53,
        ss: 0x2b,
        orig_rax: u64::MAX,
        ..Amd64State::default()
    };
    assert_eq!(state(&context), expected);
    let parameters = from_crash_context(&context).exception.parameters;
    let trap = [slot(libc::REG_TRAPNO), slot(libc::REG_ERR), slot(libc::REG_CR2)];
    assert_eq!(parameters[2..], trap);
}

#[test]
fn the_float_state_becomes_the_fxsave_image() {
    let mut bytes = vec![0; size_of::<CrashContext>()];
    // The layout of fpregset_t is that of FXSAVE, so each byte keeps its place. Its last 96 bytes are the kernel's.
    for (byte, value) in bytes[FLOAT_STATE..FLOAT_STATE + 512].iter_mut().zip((1_u8..252).cycle()) {
        *byte = value;
    }
    let image = state(&CrashContext::from_bytes(&bytes).expect("of the right size")).xsave;
    assert_eq!(image.len(), 512);
    assert_eq!(image[..416], bytes[FLOAT_STATE..FLOAT_STATE + 416]);
    assert!(image[416..].iter().all(|byte| *byte == 0), "reserved bytes are not passed on");
}

#[test]
fn a_context_without_float_state_has_no_fxsave_image() {
    assert_eq!(state(&context(&[])).xsave, [0; 0]);
}

#[test]
fn a_memory_fault_tells_address_and_what_the_processor_said() {
    let address = 0x7fff_1234_5678_9abc_u64.to_le_bytes();
    let kernel = siginfo(libc::SIGSEGV, 1, &[(16, &address)]);
    let signalfd = siginfo(libc::SIGSEGV, 1, &[(72, &address)]);
    for bytes in [kernel, signalfd] {
        let mut context = context(&bytes);
        context.context.uc_mcontext.gregs[libc::REG_TRAPNO as usize] = 14;
        context.context.uc_mcontext.gregs[libc::REG_ERR as usize] = 6;
        context.context.uc_mcontext.gregs[libc::REG_CR2 as usize] = 0x7fff_1234_5678_9abc;
        let expected = Exception {
            thread: 1001,
            code: 11,
            flags: 1,
            address: 0x7fff_1234_5678_9abc,
            parameters: vec![1, 0x7fff_1234_5678_9abc, 14, 6, 0x7fff_1234_5678_9abc],
        };
        assert_eq!(from_crash_context(&context).exception, expected);
    }
}

#[test]
fn what_old_kernels_leave_behind_a_fault_is_no_address() {
    let (address, rest) = (0x40_5678_u64.to_le_bytes(), [0xee; 80]);
    assert_eq!(exception(&siginfo(libc::SIGSEGV, 2, &[(16, &address), (48, &rest)])).address, 0x40_5678);
}

#[test]
fn a_sender_does_not_hide_the_address_of_a_hand_made_context() {
    let (pid, uid, address) = (4711_u32.to_le_bytes(), 1002_u32.to_le_bytes(), 0x40_5678_u64.to_le_bytes());
    let exception = exception(&siginfo(libc::SIGSEGV, 2, &[(12, &pid), (16, &uid), (72, &address)]));
    assert_eq!(exception.address, 0x40_5678);
}

#[test]
fn a_null_pointer_has_address_zero_and_not_the_instruction_pointer() {
    let exception = exception(&siginfo(libc::SIGSEGV, 1, &[]));
    assert_eq!((exception.address, exception.parameters), (0, vec![1, 0, 0, 0, 0]));
}

#[test]
fn a_general_protection_fault_keeps_the_address_zero_that_readers_know_it_by() {
    let exception = exception(&siginfo(libc::SIGSEGV, 0x80, &[]));
    assert_eq!((exception.address, exception.flags), (0, 0x80));
}

#[test]
fn a_breakpoint_is_at_the_instruction_pointer() {
    let exception = exception(&siginfo(libc::SIGTRAP, 0x80, &[]));
    assert_eq!((exception.address, exception.code), (0x40_1234, 5));
}

#[test]
fn further_facts_of_a_fault_follow_behind_the_common_ones() {
    let address = 0x1000_u64.to_le_bytes();
    let fault = |signal, code, offset, field: &[u8]| {
        exception(&siginfo(signal, code, &[(16, &address), (offset, field)])).parameters[5..].to_vec()
    };
    let bounds = [0x2000_u64.to_le_bytes(), 0x3000_u64.to_le_bytes()].concat();
    assert_eq!(fault(libc::SIGSEGV, 3, 32, &bounds), [0x2000, 0x3000]);
    assert_eq!(fault(libc::SIGSEGV, 4, 32, &7_u32.to_le_bytes()), [7]);
    assert_eq!(fault(libc::SIGBUS, 4, 24, &12_u16.to_le_bytes()), [12]);
    assert_eq!(fault(libc::SIGBUS, 5, 24, &12_u16.to_le_bytes()), [12]);
    let signalfd = siginfo(libc::SIGBUS, 5, &[(72, &address), (80, &12_u16.to_le_bytes())]);
    assert_eq!(exception(&signalfd).parameters, [5, 0x1000, 0, 0, 0, 12]);
}

#[test]
fn a_signal_of_a_process_tells_its_sender() {
    let (pid, uid) = (4711_u32.to_le_bytes(), 1002_u32.to_le_bytes());
    let expected = Exception {
        thread: 1001,
        code: 6,
        flags: (-6_i32).cast_unsigned(),
        address: 0x40_1234,
        parameters: vec![(-6_i64).cast_unsigned(), 4711, 1002],
    };
    assert_eq!(exception(&siginfo(libc::SIGABRT, -6, &[(16, &pid), (20, &uid)])), expected);
    assert_eq!(exception(&siginfo(libc::SIGABRT, -6, &[(12, &pid), (16, &uid)])), expected);
    let killed = exception(&siginfo(libc::SIGSEGV, 0, &[(16, &pid), (20, &uid)]));
    assert_eq!((killed.address, killed.parameters), (0x40_1234, vec![0, 4711, 1002]));
}

#[test]
fn a_queued_signal_tells_its_value() {
    let (pid, uid) = (4711_u32.to_le_bytes(), 0_u32.to_le_bytes());
    let value = 0x1122_3344_5566_7788_u64.to_le_bytes();
    let expected = [(-1_i64).cast_unsigned(), 4711, 0, 0x1122_3344_5566_7788];
    let kernel = siginfo(libc::SIGABRT, -1, &[(16, &pid), (20, &uid), (24, &value)]);
    assert_eq!(exception(&kernel).parameters, expected);
    let signalfd = siginfo(libc::SIGABRT, -1, &[(12, &pid), (16, &uid), (48, &value)]);
    assert_eq!(exception(&signalfd).parameters, expected);
}

#[test]
fn a_refused_system_call_tells_which_and_where() {
    let (address, number) = (0x7f00_0000_1234_u64.to_le_bytes(), 59_u32.to_le_bytes());
    // AUDIT_ARCH_X86_64 of <linux/audit.h>.
    let architecture = 0xc000_003e_u32.to_le_bytes();
    let expected = [1, 0x7f00_0000_1234, 59, 0xc000_003e];
    for offsets in [[16, 24, 28], [88, 84, 96]] {
        let fields: [(usize, &[u8]); 3] =
            [(offsets[0], &address), (offsets[1], &number), (offsets[2], &architecture)];
        let exception = exception(&siginfo(libc::SIGSYS, 1, &fields));
        assert_eq!(exception.address, 0x7f00_0000_1234);
        assert_eq!(exception.parameters, expected);
    }
}

#[test]
fn of_any_other_signal_only_the_code_is_told() {
    let exception = exception(&siginfo(libc::SIGALRM, 0x80, &[]));
    assert_eq!((exception.address, exception.parameters), (0x40_1234, vec![0x80]));
}
