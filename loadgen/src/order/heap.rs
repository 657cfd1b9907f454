//! Orders as a service usually keeps them: a box, a vector, a hash map and strings for each.
//!
//! Nothing is done here to look slow or fast: capacities are given where they are known, the
//! window keeps its vector. On average an order makes about 5 allocations.

use super::rules::Price;
use super::store::{LiveOrders, NoRoom, Store, StoredOrder};
use super::wire::{Item, OrderView};
use std::collections::HashMap;

/// An order on the heap.
#[derive(Debug)]
pub struct HeapOrder {
    client_id: u64,
    id: u64,
    account: u32,
    net_cents: u64,
    items: Vec<Item>,
    metadata: HashMap<String, String>,
}

impl StoredOrder for HeapOrder {
    fn client_id(&self) -> u64 {
        self.client_id
    }

    fn account(&self) -> u32 {
        self.account
    }

    fn items(&self) -> &[Item] {
        &self.items
    }

    fn metadata(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.metadata
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.as_bytes()))
    }

    fn accept(&mut self, id: u64, price: Price) {
        self.id = id;
        self.net_cents = price.net_cents();
    }

    fn accepted(&self) -> (u64, u64) {
        (self.id, self.net_cents)
    }
}

/// Allocates each order.
#[derive(Debug, Default)]
pub struct HeapStore;

impl Store for HeapStore {
    type Order = Box<HeapOrder>;

    fn keep(&mut self, view: &OrderView<'_>) -> Result<Box<HeapOrder>, NoRoom> {
        let entries = view.metadata().iter();
        Ok(Box::new(HeapOrder {
            client_id: view.id(),
            id: 0,
            account: view.account(),
            net_cents: 0,
            items: view.items().collect(),
            metadata: entries
                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        }))
    }
}

/// Boxed orders in a vector; settled orders are dropped one by one, as a plain service does.
#[derive(Debug)]
pub struct BoxedWindow<T> {
    orders: Vec<Box<T>>,
}

impl<T> BoxedWindow<T> {
    /// A window that grows no more up to `orders`.
    #[must_use]
    pub fn with_capacity(orders: usize) -> BoxedWindow<T> {
        BoxedWindow {
            orders: Vec::with_capacity(orders),
        }
    }
}

impl<T: StoredOrder + Send> LiveOrders for BoxedWindow<T> {
    type Order = Box<T>;

    #[inline]
    fn push(&mut self, order: Box<T>) {
        self.orders.push(order);
    }

    fn give_up(&mut self) {
        self.orders.clear();
    }
}
