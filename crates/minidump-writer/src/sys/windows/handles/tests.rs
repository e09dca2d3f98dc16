use super::*;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use windows_sys::Win32::System::Threading::{CreateEventW, EVENT_ALL_ACCESS};

/// While handles are looked into there are copies of them, which count: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn of_this_process() -> (Vec<WindowsHandle>, Vec<SoftError>) {
    let mut errors = Vec::new();
    // SAFETY: the pseudo handle of the own process is always open.
    let own = unsafe { BorrowedHandle::borrow_raw(GetCurrentProcess()) };
    let deadline = Instant::now() + Duration::from_secs(60);
    (handles(own, std::process::id(), deadline, &mut errors), errors)
}

fn find(handles: &[WindowsHandle], handle: &impl AsRawHandle) -> WindowsHandle {
    let value = handle.as_raw_handle() as u64;
    handles.iter().find(|handle| handle.value == value).expect("listed").clone()
}

/// An event of this name.
fn event(name: &str) -> OwnedHandle {
    let name: Vec<u16> = name.encode_utf16().chain([0]).collect();
    // SAFETY: the name ends with a zero.
    let event = unsafe { CreateEventW(std::ptr::null(), 1, 0, name.as_ptr()) };
    assert!(!event.is_null());
    // SAFETY: the handle was just made, and nobody else knows it.
    unsafe { OwnedHandle::from_raw_handle(event) }
}

#[test]
fn an_event_has_its_type_name_rights_and_counts() {
    let _alone = alone();
    let first = event("minidump-writer handles test");
    let second = event("minidump-writer handles test");
    let (handles, _) = of_this_process();
    assert!(handles.is_sorted_by_key(|handle| handle.value));
    for event in [&first, &second] {
        let found = find(&handles, event);
        assert_eq!(found.type_name, "Event");
        let name = found.name.expect("it has one");
        assert!(name.ends_with(r"\minidump-writer handles test"), "{name}");
        assert_eq!(found.granted_access, EVENT_ALL_ACCESS);
        assert_eq!((found.handle_count, found.attributes), (2, 0));
        assert!(found.pointer_count >= 1);
    }
}

#[test]
fn a_file_has_its_path_and_a_pipe_is_not_asked() {
    let _alone = alone();
    let path = std::env::current_exe().unwrap();
    let file = File::open(&path).unwrap();
    let (read, write) = io::pipe().unwrap();
    let ends: [OwnedHandle; 2] = [read.into(), write.into()];
    let (handles, errors) = of_this_process();
    let found = find(&handles, &file);
    assert_eq!(found.type_name, "File");
    let name = found.name.expect("it has one");
    assert!(name.ends_with(path.file_name().unwrap().to_str().unwrap()), "{name}");
    for end in &ends {
        let found = find(&handles, end);
        assert_eq!((found.type_name.as_str(), found.name), ("File", None));
    }
    assert!(errors.iter().all(|error| error.stage == Stage::Handles), "{errors:?}");
}

#[test]
fn after_the_deadline_only_values_are_listed() {
    let _alone = alone();
    let event = event("minidump-writer late handles test");
    let mut errors = Vec::new();
    // SAFETY: the pseudo handle of the own process is always open.
    let own = unsafe { BorrowedHandle::borrow_raw(GetCurrentProcess()) };
    let handles = handles(own, std::process::id(), Instant::now(), &mut errors);
    let found = find(&handles, &event);
    assert_eq!((found.type_name.as_str(), found.name, found.granted_access), ("", None, EVENT_ALL_ACCESS));
    let expected = format!("{} handles were not looked into: the deadline had passed", handles.len());
    assert_eq!(errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>(), [expected]);
}

#[test]
fn no_handle_is_left_over() {
    let _alone = alone();
    let event = event("minidump-writer no handle left test");
    let file = tempfile::NamedTempFile::new().unwrap();
    let name = file.path().file_name().unwrap().to_str().unwrap();
    for _ in 0..20 {
        let (handles, _) = of_this_process();
        assert_eq!(find(&handles, &event).handle_count, 1);
        let names = handles.iter().filter_map(|handle| handle.name.as_deref());
        assert_eq!(names.filter(|found| found.ends_with(name)).count(), 1);
    }
}
