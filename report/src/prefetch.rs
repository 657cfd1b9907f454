//! An iterator that runs on a thread of its own, a bounded way ahead of who uses it.
//!
//! Reading a recording is two things in equal parts, decoding and counting; side by side they take half
//! the time. Whoever stops asking ends the thread.

use std::iter::Flatten;
use std::sync::mpsc::{IntoIter, sync_channel};
use std::thread::Scope;

/// Items that are handed over at once.
const BATCH: usize = 256;
/// Batches that may wait.
const AHEAD: usize = 4;

/// For items that are large: at most four wait.
pub(crate) fn prefetch<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    items: impl Iterator<Item = T> + Send + 'scope,
) -> IntoIter<T> {
    let (sender, receiver) = sync_channel(AHEAD);
    scope.spawn(move || {
        for item in items {
            if sender.send(item).is_err() {
                return;
            }
        }
    });
    receiver.into_iter()
}

/// For items that are small and many: handed over in batches.
pub(crate) fn prefetch_many<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut items: impl Iterator<Item = T> + Send + 'scope,
) -> Flatten<IntoIter<Vec<T>>> {
    let batches = std::iter::from_fn(move || {
        let batch: Vec<T> = items.by_ref().take(BATCH).collect();
        (!batch.is_empty()).then_some(batch)
    });
    prefetch(scope, batches).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_items_come_in_their_order() {
        std::thread::scope(|scope| {
            assert!(prefetch(scope, 0..1_000).eq(0..1_000));
            assert!(prefetch_many(scope, 0..1_000).eq(0..1_000));
            assert_eq!(prefetch_many(scope, std::iter::empty::<u8>()).count(), 0);
        });
    }

    #[test]
    fn who_stops_asking_is_not_waited_for() {
        let first = std::thread::scope(|scope| prefetch(scope, 0..).take(3).sum::<u64>());
        assert_eq!(first, 3);
    }
}
