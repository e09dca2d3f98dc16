//! The limits by count, bytes and age: which dumps have to go.

use super::files::regular_len;
use super::layout::Place;
use super::{Id, Pruned, Store, StoreError, clock};

/// A dump, as the limits see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub place: Place,
    pub id: Id,
    /// Of the dump and of its metadata.
    pub bytes: u64,
}

/// A name this much later than now comes from a clock that was wrong.
const CLOCK_TOLERANCE_US: u64 = 86_400_000_000;

/// All dumps, in the order in which they are given up: completed before pending, then those from the future (a clock
/// that was wrong for an hour would otherwise keep its dumps longest), then by age.
pub(super) fn items(store: &Store, now_us: u64) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    for place in [Place::Completed, Place::Pending] {
        for id in store.layout.list(place)?.dumps {
            let Some(dump) = regular_len(&store.layout.dump(place, &id)) else { continue };
            let metadata = regular_len(&store.layout.metadata(place, &id)).unwrap_or(0);
            items.push(Item { place, id, bytes: dump.saturating_add(metadata) });
        }
    }
    let last_sane = now_us.saturating_add(CLOCK_TOLERANCE_US);
    items.sort_by_key(|item| (item.place == Place::Pending, item.id.when_us() <= last_sane, item.id));
    Ok(items)
}

/// Removes what is over the limits; `fresh` stays whatever it costs.
///
/// # Errors
/// The first removal that failed. The others have been tried.
pub(super) fn enforce(
    store: &Store,
    now_us: u64,
    fresh: Option<&Id>,
    pruned: &mut Pruned,
) -> Result<(), StoreError> {
    if store.limits.keep_all() {
        return Ok(());
    }
    let items = items(store, now_us)?;
    let (old, mut young): (Vec<&Item>, Vec<&Item>) = items
        .iter()
        .filter(|item| Some(&item.id) != fresh)
        .partition(|item| is_too_old(&item.id, now_us, clock::in_us(store.limits.age)));
    let mut outcome = Ok(());
    let mut remove = |item: &Item| {
        let removed = store.delete(item.place, &item.id);
        match removed {
            Ok(true) => pruned.count(item),
            Ok(false) => {}
            Err(error) => {
                if outcome.is_ok() {
                    outcome = Err(error);
                }
                return false;
            }
        }
        true
    };
    let mut count = u64::try_from(items.len()).unwrap_or(u64::MAX);
    let mut bytes = items.iter().map(|item| item.bytes).fold(bytes_in_new(store), u64::saturating_add);
    let over = |count: u64, bytes: u64| count > store.limits.count || bytes > store.limits.bytes;
    for item in old.into_iter().map(|item| (item, true)).chain(young.drain(..).map(|item| (item, false))) {
        if (item.1 || over(count, bytes)) && remove(item.0) {
            count = count.saturating_sub(1);
            bytes = bytes.saturating_sub(item.0.bytes);
        }
    }
    outcome
}

/// A name from before any plausible time comes from a machine whose clock was not set yet: its age is not known.
fn is_too_old(id: &Id, now_us: u64, age_us: u64) -> bool {
    id.when_us() >= clock::FIRST_PLAUSIBLE_US && now_us.saturating_sub(id.when_us()) > age_us
}

fn bytes_in_new(store: &Store) -> u64 {
    let Ok(listing) = store.layout.list(Place::New) else { return 0 };
    let sizes = listing.dumps.iter().filter_map(|id| regular_len(&store.layout.dump(Place::New, id)));
    sizes.fold(0, u64::saturating_add)
}
