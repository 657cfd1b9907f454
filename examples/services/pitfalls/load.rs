//! How many objects a load needs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tailcut_pool::Pool;
use tailcut_pool::sizing::{Rate, Sizing};

use crate::Pitfall;

const PER_SECOND: f64 = 2_400.0;
const HELD_FOR: Duration = Duration::from_millis(20);

fn load() -> Sizing {
    Sizing::for_load(Rate::per_second(PER_SECOND), HELD_FOR)
}

/// Little's law gives the **mean** number in use; requests come by chance, so a pool of that size
/// is too small at every other moment.
pub fn too_small() -> Result<Pitfall> {
    let sizing = load().headroom(1.0).exact();
    let mean = sizing.recommend()?.capacity;
    let sized = sizing.refusals_at_most(1e-6).recommend()?.capacity;
    Ok(Pitfall {
        what: "a pool that is too small: 2,400 requests a second, held for 20 ms on average",
        figure: format!(
            "refused: {:.1}% with {mean} objects (rate x time), {:.1}% with {sized}",
            100.0 * share_refused(mean)?,
            100.0 * share_refused(sized)?
        ),
        cure: "sizing::Sizing, with refusals_at_most or a headroom; watch high_water and misses in the statistics",
    })
}

/// A hundred thousand requests on a clock of its own: they come independently of each other, and
/// hold an object for a time that is random, too.
fn share_refused(capacity: usize) -> Result<f64> {
    const REQUESTS: u64 = 100_000;
    let pool = Pool::builder(|| 0_u64)
        .keep_as_is()
        .capacity(capacity)
        .build()?;
    let mut random = Random(1);
    // By when each is given back; the request's number tells equal times apart.
    let mut in_use = BTreeMap::new();
    let (mut now, mut refused) = (0_u64, 0);
    for request in 0..REQUESTS {
        now += random.exponential(1e9 / PER_SECOND);
        in_use = in_use.split_off(&(now, 0));
        match pool.try_get() {
            Ok(object) => {
                let until = now + random.exponential(HELD_FOR.as_nanos() as f64);
                in_use.insert((until, request), object);
            }
            Err(_exhausted) => refused += 1,
        }
    }
    Ok(refused as f64 / REQUESTS as f64)
}

/// Marsaglia's xorshift: the same load in every run.
struct Random(u64);

impl Random {
    fn exponential(&mut self, mean: f64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let uniform = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        (-(1.0 - uniform).ln() * mean) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_of_the_mean_refuses_as_often_as_the_formula_says() {
        let predicted = load().refused_with(48).unwrap();
        let seen = share_refused(48).unwrap();
        assert!((seen - predicted).abs() < 0.01, "{seen}, not {predicted}");
        assert!(share_refused(84).unwrap() < 1e-4);
    }
}
