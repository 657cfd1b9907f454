//! Erlang's loss formula: the share B(c) of requests that find all c objects in use at load A,
//!
//! ```text
//! B(c) = (A^c / c!) / (sum over k = 0..=c of A^k / k!)
//! ```
//!
//! It is computed by its recursion, which has neither factorials nor cancellation:
//!
//! ```text
//! B(0) = 1,   B(k) = A B(k-1) / (k + A B(k-1))
//! ```
//!
//! # A late start
//!
//! The recursion forgets its start: each step multiplies a relative error of B(k-1) by
//! k / (k + A B(k-1)), which is below 1, so no error ever grows. While k < A, that factor is at most
//! k / A: for k objects carry at most the load k, so A (1 - B(k)) <= k, that is B(k) >= 1 - k/A.
//! Over 10 sqrt(A) steps below A these factors multiply to at most exp(-50), 2e-22. A load of a
//! billion thus takes some 500,000 steps instead of a billion, and no digit is lost: as
//! 1 - k/A <= B(k) <= 1, a start at 1 - k/A is wrong by a factor of sqrt(A) / 10 at worst.

/// How many times sqrt(A) before the first value that matters the recursion starts.
const LEAD: f64 = 10.0;

/// The recursion at one capacity.
struct Loss {
    load: f64,
    capacity: u64,
    refused: f64,
}

impl Loss {
    /// Starts early enough for B to be right from `first` on.
    fn before(first: f64, load: f64) -> Self {
        let start = (first.min(load) - LEAD * load.sqrt()).floor().max(0.0);
        Loss {
            load,
            capacity: start as u64,
            refused: if start > 0.0 { 1.0 - start / load } else { 1.0 },
        }
    }

    fn step(&mut self) {
        self.capacity += 1;
        let offered = self.load * self.refused;
        self.refused = offered / (self.capacity as f64 + offered);
    }
}

/// The share of requests refused with this capacity.
pub(super) fn refused(load: f64, capacity: u32) -> f64 {
    let mut loss = Loss::before(f64::from(capacity), load);
    // Once the share is 0 in floating point, it stays so.
    while loss.capacity < u64::from(capacity) && loss.refused > 0.0 {
        loss.step();
    }
    loss.refused
}

/// The least capacity, of those not below the load, with which at most `share` of the requests is
/// refused. `share` must be above 0.
pub(super) fn capacity(load: f64, share: f64) -> u64 {
    let mut loss = Loss::before(load, load);
    while (loss.capacity as f64) < load || loss.refused > share {
        loss.step();
    }
    loss.capacity
}
