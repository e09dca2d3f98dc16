//! x86-64: NT_PRSTATUS, NT_X86_XSTATE (or NT_PRFPREG) and, when in use, the debug registers.

use super::super::ptrace;
use crate::snapshot::cpu::{Amd64State, DebugRegisters};
use crate::snapshot::{CpuState, XsaveComponent};
use libc::pid_t;
use std::io;
use std::mem::{offset_of, size_of};

/// <elf.h>
const NT_PRSTATUS: usize = 1;
const NT_PRFPREG: usize = 2;
const NT_X86_XSTATE: usize = 0x202;
/// FXSAVE image (Intel SDM volume 1 §10.5.1) and the XSAVE header behind it (§13.4.2).
const FXSAVE_SIZE: usize = 512;
const XSAVE_HEADER_END: usize = 576;
/// Length of the i386 register set, which the kernel gives for a 32-bit thread.
const I386_REGISTERS: usize = 68;

/// Reads the registers of many threads through buffers that it keeps.
#[derive(Debug)]
pub struct RegisterReader {
    general: [u8; size_of::<libc::user_regs_struct>()],
    xsave: Vec<u8>,
    components: Vec<XsaveComponent>,
}

impl RegisterReader {
    /// A reader for a processor whose XSAVE area has `components`.
    pub fn new(components: Vec<XsaveComponent>) -> Self {
        let end = components.iter().map(|part| part.offset as usize + part.size as usize).max().unwrap_or(0);
        Self {
            general: [0; size_of::<libc::user_regs_struct>()],
            // The kernel may know components that the list does not; what does not fit is cut, not an error.
            xsave: vec![0; end.max(XSAVE_HEADER_END).max(4096)],
            components,
        }
    }

    /// Reads the registers of a stopped thread, all but the debug registers. Fails when not even the general ones can be
    /// had; what else is missing is the second value.
    pub fn read(&mut self, tid: pid_t) -> io::Result<(CpuState, Option<io::Error>)> {
        let length = ptrace::register_set(tid, NT_PRSTATUS, &mut self.general)?;
        if length == I386_REGISTERS {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the thread runs 32-bit code"));
        }
        if length < self.general.len() {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        let mut state = general_registers(&self.general);
        let mut missing = None;
        match self.read_xsave(tid) {
            Ok(xsave) => state.xsave = xsave,
            Err(error) => missing = Some(error),
        }
        Ok((CpuState::Amd64(Box::new(state)), missing))
    }

    fn read_xsave(&mut self, tid: pid_t) -> io::Result<Vec<u8>> {
        let length = match ptrace::register_set(tid, NT_X86_XSTATE, &mut self.xsave) {
            Ok(length) => length,
            // No XSAVE on this processor.
            Err(_) => ptrace::register_set(tid, NT_PRFPREG, &mut self.xsave)?.min(FXSAVE_SIZE),
        };
        let area = self.xsave.get(..length).unwrap_or_default();
        Ok(area.get(..used_length(area, &self.components)).unwrap_or(area).to_vec())
    }
}

/// Where the last component in use ends.
fn used_length(area: &[u8], components: &[XsaveComponent]) -> usize {
    let Some(in_use) = area.get(FXSAVE_SIZE..FXSAVE_SIZE + 8).and_then(|bytes| bytes.try_into().ok()) else {
        return area.len().min(FXSAVE_SIZE);
    };
    let in_use = u64::from_le_bytes(in_use);
    components
        .iter()
        .filter(|part| in_use.checked_shr(part.index.into()).is_some_and(|bits| bits & 1 == 1))
        .map(|part| (part.offset as usize).saturating_add(part.size as usize))
        .filter(|end| *end <= area.len())
        .fold(XSAVE_HEADER_END, usize::max)
        .min(area.len())
}

/// The debug registers of a stopped thread, when DR7 enables any of the four breakpoints.
pub fn debug_registers(tid: pid_t) -> io::Result<Option<DebugRegisters>> {
    let register = |index: usize| ptrace::peek_user(tid, offset_of!(libc::user, u_debugreg) + index * 8);
    let dr7 = register(7)?;
    // The two low bits of DR7 for each of the four breakpoints enable it.
    if dr7.trailing_zeros() >= 8 {
        return Ok(None);
    }
    let dr0_3 = [register(0)?, register(1)?, register(2)?, register(3)?];
    Ok(Some(DebugRegisters { dr0_3, dr6: register(6)?, dr7 }))
}

#[expect(clippy::cast_possible_truncation, reason = "selectors are 16 bits wide, in 64-bit slots")]
fn general_registers(bytes: &[u8; size_of::<libc::user_regs_struct>()]) -> Amd64State {
    // struct user_regs_struct, <sys/user.h>: 27 words in this order.
    let mut words = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default()));
    let mut next = || words.next().unwrap_or_default();
    Amd64State {
        r15: next(),
        r14: next(),
        r13: next(),
        r12: next(),
        rbp: next(),
        rbx: next(),
        r11: next(),
        r10: next(),
        r9: next(),
        r8: next(),
        rax: next(),
        rcx: next(),
        rdx: next(),
        rsi: next(),
        rdi: next(),
        orig_rax: next(),
        rip: next(),
        cs: next() as u16,
        rflags: next(),
        rsp: next(),
        ss: next() as u16,
        fs_base: next(),
        gs_base: next(),
        ds: next() as u16,
        es: next() as u16,
        fs: next() as u16,
        gs: next() as u16,
        xsave: Vec::new(),
        debug: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn general_registers_are_in_the_order_of_the_kernel_header() {
        let mut bytes = [0; size_of::<libc::user_regs_struct>()];
        for (index, word) in bytes.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&(index as u64 + 100).to_ne_bytes());
        }
        let state = general_registers(&bytes);
        let at = |offset: usize| 100 + offset as u64 / 8;
        assert_eq!(state.r15, at(offset_of!(libc::user_regs_struct, r15)));
        assert_eq!(state.rbp, at(offset_of!(libc::user_regs_struct, rbp)));
        assert_eq!(state.rax, at(offset_of!(libc::user_regs_struct, rax)));
        assert_eq!(state.orig_rax, at(offset_of!(libc::user_regs_struct, orig_rax)));
        assert_eq!(state.rip, at(offset_of!(libc::user_regs_struct, rip)));
        assert_eq!(state.rflags, at(offset_of!(libc::user_regs_struct, eflags)));
        assert_eq!(state.rsp, at(offset_of!(libc::user_regs_struct, rsp)));
        assert_eq!(state.fs_base, at(offset_of!(libc::user_regs_struct, fs_base)));
        assert_eq!(u64::from(state.gs), at(offset_of!(libc::user_regs_struct, gs)));
    }

    #[test]
    fn the_xsave_area_is_cut_behind_the_last_component_in_use() {
        let component = |index, offset, size| XsaveComponent { index, offset, size };
        let components = [component(2, 576, 256), component(5, 1088, 64), component(7, 1664, 1024)];
        let mut area = vec![0; 2688];
        assert_eq!(
            used_length(&area, &components),
            576,
            "only the header tells that all is in its initial state"
        );
        area[512] = 1 << 2;
        assert_eq!(used_length(&area, &components), 832);
        area[512] = 1 << 5;
        assert_eq!(used_length(&area, &components), 1152);
        area[512] = 0xff;
        assert_eq!(used_length(&area, &components), 2688);
        assert_eq!(
            used_length(&area[..2000], &components),
            1152,
            "a component the kernel cut off is left out"
        );
        assert_eq!(used_length(&area[..512], &components), 512, "no XSAVE, no header");
        assert_eq!(used_length(&[], &components), 0);
    }
}
