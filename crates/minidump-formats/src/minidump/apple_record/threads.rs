use super::text::Text;
use minidump_snapshot::{AppleThread, FaultState, Snapshot, Thread};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What only Apple's systems tell of a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ThreadRecord {
    /// The id in the thread list.
    id: u32,
    /// The name, when it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    apple: Option<AppleThreadRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AppleThreadRecord {
    thread_id: u64,
    handle: u64,
    dispatch_queue: Option<Text>,
    suspend_count: u32,
    fault: Option<FaultState>,
}

impl ThreadRecord {
    /// `None` when the other streams tell all of `thread`.
    pub(super) fn new(thread: &Thread) -> Option<Self> {
        let raw = thread.name.as_deref().filter(|name| std::str::from_utf8(name).is_err());
        let name = raw.map(Text::new);
        let apple = thread.apple.as_deref().map(|apple| AppleThreadRecord {
            thread_id: apple.id,
            handle: apple.handle,
            dispatch_queue: apple.dispatch_queue.as_deref().map(Text::new),
            suspend_count: apple.suspend_count,
            fault: apple.fault,
        });
        (name.is_some() || apple.is_some()).then_some(Self { id: thread.id, name, apple })
    }

    /// Completes the threads of the same ids.
    pub(super) fn restore(records: Vec<Self>, snapshot: &mut Snapshot) {
        let mut records: HashMap<u32, Self> = records.into_iter().map(|record| (record.id, record)).collect();
        for thread in &mut snapshot.threads {
            let Some(record) = records.remove(&thread.id) else { continue };
            if let Some(name) = record.name {
                thread.name = Some(name.into_bytes());
            }
            thread.apple = record.apple.map(|apple| {
                Box::new(AppleThread {
                    id: apple.thread_id,
                    handle: apple.handle,
                    dispatch_queue: apple.dispatch_queue.map(Text::into_bytes),
                    suspend_count: apple.suspend_count,
                    fault: apple.fault,
                })
            });
        }
    }
}
