//! How an order is kept: the one thing in which the forms of the service differ.

use super::rules::Price;
use super::wire::{Item, OrderView};
use std::ops::DerefMut;

/// An order as a form stores it. What the service reads, it reads from here, never from the
/// request: the storing cannot be optimised away.
pub trait StoredOrder {
    /// The client's id.
    fn client_id(&self) -> u64;
    /// Whose order it is.
    fn account(&self) -> u32;
    /// The items.
    fn items(&self) -> &[Item];
    /// Key and value of each metadata entry, as bytes, in any order.
    fn metadata(&self) -> impl Iterator<Item = (&[u8], &[u8])>;
    /// Notes the id that the service gave it, and what is to be paid.
    fn accept(&mut self, id: u64, price: Price);
    /// What [`StoredOrder::accept`] noted: the id, and what is to be paid in cents.
    fn accepted(&self) -> (u64, u64);
}

/// The store has no room for another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no room for another order: the store was built for fewer live orders")]
pub struct NoRoom;

/// Makes stored orders of decoded ones.
pub trait Store {
    /// An order and its owner; dropping it gives the memory back. It may be sent to the thread
    /// that settles it.
    type Order: DerefMut<Target: StoredOrder> + Send;

    /// Stores a copy of the order.
    ///
    /// # Errors
    /// [`NoRoom`], where memory is bounded.
    fn keep(&mut self, view: &OrderView<'_>) -> Result<Self::Order, NoRoom>;
}

/// The orders that wait for settlement.
pub trait LiveOrders {
    /// What [`Store`] makes.
    type Order: DerefMut<Target: StoredOrder> + Send;

    /// Keeps an order until the window is settled.
    fn push(&mut self, order: Self::Order);

    /// Gives up all of them: the window was settled.
    fn give_up(&mut self);
}
