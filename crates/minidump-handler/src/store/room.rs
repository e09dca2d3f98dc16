//! What is given up where the disk is full: older dumps, the oldest first, those that somebody has taken before those
//! that nobody has seen.

use super::files::is_full;
use super::layout::Place;
use super::{Id, Store, quota};
use std::io;

/// How many dumps may go for one attempt. Removing the first mostly helps; where the hundredth does not, the disk is
/// full for another reason.
const MOST_REMOVED: u32 = 100;

/// How many dumps that nobody has seen may go for one new dump.
pub(super) const MOST_UNSEEN: u32 = 8;

impl Store {
    /// Tries something, and where the disk is full removes a dump and tries again. `for_whom` is never removed;
    /// `unseen` is how many dumps of `pending` may go, and is counted down.
    pub(super) fn with_room<T>(
        &self,
        for_whom: Option<&Id>,
        unseen: &mut u32,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut result = attempt();
        for _ in 0..MOST_REMOVED {
            match &result {
                Err(error) if is_full(error) && self.give_up_one(for_whom, unseen) => result = attempt(),
                _ => break,
            }
        }
        result
    }

    /// Removes the dump that is missed least. Whether there was one.
    fn give_up_one(&self, for_whom: Option<&Id>, unseen: &mut u32) -> bool {
        let Ok(items) = quota::items(self, super::clock::now_us()) else { return false };
        for item in items.iter().filter(|item| Some(&item.id) != for_whom) {
            if item.place == Place::Pending {
                let Some(left) = unseen.checked_sub(1) else { return false };
                *unseen = left;
            }
            if self.delete(item.place, &item.id).is_ok() {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{Folder, commit};
    use crate::store::{Limits, StoreError};

    /// Something that finds the disk full until `enough` of the dumps are gone.
    fn needs(folder: &Folder, enough: usize, unseen: &mut u32) -> io::Result<u8> {
        let before = folder.names().len();
        let fails = || io::Error::from(io::ErrorKind::StorageFull);
        folder.store.with_room(None, unseen, || {
            if before - folder.names().len() >= enough { Ok(7) } else { Err(fails()) }
        })
    }

    #[test]
    fn taken_dumps_go_first_and_only_as_many_as_must() -> Result<(), StoreError> {
        let folder = Folder::new(Limits::none());
        let ids: Vec<Id> = (1..=4).map(|when| commit(&folder.store, when)).collect();
        folder.store.complete(&ids[2])?;
        folder.store.complete(&ids[3])?;
        // A dump is two files.
        assert_eq!(needs(&folder, 2, &mut 0).unwrap(), 7);
        assert_eq!(folder.pending_ids(), [ids[0], ids[1]]);
        assert_eq!(folder.completed_ids(), [ids[3]]);
        let mut unseen = 1;
        assert_eq!(needs(&folder, 4, &mut unseen).unwrap(), 7);
        assert_eq!((folder.pending_ids(), folder.completed_ids(), unseen), (vec![ids[1]], vec![], 0));
        Ok(())
    }

    #[test]
    fn what_nobody_has_seen_goes_only_as_far_as_allowed() {
        let folder = Folder::new(Limits::none());
        let ids: Vec<Id> = (1..=4).map(|when| commit(&folder.store, when)).collect();
        let mut unseen = 2;
        assert_eq!(needs(&folder, 8, &mut unseen).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!((folder.pending_ids(), unseen), (vec![ids[2], ids[3]], 0));
    }

    #[test]
    fn other_errors_cost_no_dump() {
        let folder = Folder::new(Limits::none());
        let id = commit(&folder.store, 1);
        let error = folder
            .store
            .with_room(None, &mut 8, || io::Result::<()>::Err(io::ErrorKind::FileTooLarge.into()));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(folder.pending_ids(), [id]);
    }
}
