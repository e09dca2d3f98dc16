//! Reading what C hands over. What can be checked is checked: null pointers, alignment, counts, UTF-8. Whether memory is
//! there cannot be; that is what the callers promise in their `unsafe`.
#![expect(unsafe_code, reason = "pointers of C")]
#![cfg_attr(
    not(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64")),
    allow(dead_code, reason = "some of it is read for the client alone")
)]

use crate::failure::Failure;
use std::ffi::{CStr, OsStr, c_char};
use std::mem::MaybeUninit;
use std::path::Path;

/// `mdw_annotation`: what a program says of itself.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Annotation {
    /// Its name: UTF-8 that ends with zero.
    pub key: *const c_char,
    /// What is said: UTF-8 that ends with zero.
    pub value: *const c_char,
}

/// Most elements of a list that ends with a null pointer: one that goes on has no end.
const MOST_ELEMENTS: usize = 4096;
/// Most annotations of a call.
const MOST_ANNOTATIONS: usize = 4096;

/// A structure of C whose first field, a `size_t`, tells how long the caller's version of it is.
///
/// # Safety
/// It is `repr(C)`, begins with a `usize`, and all zeros, any other bytes in its numbers, and any pointers are values
/// of it.
pub unsafe trait Versioned: Copy {
    /// Its name in the header.
    const NAME: &'static str;
    /// The length of its first version, in bytes.
    const FIRST: usize;
}

/// A pointer that a function writes a result of some type through.
///
/// # Safety
/// `pointer` must be null, or memory for a `T` that may be written until the result is no longer used.
pub unsafe fn out<'a, T>(name: &'static str, pointer: *mut T) -> Result<&'a mut MaybeUninit<T>, Failure> {
    check(name, pointer)?;
    // SAFETY: neither null nor misaligned, and by the caller's promise there. It need not be initialised.
    Ok(unsafe { &mut *pointer.cast::<MaybeUninit<T>>() })
}

/// The text at `pointer`.
///
/// # Safety
/// `pointer` must be null, or bytes that end with zero and stay as they are until the result is no longer used.
pub unsafe fn text<'a>(name: &'static str, pointer: *const c_char) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { string(name, pointer) }?;
    bytes.to_str().map_err(|_| Failure::Utf8(name))
}

/// The text at `pointer`; `None` at a null pointer.
///
/// # Safety
/// As for [`text`].
pub unsafe fn optional_text<'a>(
    name: &'static str,
    pointer: *const c_char,
) -> Result<Option<&'a str>, Failure> {
    // SAFETY: the caller's promise.
    if pointer.is_null() { Ok(None) } else { unsafe { text(name, pointer) }.map(Some) }
}

/// The path at `pointer`, which may be of any bytes but not empty.
///
/// # Safety
/// As for [`text`].
pub unsafe fn path<'a>(name: &'static str, pointer: *const c_char) -> Result<&'a Path, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { string(name, pointer) }?;
    if bytes.is_empty() {
        Err(Failure::Argument(name, "it is empty"))
    } else {
        os(name, bytes).map(Path::new)
    }
}

/// The path at `pointer`; `None` at a null pointer.
///
/// # Safety
/// As for [`text`].
pub unsafe fn optional_path<'a>(
    name: &'static str,
    pointer: *const c_char,
) -> Result<Option<&'a Path>, Failure> {
    // SAFETY: the caller's promise.
    if pointer.is_null() { Ok(None) } else { unsafe { path(name, pointer) }.map(Some) }
}

/// The strings of a list that ends with a null pointer. A null pointer is an empty list.
///
/// # Safety
/// `list` must be null, or pointers of which the last one is null and the others are as for [`text`].
pub unsafe fn strings<'a>(name: &'static str, list: *const *const c_char) -> Result<Vec<&'a OsStr>, Failure> {
    let mut strings = Vec::new();
    if list.is_null() {
        return Ok(strings);
    }
    check(name, list)?;
    for index in 0..MOST_ELEMENTS {
        // SAFETY: none of those before was the null pointer at the end, so there is one more.
        let pointer = unsafe { *list.add(index) };
        if pointer.is_null() {
            return Ok(strings);
        }
        // SAFETY: the caller's promise.
        strings.push(os(name, unsafe { string(name, pointer) }?)?);
    }
    Err(Failure::Argument(name, "it does not end with a null pointer"))
}

/// The annotations of an array.
///
/// # Safety
/// `array` must be null or so many annotations as `count` says, their texts as for [`text`].
pub unsafe fn annotations(array: *const Annotation, count: usize) -> Result<Vec<(String, String)>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    check("annotations", array)?;
    if count > MOST_ANNOTATIONS {
        return Err(Failure::Argument("annotation_count", "it is too large"));
    }
    // SAFETY: neither null nor misaligned; the caller promises that they are there.
    let array = unsafe { std::slice::from_raw_parts(array, count) };
    // SAFETY: the caller's promise.
    let read = |one: &Annotation| unsafe {
        Ok((text("annotation key", one.key)?.to_owned(), text("annotation value", one.value)?.to_owned()))
    };
    array.iter().map(read).collect()
}

/// The structure at `pointer`, whatever version of it the caller knows: fields that it does not know are zero. What it
/// has beyond those that are known here must be zero.
///
/// # Safety
/// `pointer` must be null, or a `usize` and then memory up to the size that this says.
pub unsafe fn structure<T: Versioned>(pointer: *const T) -> Result<T, Failure> {
    // SAFETY: the caller's promise.
    let size = unsafe { size(pointer) }?;
    let bytes = pointer.cast::<u8>();
    // SAFETY: the caller promises memory of this size.
    let beyond = unsafe { std::slice::from_raw_parts(bytes, size) }.get(size_of::<T>()..).unwrap_or_default();
    if beyond.iter().any(|byte| *byte != 0) {
        return Err(Failure::Newer(T::NAME));
    }
    let mut known = MaybeUninit::<T>::zeroed();
    // SAFETY: no more than either of them has.
    unsafe { bytes.copy_to_nonoverlapping(known.as_mut_ptr().cast::<u8>(), size.min(size_of::<T>())) };
    // SAFETY: zeros and the caller's bytes are values of it, as it promises.
    Ok(unsafe { known.assume_init() })
}

/// Fills the structure at `pointer`, as far as the caller knows its fields. Its size stays as it is.
///
/// # Safety
/// `pointer` must be null, or a `usize` and then memory up to the size that this says, which may be written.
pub unsafe fn fill<T: Versioned>(pointer: *mut T, mut value: T) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let size = unsafe { size(pointer.cast_const()) }?;
    // SAFETY: both begin with the size, and no more is copied than either of them has.
    unsafe {
        (&raw mut value).cast::<usize>().write(size);
        (&raw const value)
            .cast::<u8>()
            .copy_to_nonoverlapping(pointer.cast::<u8>(), size.min(size_of::<T>()));
    }
    Ok(())
}

/// Longest structure that is believed, in bytes.
const LONGEST: usize = 4096;

/// The size that the structure at `pointer` tells, which is at least that of its first version.
///
/// # Safety
/// `pointer` must be null, or a `usize`.
pub unsafe fn size<T: Versioned>(pointer: *const T) -> Result<usize, Failure> {
    check(T::NAME, pointer)?;
    // SAFETY: it begins with its size.
    let size = unsafe { *pointer.cast::<usize>() };
    if (T::FIRST..=LONGEST).contains(&size) {
        return Ok(size);
    }
    Err(Failure::Argument(T::NAME, "its field `size` must be the size of the structure"))
}

/// The bytes up to the zero.
///
/// # Safety
/// As for [`text`].
unsafe fn string<'a>(name: &'static str, pointer: *const c_char) -> Result<&'a CStr, Failure> {
    check(name, pointer)?;
    // SAFETY: not null; the caller promises the rest.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

fn check<T>(name: &'static str, pointer: *const T) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::Argument(name, "it is a null pointer"));
    }
    if !pointer.is_aligned() {
        return Err(Failure::Argument(name, "it is not aligned"));
    }
    Ok(())
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn os<'a>(_name: &'static str, string: &'a CStr) -> Result<&'a OsStr, Failure> {
    Ok(std::os::unix::ffi::OsStrExt::from_bytes(string.to_bytes()))
}

/// Paths are UTF-8 where they are no bytes.
#[cfg(not(unix))]
fn os<'a>(name: &'static str, string: &'a CStr) -> Result<&'a OsStr, Failure> {
    string.to_str().map(OsStr::new).map_err(|_| Failure::Utf8(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    struct Known {
        size: usize,
        first: u32,
        second: u32,
    }

    // SAFETY: numbers, the first of which is a usize.
    unsafe impl Versioned for Known {
        const NAME: &'static str = "known";
        const FIRST: usize = 12;
    }

    #[derive(Clone, Copy)]
    #[repr(C, align(8))]
    struct Longer(Known, u64);

    fn longer(size: usize, beyond: u64) -> Longer {
        Longer(Known { size, first: 1, second: 2 }, beyond)
    }

    fn read(there: &Longer) -> Result<Known, Failure> {
        // SAFETY: the sizes of the tests are not beyond it.
        unsafe { structure(ptr::from_ref(there).cast::<Known>()) }
    }

    #[test]
    fn fields_that_an_older_caller_does_not_know_are_zero() {
        let known = read(&longer(12, 0)).unwrap();
        assert_eq!((known.first, known.second), (1, 0));
        let known = read(&longer(16, 7)).unwrap();
        assert_eq!((known.first, known.second), (1, 2));
    }

    #[test]
    fn what_a_newer_caller_asks_for_is_refused_and_what_it_leaves_at_zero_is_not() {
        assert_eq!(read(&longer(24, 0)).unwrap().second, 2);
        assert!(matches!(read(&longer(24, 1 << 63)), Err(Failure::Newer("known"))));
    }

    #[test]
    fn sizes_that_no_version_has_are_refused() {
        for size in [0, 11, LONGEST + 1, usize::MAX] {
            assert!(matches!(read(&longer(size, 0)), Err(Failure::Argument("known", _))), "{size}");
        }
    }

    #[test]
    fn a_result_goes_no_further_than_the_caller_knows() {
        let mut there = longer(12, 9);
        let value = Known { size: 0, first: 10, second: 20 };
        // SAFETY: the size is within the structure.
        unsafe { fill(ptr::from_mut(&mut there).cast::<Known>(), value) }.unwrap();
        assert_eq!((there.0.size, there.0.first, there.0.second, there.1), (12, 10, 2, 9));
    }

    #[test]
    fn null_and_misaligned_pointers_are_refused() {
        // SAFETY: null or refused before it is looked at.
        unsafe {
            assert!(matches!(text("a", ptr::null()), Err(Failure::Argument("a", _))));
            assert!(matches!(path("a", ptr::null()), Err(Failure::Argument("a", _))));
            assert!(matches!(path("a", c"".as_ptr()), Err(Failure::Argument("a", _))));
            assert!(matches!(structure::<Known>(ptr::null()), Err(Failure::Argument("known", _))));
            let odd = ptr::without_provenance::<Known>(17);
            assert!(matches!(structure(odd), Err(Failure::Argument("known", _))));
            assert!(matches!(annotations(ptr::null(), 1), Err(Failure::Argument("annotations", _))));
            assert!(annotations(ptr::null(), 0).unwrap().is_empty());
            assert!(strings("a", ptr::null()).unwrap().is_empty());
        }
    }

    #[test]
    fn texts_are_utf8_and_paths_need_not_be() {
        let bytes = c"\xff\xfe";
        // SAFETY: a string that ends with zero.
        unsafe {
            assert!(matches!(text("a", bytes.as_ptr()), Err(Failure::Utf8("a"))));
            assert_eq!(path("a", bytes.as_ptr()).unwrap().as_os_str().as_encoded_bytes(), b"\xff\xfe");
            assert_eq!(text("a", c"\xc3\xa4".as_ptr()).unwrap(), "ä");
        }
    }

    #[test]
    fn a_list_ends_with_a_null_pointer() {
        let list = [c"one".as_ptr(), c"".as_ptr(), ptr::null(), c"no more".as_ptr()];
        // SAFETY: it ends with a null pointer.
        assert_eq!(unsafe { strings("a", list.as_ptr()) }.unwrap(), ["one", ""]);
        let endless = vec![c"x".as_ptr(); MOST_ELEMENTS];
        // SAFETY: given up before its end.
        assert!(matches!(unsafe { strings("a", endless.as_ptr()) }, Err(Failure::Argument("a", _))));
    }
}
