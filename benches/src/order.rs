//! The objects of the order tables: what a service really keeps, where [`Object`] is plain bytes.
//!
//! [`Object`]: crate::source::Object

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use tailcut_loadgen::order::generate::Corpus;
use tailcut_loadgen::order::preshaped::FlatOrder;
use tailcut_loadgen::order::wire::{Item, MAX_ITEMS, MAX_METADATA, OrderView};
use tailcut_pool::Recycle;

/// An order that can be made once and used again.
pub trait Order: Recycle + Send + 'static {
    /// A new one, empty, with room for everything.
    fn preshaped() -> Self;

    /// Takes over an order's content.
    fn fill(&mut self, view: &OrderView<'_>);
}

impl Order for FlatOrder {
    fn preshaped() -> FlatOrder {
        FlatOrder::new()
    }

    #[inline(always)]
    fn fill(&mut self, view: &OrderView<'_>) {
        FlatOrder::fill(self, view);
    }
}

/// An order of nested collections: ids, a vector of items, a map of metadata, a lock.
///
/// Recycling clears the collections, which keep their capacity; a map of strings that is cleared
/// frees its strings all the same.
#[derive(Debug)]
pub struct NestedOrder {
    client_id: u64,
    account: u32,
    items: Vec<Item>,
    metadata: HashMap<String, String>,
    state: Mutex<u8>,
}

impl Order for NestedOrder {
    #[inline]
    fn preshaped() -> NestedOrder {
        NestedOrder {
            client_id: 0,
            account: 0,
            items: Vec::with_capacity(MAX_ITEMS),
            metadata: HashMap::with_capacity(MAX_METADATA),
            state: Mutex::new(0),
        }
    }

    #[inline]
    fn fill(&mut self, view: &OrderView<'_>) {
        self.client_id = view.id();
        self.account = view.account();
        self.items.extend(view.items());
        let entries = view.metadata().iter();
        self.metadata
            .extend(entries.map(|&(key, value)| (key.to_owned(), value.to_owned())));
    }
}

impl Recycle for NestedOrder {
    #[inline]
    fn reset(&mut self) {
        self.client_id = 0;
        self.account = 0;
        self.items.clear();
        self.metadata.clear();
        if let Ok(state) = self.state.get_mut() {
            *state = 0;
        }
    }
}

/// How many distinct orders the loops go round; a power of two. Their bytes and views (0.3 MiB)
/// stay in a core's second-level cache.
const DISTINCT: usize = 1024;

/// Decoded orders, made once for the process.
#[must_use]
pub fn views() -> &'static [OrderView<'static>] {
    static VIEWS: OnceLock<Vec<OrderView<'static>>> = OnceLock::new();
    VIEWS.get_or_init(|| {
        let corpus: &'static Corpus = Box::leak(Box::new(Corpus::generate(1)));
        (0..DISTINCT as u64)
            .filter_map(|n| OrderView::decode(corpus.request(n)).ok())
            .collect()
    })
}

/// The content of the n-th use.
#[inline(always)]
#[must_use]
pub fn content(views: &'static [OrderView<'static>], n: u64) -> &'static OrderView<'static> {
    &views[n as usize % DISTINCT]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_of_a_nested_order_has_its_own_content_and_the_first_ones_capacity() {
        assert_eq!(views().len(), DISTINCT);
        let mut order = NestedOrder::preshaped();
        let room = (order.items.capacity(), order.metadata.capacity());
        assert!(room.0 >= MAX_ITEMS && room.1 >= MAX_METADATA);
        for view in views() {
            order.reset();
            order.fill(view);
            assert_eq!(order.items.len(), view.items().len());
            assert_eq!(order.metadata.len(), view.metadata().len());
        }
        assert_eq!(room, (order.items.capacity(), order.metadata.capacity()));
    }
}
