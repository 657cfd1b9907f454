//! In which order the runs are made: A B B A B A A B ...
//!
//! A machine drifts: it warms up, its memory fragments, a neighbour arrives. If all runs of A came first, that
//! would look like a difference. Here the sides alternate in pairs whose order follows the Thue-Morse
//! sequence: whatever the number of pairs, each side comes as often as the other, first in a pair as often as
//! second (but for one), and drift that is linear, or for each four runs curved, falls on both alike.
//! A B B A is the beginning of it.

use std::fmt;

use serde::Serialize;

/// One of the two that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What there was.
    A,
    /// What is held against it.
    B,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::A, Side::B];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }

    /// `a` or `b`: for names of folders.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Side::A => 'a',
            Side::B => 'b',
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::A => "A",
            Side::B => "B",
        })
    }
}

/// One run to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Turn {
    /// Its place among all runs, from 0.
    pub sequence: u32,
    /// Whose it is.
    pub side: Side,
    /// Which repetition of that side, from 1. The two runs of a pair have the same number: given the same
    /// seed they have the same schedule, and schedules differ from pair to pair.
    pub repetition: u32,
}

impl Turn {
    /// The name of its folder: `03-a-2`.
    #[must_use]
    pub fn folder(&self) -> String {
        format!(
            "{:02}-{}-{}",
            self.sequence,
            self.side.letter(),
            self.repetition
        )
    }
}

/// The order of `runs` runs of each side.
#[must_use]
pub fn order(runs: u32) -> Vec<Turn> {
    let turn = |sequence: u32| Turn {
        sequence,
        side: if sequence.count_ones().is_multiple_of(2) {
            Side::A
        } else {
            Side::B
        },
        repetition: sequence / 2 + 1,
    };
    (0..runs.saturating_mul(2)).map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_alternate_so_that_each_comes_first_as_often() {
        let letters: String = order(5).iter().map(|turn| turn.side.letter()).collect();
        assert_eq!(letters, "abbabaabba");
        assert_eq!(order(5)[3].folder(), "03-a-2");
    }

    #[test]
    fn each_pair_has_one_run_of_each_side_and_drift_cancels() {
        for runs in 1..40 {
            let turns = order(runs);
            for pair in turns.chunks(2) {
                assert_eq!(pair[0].repetition, pair[1].repetition);
                assert_eq!(pair[0].side, pair[1].side.other());
            }
            let place = |side: Side| -> u32 {
                let of_side = turns.iter().filter(|turn| turn.side == side);
                of_side.map(|turn| turn.sequence).sum()
            };
            // At most one place apart, in the sum of all.
            assert!(place(Side::A).abs_diff(place(Side::B)) <= 1, "{runs}");
        }
    }
}
