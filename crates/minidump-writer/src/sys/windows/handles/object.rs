//! What the system tells of an object to which this process has a handle (`NtQueryObject`).

use super::super::ntdll::Status;
use super::is_too_small;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use windows_sys::Wdk::Foundation::{NtQueryObject, ObjectBasicInformation, ObjectTypeInformation};

/// `ObjectNameInformation` of OBJECT_INFORMATION_CLASS.
const NAME_INFORMATION: i32 = 1;

/// Words of a first answer, and of the longest one: a name has 64 KiB at most, behind a UNICODE_STRING.
const FIRST: usize = 128;
const LONGEST: usize = (66 << 10) / WORD;
const WORD: usize = size_of::<usize>();

/// Name of the object's type. Asks nobody but the object manager.
pub fn type_name(handle: BorrowedHandle<'_>) -> Result<String, Status> {
    Ok(leading_string(&ask(handle, ObjectTypeInformation)?).unwrap_or_default())
}

/// Name of the object; `None` when it has none. Of a file, this asks whom the file belongs to, and may wait for ever.
pub fn name(handle: BorrowedHandle<'_>) -> Result<Option<String>, Status> {
    Ok(leading_string(&ask(handle, NAME_INFORMATION)?).filter(|name| !name.is_empty()))
}

/// How many handles and references there are to the object, these here included.
pub fn counts(handle: BorrowedHandle<'_>) -> Result<(u32, u32), Status> {
    let mut numbers = [0_u32; 14];
    let size = u32::try_from(size_of_val(&numbers)).unwrap_or(0);
    // SAFETY: the handle is open, and PUBLIC_OBJECT_BASIC_INFORMATION is 14 numbers of 32 bits.
    let status = unsafe {
        NtQueryObject(
            handle.as_raw_handle(),
            ObjectBasicInformation,
            numbers.as_mut_ptr().cast(),
            size,
            std::ptr::null_mut(),
        )
    };
    let [_, _, handles, pointers, ..] = numbers;
    if status >= 0 { Ok((handles, pointers)) } else { Err(Status(status)) }
}

/// The answer in class `class`, which begins with a UNICODE_STRING.
fn ask(handle: BorrowedHandle<'_>, class: i32) -> Result<Vec<usize>, Status> {
    let mut words = vec![0_usize; FIRST];
    loop {
        let size = u32::try_from(words.len().saturating_mul(WORD)).unwrap_or(0);
        let mut came = 0;
        let buffer = words.as_mut_ptr().cast();
        // SAFETY: the handle is open, and the buffer has as many bytes as are said.
        let status = unsafe { NtQueryObject(handle.as_raw_handle(), class, buffer, size, &raw mut came) };
        if status >= 0 {
            return Ok(words);
        }
        if !is_too_small(Status(status)) || words.len() >= LONGEST {
            return Err(Status(status));
        }
        words = vec![0; LONGEST];
    }
}

/// The text of the UNICODE_STRING at the start of `words`, where it lies behind it.
fn leading_string(words: &[usize]) -> Option<String> {
    let [lengths, buffer, ..] = *words else { return None };
    // Length, in bytes, is the first 16 bits. On 64-bit systems padding follows the maximum length.
    let length = lengths & 0xffff;
    let start = buffer.checked_sub(words.as_ptr().addr())?;
    let units: Vec<u16> = words
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .skip(start)
        .take(length)
        .collect::<Vec<u8>>()
        .chunks_exact(2)
        .map(|pair| pair.iter().rev().fold(0, |unit, byte| unit << 8 | u16::from(*byte)))
        .collect();
    (units.len() == length / 2).then(|| String::from_utf16_lossy(&units))
}
