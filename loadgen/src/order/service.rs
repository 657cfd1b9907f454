//! The service's logic, shared by all forms: what runs is the same, only where an order lies is
//! not.
//!
//! Two halves, so that they can run on two cores: [`Intake`] decodes and stores; [`Desk`] prices,
//! checks the limit, gives the id, keeps the order live, and settles a full window.
//! [`OrderService`] is both, one after the other.

use super::rules::{PriceRules, Refusal, RiskBook};
use super::store::{LiveOrders, NoRoom, Store, StoredOrder};
use super::wire::{OrderView, WireError};
use crate::workload::{Back, Front, Verdict, Workload};

/// Why a request was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The bytes are not an order.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The store is full.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// The first half: bytes to a stored order.
#[derive(Debug)]
pub struct Intake<S> {
    store: S,
}

impl<S: Store> Intake<S> {
    /// An intake that stores into `store`.
    pub fn new(store: S) -> Intake<S> {
        Intake { store }
    }

    /// Decodes a request and stores it.
    ///
    /// # Errors
    /// Bytes that are not an order; no room.
    #[inline]
    pub fn take(&mut self, request: &[u8]) -> Result<S::Order, NotTaken> {
        let view = OrderView::decode(request)?;
        Ok(self.store.keep(&view)?)
    }
}

impl<S: Store> Front for Intake<S> {
    type Parcel = Option<S::Order>;

    #[inline(always)]
    fn take_in(&mut self, request: &[u8]) -> Option<S::Order> {
        self.take(request).ok()
    }
}

/// The second half: a stored order to a settled one.
#[derive(Debug)]
pub struct Desk<L> {
    rules: PriceRules,
    risk: RiskBook,
    live: L,
    window: u64,
    totals: Totals,
    next_id: u64,
    settled_windows: u64,
    checksum: u64,
}

/// What a window adds up to while it fills: settling it does not visit its orders again.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    orders: u64,
    gross_cents: u64,
    discount_cents: u64,
}

impl<L: LiveOrders> Desk<L> {
    /// A desk that settles every `window` orders; `worker` sets its ids apart from other desks'.
    pub fn new(live: L, window: u64, worker: u32) -> Desk<L> {
        Desk {
            rules: PriceRules::standard(),
            risk: RiskBook::standard(window),
            live,
            window,
            totals: Totals::default(),
            next_id: u64::from(worker) << 40,
            settled_windows: 0,
            checksum: 0,
        }
    }

    /// Prices an order, checks its account's limit, accepts it and keeps it; settles when full.
    ///
    /// # Errors
    /// Why the order is refused; it is dropped then.
    #[inline]
    pub fn accept(&mut self, mut order: L::Order) -> Result<(), Refusal> {
        let price = self.rules.price(order.items())?;
        self.risk.book(order.account(), price.net_cents())?;
        order.accept(self.next_id, price);
        self.next_id += 1;
        self.checksum = fold(self.checksum ^ order_hash(&*order));
        self.totals.orders += 1;
        self.totals.gross_cents = self.totals.gross_cents.wrapping_add(price.gross_cents);
        self.totals.discount_cents = self
            .totals
            .discount_cents
            .wrapping_add(price.discount_cents);
        self.live.push(order);
        if self.totals.orders >= self.window {
            self.settle();
        }
        Ok(())
    }

    #[inline(never)]
    fn settle(&mut self) {
        let Totals {
            orders,
            gross_cents,
            discount_cents,
        } = std::mem::take(&mut self.totals);
        for total in [orders, gross_cents, discount_cents] {
            self.checksum = fold(self.checksum ^ total);
        }
        self.risk.settle();
        self.live.give_up();
        self.settled_windows += 1;
    }
}

impl<L: LiveOrders> Back for Desk<L> {
    type Parcel = Option<L::Order>;

    #[inline(always)]
    fn finish(&mut self, parcel: Option<L::Order>) -> Verdict {
        match parcel.map(|order| self.accept(order)) {
            Some(Ok(())) => Verdict::Accepted,
            _ => Verdict::Refused,
        }
    }

    fn checksum(&self) -> u64 {
        self.checksum
    }

    fn settled_windows(&self) -> u64 {
        self.settled_windows
    }
}

/// The whole service on one thread.
#[derive(Debug)]
pub struct OrderService<S, L> {
    intake: Intake<S>,
    desk: Desk<L>,
}

impl<S: Store, L: LiveOrders<Order = S::Order>> OrderService<S, L> {
    /// Joins the halves.
    pub fn new(intake: Intake<S>, desk: Desk<L>) -> OrderService<S, L> {
        OrderService { intake, desk }
    }
}

impl<S: Store, L: LiveOrders<Order = S::Order>> Workload for OrderService<S, L> {
    #[inline(always)]
    fn handle(&mut self, request: &[u8]) -> Verdict {
        let parcel = self.intake.take_in(request);
        self.desk.finish(parcel)
    }

    fn checksum(&self) -> u64 {
        self.desk.checksum()
    }

    fn settled_windows(&self) -> u64 {
        self.desk.settled_windows()
    }
}

/// A hash of everything that is stored of an order. Metadata is summed up, because a hash map
/// gives it in no order.
#[inline]
fn order_hash<O: StoredOrder + ?Sized>(order: &O) -> u64 {
    let (id, net_cents) = order.accepted();
    let mut hash = fold(order.client_id() ^ id.rotate_left(32));
    hash = fold(hash ^ net_cents ^ u64::from(order.account()).rotate_left(40));
    let metadata = order.metadata().fold(0_u64, |sum, (key, value)| {
        sum.wrapping_add(bytes_hash(bytes_hash(0x9e37_79b9, key), value))
    });
    hash ^ metadata
}

/// Eight bytes a step; the length keeps apart what the padding would make equal.
#[inline]
fn bytes_hash(seed: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = seed ^ bytes.len() as u64;
    for word in words {
        hash = fold(hash ^ u64::from_le_bytes(*word));
    }
    let tail = rest
        .iter()
        .fold(0_u64, |tail, byte| tail << 8 | u64::from(*byte));
    fold(hash ^ tail)
}

/// Mixes by one widening multiplication.
#[inline(always)]
fn fold(value: u64) -> u64 {
    let product = u128::from(value ^ 0x2d35_8dcc_aa6c_78a5) * 0x8bb8_4b93_962e_acc9;
    #[allow(clippy::cast_possible_truncation)] // the two halves are what is wanted
    {
        (product >> 64) as u64 ^ product as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::generate::Corpus;
    use crate::order::heap::{BoxedWindow, HeapStore};
    use crate::order::pooled::{PooledStore, PooledWindow};
    use crate::order::preshaped::{FlatOrder, PreshapedStore};
    use crate::order::wire::{Item, encode};
    use proptest::prelude::*;
    use tailcut_pool::Pool;

    type Results = (u64, u64, u64);

    fn serve(mut service: impl Workload, requests: &[&[u8]]) -> Results {
        let refused = requests
            .iter()
            .filter(|request| service.handle(request) == Verdict::Refused)
            .count();
        (
            service.checksum(),
            service.settled_windows(),
            refused as u64,
        )
    }

    fn heap(window: u64, requests: &[&[u8]]) -> Results {
        let desk = Desk::new(BoxedWindow::with_capacity(0), window, 0);
        serve(OrderService::new(Intake::new(HeapStore), desk), requests)
    }

    fn preshaped(window: u64, requests: &[&[u8]]) -> Results {
        let desk = Desk::new(BoxedWindow::with_capacity(0), window, 0);
        serve(
            OrderService::new(Intake::new(PreshapedStore), desk),
            requests,
        )
    }

    fn pooled(window: u64, requests: &[&[u8]]) -> Results {
        let capacity = usize::try_from(window).unwrap() + 1;
        let pool = Pool::builder(FlatOrder::new)
            .capacity(capacity)
            .build()
            .unwrap();
        let desk = Desk::new(PooledWindow::new(&pool), window, 0);
        serve(
            OrderService::new(Intake::new(PooledStore::new(&pool)), desk),
            requests,
        )
    }

    #[test]
    fn every_form_gives_the_same_results_for_the_same_orders() {
        let corpus = Corpus::generate(3);
        let mut requests: Vec<&[u8]> = (0..50_000).map(|n| corpus.request(n)).collect();
        requests.insert(77, b"not an order");
        // One account orders until its limit is reached.
        requests.extend([corpus.request(5); 500]);
        let expected = heap(7_000, &requests);
        assert!(expected.1 >= 6, "{} windows", expected.1);
        assert!(expected.2 > 1 && expected.2 < 500, "{} refused", expected.2);
        assert_eq!(preshaped(7_000, &requests), expected);
        assert_eq!(pooled(7_000, &requests), expected);
    }

    #[test]
    fn the_checksum_tells_apart_orders_that_differ_in_one_byte_of_metadata() {
        let encoded = |value| {
            let mut bytes = Vec::new();
            let item = Item {
                sku: 1,
                quantity: 1,
                price_cents: 100,
            };
            encode(&mut bytes, 1, 1, &[item], &[("note", value)]).unwrap();
            bytes
        };
        let (one, other) = (encoded("leave at door 1"), encoded("leave at door 2"));
        assert_ne!(heap(10, &[&one]), heap(10, &[&other]));
        assert_ne!(pooled(10, &[&one]), pooled(10, &[&other]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn forms_agree_for_any_seed_and_window(seed in any::<u64>(), window in 1_u64..500) {
            let corpus = Corpus::generate(seed);
            let requests: Vec<&[u8]> = (0..1_500).map(|n| corpus.request(n)).collect();
            let expected = heap(window, &requests);
            prop_assert_eq!(preshaped(window, &requests), expected);
            prop_assert_eq!(pooled(window, &requests), expected);
        }
    }
}
