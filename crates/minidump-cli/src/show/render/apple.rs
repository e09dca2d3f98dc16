//! What only dumps of Apple's systems tell, as text for people.

use super::super::model::{Apple, Thread};
use super::{Page, registers};
use crate::text::counted;

/// What only dumps of Apple's systems tell of the process.
pub(super) fn process(page: &mut Page, apple: &Apple) {
    for info in &apple.crash_info {
        let texts = [&info.message, &info.message2, &info.signature, &info.backtrace];
        for text in texts.into_iter().flatten() {
            page.fact("crash text", &format!("{} (of {})", text.trim_end(), info.module));
        }
    }
    let facts = [
        ("dyld", apple.dyld_error.clone()),
        ("bundle", apple.bundle_version.clone()),
        ("boot args", apple.boot_args.clone().filter(|text| !text.is_empty())),
        ("address mask", apple.address_mask.filter(|mask| mask.0 != 0).map(|mask| format!("{:#x}", mask.0))),
        (
            "shared cache",
            apple.shared_cache.as_ref().map(|cache| format!("{} at {:#x}", cache.uuid, cache.base.0)),
        ),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            page.fact(name, &fact);
        }
    }
}

/// The dispatch queue, and what was suspended before.
pub(super) fn thread(thread: &Thread) -> Option<String> {
    let apple = thread.apple.as_ref()?;
    let mut parts = Vec::new();
    parts.extend(apple.dispatch_queue.as_ref().map(|queue| format!("dispatch queue {queue}")));
    if apple.suspend_count > 0 {
        parts.push(format!("suspended {}", counted(apple.suspend_count.into(), "time")));
    }
    (!parts.is_empty()).then(|| format!("  {}: {}", thread.id, parts.join(", ")))
}

/// The registers of the blamed thread, and what the processor recorded of its fault.
pub(super) fn blamed(page: &mut Page, threads: &[Thread]) {
    let Some(thread) = threads.iter().find(|thread| thread.blamed) else { return };
    registers::blamed(page, thread);
    if let Some(fault) = thread.apple.as_ref().and_then(|apple| apple.fault) {
        page.line(&format!("  fault at {:#x}, syndrome {:#x}", fault.address.0, fault.syndrome.0));
    }
}
