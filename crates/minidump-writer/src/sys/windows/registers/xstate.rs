//! Registers that the processor saves by XSAVE: AVX and what came after it.
//!
//! Source: "Working with XState Context", <https://learn.microsoft.com/windows/win32/debug/working-with-xstate-context>.
#![expect(unsafe_code, reason = "calls of the system")]

use super::super::processor;
use super::{Context, Fields, native};
use crate::snapshot::{Cpu, XsaveComponent};
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr::{NonNull, null_mut};
use windows_sys::Win32::System::Diagnostics::Debug::{
    CONTEXT, GetThreadContext, GetXStateFeaturesMask, InitializeContext, LocateXStateFeature,
    SetXStateFeaturesMask,
};

/// `CONTEXT_XSTATE` without the bit of the processor.
const XSTATE: u32 = 0x40;

/// XCR0 bits of x87 and SSE, whose state lies in the FXSAVE image.
const LEGACY: u64 = 3;

/// The FXSAVE image, and with the header behind it, in bytes (Intel SDM volume 1 §13.4).
const FXSAVE: usize = 512;
const WITH_HEADER: usize = 576;

/// Largest structure that is made: the system's own is below 16 KiB with all that there is.
const MOST: u32 = 1 << 20;

/// Components of the XSAVE area beyond x87 and SSE.
fn components() -> Vec<XsaveComponent> {
    match processor::cpu(false) {
        Cpu::Amd64 { xsave, .. } | Cpu::X86 { xsave, .. } => xsave,
        _ => Vec::new(),
    }
}

/// A CONTEXT with room for the XSAVE area, which the system laid out.
#[derive(Debug)]
pub struct XstateContext {
    /// `context` points into this, so that it must neither move nor grow.
    _room: Vec<Line>,
    context: NonNull<CONTEXT>,
    components: Vec<XsaveComponent>,
    enabled: u64,
}

/// So aligned that the system need not move what it lays out.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl XstateContext {
    /// `None` where there is nothing beyond x87 and SSE, or the system has no such structure.
    pub fn new() -> Option<Self> {
        let components = components();
        let enabled = components.iter().fold(0_u64, |mask, component| mask | 1 << component.index);
        let flags = native::Context::ALL | XSTATE;
        let mut length = 0;
        // SAFETY: without a buffer, the call tells how long it has to be, and writes nothing else.
        unsafe { InitializeContext(null_mut(), flags, null_mut(), &raw mut length) };
        if enabled == 0 || length == 0 || length > MOST {
            return None;
        }
        let mut room = vec![Line([0; 64]); usize::try_from(length).ok()?.div_ceil(64)];
        let mut context = null_mut();
        // SAFETY: the buffer is as long as said, and the other pointers are to variables of the types that the call writes.
        let done =
            unsafe { InitializeContext(room.as_mut_ptr().cast(), flags, &raw mut context, &raw mut length) };
        let context = NonNull::new(context).filter(|_| done != 0)?;
        Some(Self { _room: room, context, components, enabled })
    }

    /// The registers of `thread`: the structure as it is without XSTATE, and the XSAVE area.
    pub fn read(&mut self, thread: BorrowedHandle<'_>) -> io::Result<(native::Context, Vec<u8>)> {
        let context = self.context.as_ptr();
        // SAFETY: the system made this structure in `_room`, which is exclusive while `self` is.
        let done = unsafe {
            (*context).ContextFlags = native::Context::ALL | XSTATE;
            SetXStateFeaturesMask(context, self.enabled) != 0
                && GetThreadContext(thread.as_raw_handle(), context) != 0
        };
        if !done {
            return Err(io::Error::last_os_error());
        }
        let mut plain = native::Context::empty();
        let bytes = plain.bytes_mut();
        // SAFETY: the structure begins with as many bytes as the type has, and the two do not overlap.
        unsafe { context.cast::<u8>().copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        let area = self.area(&plain);
        Ok((plain, area))
    }

    /// The area in standard format, cut behind the last component that is in use.
    fn area(&self, plain: &native::Context) -> Vec<u8> {
        let mut mask = 0;
        // SAFETY: the structure is the system's own, and the pointer is to a variable of the type that the call writes.
        let known = unsafe { GetXStateFeaturesMask(self.context.as_ptr(), &raw mut mask) } != 0;
        let mut area = Fields(plain.bytes()).array::<FXSAVE>(native::FXSAVE).to_vec();
        area.resize(WITH_HEADER, 0);
        let mut in_use = LEGACY;
        for component in self.components.iter().filter(|part| known && mask >> part.index & 1 == 1) {
            if let Some(bytes) = self.component(component) {
                put(&mut area, component, bytes);
                in_use |= 1 << component.index;
            }
        }
        if let Some(header) = area.get_mut(FXSAVE..FXSAVE + size_of::<u64>()) {
            header.copy_from_slice(&in_use.to_le_bytes());
        }
        area
    }

    fn component(&self, component: &XsaveComponent) -> Option<&[u8]> {
        let mut length = 0;
        // SAFETY: as above.
        let place =
            unsafe { LocateXStateFeature(self.context.as_ptr(), component.index.into(), &raw mut length) };
        let length = length.min(component.size);
        // SAFETY: the system tells that so many bytes of the component lie there, in its structure in `_room`.
        NonNull::new(place.cast::<u8>())
            .map(|place| unsafe { std::slice::from_raw_parts(place.as_ptr(), length as usize) })
    }
}

/// Puts the bytes of `component` to their place in `area`, which grows as needed.
fn put(area: &mut Vec<u8>, component: &XsaveComponent, bytes: &[u8]) {
    let Ok(start) = usize::try_from(component.offset) else { return };
    let end = start.saturating_add(bytes.len());
    if area.len() < end {
        area.resize(end, 0);
    }
    if let Some(place) = area.get_mut(start..end) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_lies_at_its_offset_and_the_area_grows_to_hold_it() {
        let mut area = vec![0; 576];
        put(&mut area, &XsaveComponent { index: 2, offset: 576, size: 4 }, &[1, 2, 3, 4]);
        assert_eq!((area.len(), &area[576..]), (580, [1, 2, 3, 4].as_slice()));
        put(&mut area, &XsaveComponent { index: 9, offset: 0x260, size: 8 }, &[9; 8]);
        assert_eq!((area.len(), area[580], &area[0x260..]), (0x268, 0, [9; 8].as_slice()));
    }
}
