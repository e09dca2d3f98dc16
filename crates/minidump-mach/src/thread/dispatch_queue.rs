use crate::memory::TaskMemory;

/// Offset of `dq_label` in `struct dispatch_queue_s`, in all versions of libdispatch for 64 bits.
const LABEL_OFFSET: u64 = 72;

/// Most bytes of a label.
const MOST_LABEL: usize = 256;

/// The label of the dispatch queue whose address lies at `queue_address`. `None` when there is none, or when what is found
/// there is no text.
pub fn label(queue_address: u64, memory: &TaskMemory<'_>) -> Option<Vec<u8>> {
    if queue_address == 0 {
        return None;
    }
    let queue = memory.read_u64(queue_address).ok().filter(|queue| *queue != 0)?;
    let text = memory.read_u64(queue.checked_add(LABEL_OFFSET)?).ok()?;
    let (label, ended) = memory.read_string(text, MOST_LABEL).ok()?;
    let is_text = std::str::from_utf8(&label).is_ok_and(|text| !text.chars().any(char::is_control));
    (ended && is_text && !label.is_empty()).then_some(label)
}
