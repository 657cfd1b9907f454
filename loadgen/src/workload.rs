//! What a run loads: something that handles requests, whole on one thread or in two halves.
//!
//! The engine is compiled for each workload; nothing here is called through a table.

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Accepted,
    /// Answered with a refusal: it counts as completed, and as rejected.
    Refused,
}

/// A service on one thread.
pub trait Workload {
    /// Handles one request.
    fn handle(&mut self, request: &[u8]) -> Verdict;

    /// Of everything handled so far, equal for services that gave the same results.
    fn checksum(&self) -> u64;

    /// How many windows were settled so far.
    fn settled_windows(&self) -> u64;
}

/// The first half of a service that two threads share: takes requests in.
pub trait Front {
    /// What goes to the other half.
    type Parcel: Send;

    /// Takes in one request.
    fn take_in(&mut self, request: &[u8]) -> Self::Parcel;
}

/// The second half: finishes what the first took in.
pub trait Back {
    /// What comes from the other half.
    type Parcel: Send;

    /// Finishes one request.
    fn finish(&mut self, parcel: Self::Parcel) -> Verdict;

    /// As [`Workload::checksum`].
    fn checksum(&self) -> u64;

    /// As [`Workload::settled_windows`].
    fn settled_windows(&self) -> u64;
}

/// Does nothing but read the request's first word: what remains is the machine and the engine.
#[derive(Debug, Default)]
pub struct Noop {
    sum: u64,
}

impl Workload for Noop {
    #[inline(always)]
    fn handle(&mut self, request: &[u8]) -> Verdict {
        let parcel = self.take_in(request);
        self.finish(parcel)
    }

    fn checksum(&self) -> u64 {
        self.sum
    }

    fn settled_windows(&self) -> u64 {
        0
    }
}

impl Front for Noop {
    type Parcel = u64;

    #[inline(always)]
    fn take_in(&mut self, request: &[u8]) -> u64 {
        request
            .first_chunk()
            .map_or(0, |word| u64::from_le_bytes(*word))
    }
}

impl Back for Noop {
    type Parcel = u64;

    #[inline(always)]
    fn finish(&mut self, parcel: u64) -> Verdict {
        self.sum = self.sum.wrapping_add(parcel);
        Verdict::Accepted
    }

    fn checksum(&self) -> u64 {
        self.sum
    }

    fn settled_windows(&self) -> u64 {
        0
    }
}
