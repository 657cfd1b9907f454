//! Whose turn it is to be timed: one call in N, at random.
//!
//! Each call has the same chance of 1/N, whatever came before it, so that no rhythm of the program
//! can keep step with the sample. Rather than draw for each call, the number of calls up to the
//! next timed one is drawn, from the geometric distribution; until then a call takes a decrement.

use crate::meter::random::Random;
use std::cell::Cell;

/// One thread's way to its next timed call of one kind.
#[derive(Debug)]
pub(super) struct Turns {
    /// Calls up to and including the one to be timed; zero before the first draw.
    left: Cell<u32>,
    /// What `left` was when it was drawn.
    drawn: Cell<u32>,
    random: Cell<Random>,
}

impl Turns {
    pub(super) const fn new() -> Self {
        Turns {
            left: Cell::new(0),
            drawn: Cell::new(0),
            random: Cell::new(Random::UNSEEDED),
        }
    }

    /// Counts a call. If this returns true, the call is the one to be timed, or the first of its
    /// thread, and [`take`](Turns::take) must be asked.
    #[inline(always)]
    pub(super) fn is_next(&self) -> bool {
        let left = self.left.get();
        if left > 1 {
            self.left.set(left - 1);
        }
        left <= 1
    }

    /// Draws the next turn. Returns how many calls this one stands for: those since the last timed
    /// one, and itself. Nothing if the thread's first turn had yet to be drawn and is a later one.
    pub(super) fn take(&self, one_in: u32) -> Option<u32> {
        let mut random = self.random.get();
        if self.drawn.get() == 0 {
            random = Random::seeded();
            let drawn = draw(&mut random, one_in);
            self.drawn.set(drawn);
            if drawn > 1 {
                self.left.set(drawn - 1);
                self.random.set(random);
                return None;
            }
        }
        let calls = self.drawn.get();
        let drawn = draw(&mut random, one_in);
        self.drawn.set(drawn);
        self.left.set(drawn);
        self.random.set(random);
        Some(calls)
    }

    /// Whether nothing was ever counted here.
    #[cfg(test)]
    pub(super) fn untouched(&self) -> bool {
        self.left.get() == 0 && self.drawn.get() == 0
    }
}

/// A number of calls, at least one, `one_in` on average.
fn draw(random: &mut Random, one_in: u32) -> u32 {
    // By inversion. If each call is timed, the divisor is minus infinity, and the quotient zero.
    let missed = random.uniform().ln() / (-1.0 / f64::from(one_in)).ln_1p();
    (missed as u32).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::{Random, Turns, draw};

    /// How many calls each of `turns` timed ones stands for.
    fn drawn(one_in: u32, turns: u32) -> Vec<u32> {
        let mut random = Random::fixed();
        (0..turns).map(|_| draw(&mut random, one_in)).collect()
    }

    #[test]
    fn one_call_in_so_many_is_timed_on_average() {
        // The seed is fixed. The standard deviation of a draw is about its mean: four of them.
        for one_in in [2, 10, 1000, 1 << 20] {
            let sum: u64 = drawn(one_in, 10_000).into_iter().map(u64::from).sum();
            let ratio = sum as f64 / 10_000.0 / f64::from(one_in);
            assert!((0.96..1.04).contains(&ratio), "{one_in}: {ratio}");
        }
    }

    #[test]
    fn every_call_is_timed_if_one_in_one_is() {
        assert_eq!(drawn(1, 1000), [1; 1000]);
    }

    #[test]
    fn no_rhythm_keeps_step_with_the_sample() {
        // Ten calls that take turns, and one in ten timed: of each, a tenth, within four standard
        // deviations.
        let mut place = 0;
        let mut timed = [0_u32; 10];
        for calls in drawn(10, 20_000) {
            place = (place + calls as usize) % 10;
            timed[place] += 1;
        }
        assert!(
            timed.iter().all(|count| (1830..2170).contains(count)),
            "{timed:?}"
        );
    }

    #[test]
    fn what_the_timed_calls_stand_for_is_all_calls() {
        let turns = Turns::new();
        let (mut calls, mut stood_for) = (0, 0);
        while stood_for < 100_000 {
            calls += 1;
            if turns.is_next() {
                stood_for += turns.take(30).unwrap_or(0);
                assert!(stood_for == calls || stood_for == 0);
            }
        }
        assert_eq!(stood_for, calls);
    }

    #[test]
    fn the_first_call_of_a_thread_is_not_timed_more_often_than_others() {
        let first = (0..10_000).filter(|_| {
            let turns = Turns::new();
            turns.is_next() && turns.take(1000).is_some()
        });
        assert!(first.count() < 30); // 10 expected
    }
}
