//! When each request is due: fixed before the run, to the nanosecond, whatever the service does.
//!
//! A [`Schedule`] is all of it; workers interleave, and each steps through its own [`Lane`]: worker `w`
//! of `W` has the requests numbered `w, w + W, w + 2W, ...`. The lanes together hold every request once.
//! How they are spaced is [`Arrivals`]:
//!
//! | | a step costs | counting and skipping |
//! |---|---|---|
//! | [`constant`] | an addition and a compare | constant time |
//! | [`poisson`] | a random number and a logarithm, about 20 ns | a step each |
//! | [`burst`] | as constant; a division for each burst | constant time |
//! | [`trace`] | a load and a multiplication | a binary search |
//!
//! Equal settings, seed and number of lanes give the same schedule on every machine: there is no float
//! on the way to an instant but additions, multiplications and divisions, which IEEE 754 fixes to the bit.

pub mod burst;
pub mod constant;
pub mod poisson;
pub mod trace;

use crate::clock::Nanos;
use crate::quantity::Rate;
use crate::scenario::Arrivals;

use burst::{Burst, BurstLane};
use constant::{Constant, ConstantLane};
use poisson::{Poisson, PoissonLane};
use trace::{Trace, TraceLane};

/// One worker's part of a schedule, stepped through request by request. It has no end.
pub trait Lane: Clone + Send + Sync {
    /// The number of the request that is next, in the whole schedule.
    fn request(&self) -> u64;

    /// When it is due: never before the one before it.
    fn intended(&self) -> Nanos;

    /// On to this lane's next request.
    fn advance(&mut self);

    /// How many requests of this lane, from its next on, are due before `instant`.
    fn left_before(&self, instant: Nanos) -> u64;

    /// Jumps over `count` requests.
    fn skip(&mut self, count: u64);

    /// Jumps over the requests that are due before `instant`: how many they were.
    fn skip_before(&mut self, instant: Nanos) -> u64 {
        let count = self.left_before(instant);
        self.skip(count);
        count
    }
}

/// A schedule of any kind, without an end.
#[derive(Debug, Clone)]
pub struct Schedule {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Constant(Constant),
    Poisson(Poisson),
    Burst(Burst),
    Trace(Trace),
}

impl Schedule {
    /// The schedule that begins at `begin` and has `rate` requests a second, spaced as `arrivals` says.
    /// `seed` is used where something is drawn.
    ///
    /// Settings that make no sense ([`Arrivals::check`]) are taken for the nearest that do: a burst of
    /// none for one of one, a trace of nothing for evenly spaced requests.
    #[must_use]
    pub fn new(begin: Nanos, rate: Rate, arrivals: &Arrivals, seed: u64) -> Schedule {
        let constant = Constant::new(begin, rate);
        let kind = match arrivals {
            Arrivals::Constant => Kind::Constant(constant),
            Arrivals::Poisson => Kind::Poisson(Poisson::new(begin, rate, seed)),
            Arrivals::Burst { size } => Kind::Burst(Burst::new(begin, rate, *size)),
            Arrivals::Trace(offsets) => match Trace::new(begin, rate, offsets) {
                Some(trace) => Kind::Trace(trace),
                None => Kind::Constant(constant),
            },
        };
        Schedule { kind }
    }

    /// The requests of worker `worker` of `workers`, from its first.
    ///
    /// # Panics
    /// If `worker` is not below `workers`: a mistake of the engine's.
    #[must_use]
    pub fn lane(&self, worker: u32, workers: u32) -> AnyLane {
        assert!(worker < workers, "worker {worker} of {workers}");
        match &self.kind {
            Kind::Constant(constant) => AnyLane::Constant(constant.lane(worker, workers)),
            Kind::Poisson(poisson) => AnyLane::Poisson(poisson.lane(worker, workers)),
            Kind::Burst(burst) => AnyLane::Burst(burst.lane(worker, workers)),
            Kind::Trace(trace) => AnyLane::Trace(trace.lane(worker, workers)),
        }
    }

    /// How many requests of all `workers` lanes are due before `instant`. Steps through each of them where they are
    /// drawn, since they depend on the number of lanes.
    #[must_use]
    pub fn due_before(&self, instant: Nanos, workers: u32) -> u64 {
        match &self.kind {
            Kind::Constant(constant) => constant.due_before(instant),
            Kind::Burst(burst) => burst.due_before(instant),
            Kind::Trace(trace) => trace.due_before(instant),
            Kind::Poisson(poisson) => (0..workers)
                .map(|worker| poisson.lane(worker, workers).left_before(instant))
                .sum(),
        }
    }
}

/// A lane of any kind. A step is the kind's own and a branch that a processor foresees.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // few of them, each read all the time
pub enum AnyLane {
    /// Evenly spaced.
    Constant(ConstantLane),
    /// Exponential gaps.
    Poisson(PoissonLane),
    /// Many at the same instant.
    Burst(BurstLane),
    /// As recorded.
    Trace(TraceLane),
}

macro_rules! each_kind {
    ($lane:expr, $kind:ident => $do:expr) => {
        match $lane {
            AnyLane::Constant($kind) => $do,
            AnyLane::Poisson($kind) => $do,
            AnyLane::Burst($kind) => $do,
            AnyLane::Trace($kind) => $do,
        }
    };
}

impl Lane for AnyLane {
    #[inline(always)]
    fn request(&self) -> u64 {
        each_kind!(self, lane => lane.request())
    }

    #[inline(always)]
    fn intended(&self) -> Nanos {
        each_kind!(self, lane => lane.intended())
    }

    #[inline(always)]
    fn advance(&mut self) {
        each_kind!(self, lane => lane.advance());
    }

    fn left_before(&self, instant: Nanos) -> u64 {
        each_kind!(self, lane => lane.left_before(instant))
    }

    fn skip(&mut self, count: u64) {
        each_kind!(self, lane => lane.skip(count));
    }

    fn skip_before(&mut self, instant: Nanos) -> u64 {
        each_kind!(self, lane => lane.skip_before(instant))
    }
}

#[cfg(test)]
mod tests;
