//! One flat object that holds any order: the limits of the wire format are its shape.
//!
//! Items for eight and metadata for four lie inline: 320 bytes in all, five cache lines. Emptying it
//! sets two lengths; what lies beyond them is never read.

use super::rules::Price;
use super::store::{NoRoom, Store, StoredOrder};
use super::wire::{Item, MAX_ITEMS, MAX_KEY, MAX_METADATA, MAX_VALUE, OrderView};
use tailcut_pool::Recycle;

/// An order without a pointer in it.
#[derive(Debug, Default)]
pub struct FlatOrder {
    client_id: u64,
    id: u64,
    net_cents: u64,
    account: u32,
    item_count: u8,
    entry_count: u8,
    items: [Item; MAX_ITEMS],
    metadata: [(InlineText<MAX_KEY>, InlineText<MAX_VALUE>); MAX_METADATA],
}

impl FlatOrder {
    /// An empty order.
    #[must_use]
    pub fn new() -> FlatOrder {
        FlatOrder::default()
    }

    /// Takes over a decoded order. The view's limits are this object's, so everything fits.
    #[inline]
    pub fn fill(&mut self, view: &OrderView<'_>) {
        self.client_id = view.id();
        self.account = view.account();
        self.item_count = 0;
        for (place, item) in self.items.iter_mut().zip(view.items()) {
            *place = item;
            self.item_count += 1;
        }
        self.entry_count = 0;
        for ((key, value), &(from_key, from_value)) in self.metadata.iter_mut().zip(view.metadata())
        {
            key.set(from_key);
            value.set(from_value);
            self.entry_count += 1;
        }
    }
}

impl Recycle for FlatOrder {
    /// Constant time: the lengths alone say what is there.
    #[inline]
    fn reset(&mut self) {
        self.item_count = 0;
        self.entry_count = 0;
    }
}

impl StoredOrder for FlatOrder {
    #[inline]
    fn client_id(&self) -> u64 {
        self.client_id
    }

    #[inline]
    fn account(&self) -> u32 {
        self.account
    }

    #[inline]
    fn items(&self) -> &[Item] {
        &self.items[..usize::from(self.item_count).min(MAX_ITEMS)]
    }

    #[inline]
    fn metadata(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let entries = self.metadata.iter().take(usize::from(self.entry_count));
        entries.map(|(key, value)| (key.as_bytes(), value.as_bytes()))
    }

    #[inline]
    fn accept(&mut self, id: u64, price: Price) {
        self.id = id;
        self.net_cents = price.net_cents();
    }

    #[inline]
    fn accepted(&self) -> (u64, u64) {
        (self.id, self.net_cents)
    }
}

/// Text of at most `N` bytes (below 256), stored where it stands.
#[derive(Debug)]
struct InlineText<const N: usize> {
    length: u8,
    bytes: [u8; N],
}

impl<const N: usize> InlineText<N> {
    /// Longer text would be cut; the wire format's limits are this type's, so none is.
    #[inline]
    fn set(&mut self, text: &str) {
        let length = text.len().min(N);
        self.bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        #[allow(clippy::cast_possible_truncation)] // N is below 256
        {
            self.length = length as u8;
        }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length).min(N)]
    }
}

impl<const N: usize> Default for InlineText<N> {
    fn default() -> InlineText<N> {
        InlineText {
            length: 0,
            bytes: [0; N],
        }
    }
}

/// Boxes one flat order for each request: the layout without the pool.
#[derive(Debug, Default)]
pub struct PreshapedStore;

impl Store for PreshapedStore {
    type Order = Box<FlatOrder>;

    fn keep(&mut self, view: &OrderView<'_>) -> Result<Box<FlatOrder>, NoRoom> {
        let mut order = Box::<FlatOrder>::default();
        order.fill(view);
        Ok(order)
    }
}
