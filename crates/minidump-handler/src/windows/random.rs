//! Bytes that nobody can guess.
#![expect(unsafe_code, reason = "a call of the system")]

use std::io;
use std::ptr;
use windows_sys::Win32::Security::Cryptography::{BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom};

/// Sixteen random bytes.
pub fn bytes() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // SAFETY: room for sixteen bytes, as told.
    let status =
        unsafe { BCryptGenRandom(ptr::null_mut(), bytes.as_mut_ptr(), 16, BCRYPT_USE_SYSTEM_PREFERRED_RNG) };
    if status < 0 {
        return Err(io::Error::other(format!("BCryptGenRandom: status {:#x}", status.cast_unsigned())));
    }
    Ok(bytes)
}
