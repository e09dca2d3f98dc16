//! The handles by which a crash is told, shared by the thread that crashes and the one that looks after the handler.
#![expect(unsafe_code, reason = "handles that are kept as numbers")]

use crate::protocol::windows::{HANDLE_COUNT, Registered};
use crate::windows::event::Event;
use std::mem::ManuallyDrop;
use std::os::windows::io::{AsHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// The handles, if there is a handler.
#[derive(Debug)]
pub struct Channel {
    is_there: AtomicBool,
    /// Threads that have looked for the handles and may use them. Nothing is changed while there are any.
    users: AtomicU32,
    handles: [AtomicUsize; HANDLE_COUNT],
    /// The handler, by its id; 0 when not known.
    pub handler: AtomicU32,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            is_there: AtomicBool::new(false),
            users: AtomicU32::new(0),
            handles: [const { AtomicUsize::new(0) }; HANDLE_COUNT],
            handler: AtomicU32::new(0),
        }
    }
}

impl Channel {
    /// Takes the handles of a new handler. `false` while a crash uses those of before; the new ones are then closed.
    pub fn open(&self, registered: Registered, handler: u32) -> bool {
        let Registered { request, alive, settled, failed, handler: process } = registered;
        let handles =
            [request, alive, settled, failed, process].map(|handle| usize::try_from(handle).unwrap_or(0));
        let is_free = self.close();
        if is_free {
            self.handles.iter().zip(handles).for_each(|(to, from)| to.store(from, Ordering::Relaxed));
            self.handler.store(handler, Ordering::Release);
            self.is_there.store(true, Ordering::SeqCst);
        } else {
            handles.into_iter().for_each(close);
        }
        is_free
    }

    /// There is no handler any more. `false` while a crash uses its handles, which are closed by the next call.
    pub fn close(&self) -> bool {
        self.is_there.store(false, Ordering::SeqCst);
        self.handler.store(0, Ordering::Release);
        // Whoever comes from now on finds nothing; whoever came before is counted.
        if self.users.load(Ordering::SeqCst) > 0 {
            return false;
        }
        self.handles.iter().for_each(|handle| close(handle.swap(0, Ordering::Relaxed)));
        true
    }

    /// The handles, for as long as the result lives. It takes no lock.
    pub fn get(&self) -> Option<Line<'_>> {
        self.users.fetch_add(1, Ordering::SeqCst);
        let user = User(&self.users);
        if !self.is_there.load(Ordering::SeqCst) {
            return None;
        }
        // SAFETY: handles that the handler has made for this process. They are closed only when nobody is counted, and this
        // value is until it is dropped; it does not close them itself.
        let [request, alive, settled, failed, handler] = [0, 1, 2, 3, 4]
            .map(|index| self.handles.get(index).map_or(0, |handle| handle.load(Ordering::Relaxed)))
            .map(|number| unsafe { OwnedHandle::from_raw_handle(ptr::with_exposed_provenance_mut(number)) })
            .map(ManuallyDrop::new);
        let event = |handle| ManuallyDrop::new(Event::of(ManuallyDrop::into_inner(handle)));
        Some(Line {
            request: event(request),
            alive: event(alive),
            settled: event(settled),
            failed: event(failed),
            handler,
            _user: user,
        })
    }
}

/// What a crash is told by.
#[derive(Debug)]
pub struct Line<'c> {
    pub request: ManuallyDrop<Event>,
    pub alive: ManuallyDrop<Event>,
    pub settled: ManuallyDrop<Event>,
    pub failed: ManuallyDrop<Event>,
    handler: ManuallyDrop<OwnedHandle>,
    _user: User<'c>,
}

impl Line<'_> {
    /// What is signalled when the handler has ended.
    pub fn handler(&self) -> BorrowedHandle<'_> {
        self.handler.as_handle()
    }
}

#[derive(Debug)]
struct User<'c>(&'c AtomicU32);

impl Drop for User<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn close(handle: usize) {
    if handle != 0 {
        // SAFETY: a handle that was made for this process, which nobody uses any more.
        drop(unsafe { OwnedHandle::from_raw_handle(ptr::with_exposed_provenance_mut(handle)) });
    }
}
