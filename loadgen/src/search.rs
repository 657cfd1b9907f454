//! The highest rate at which a target holds its objectives.
//!
//! Three phases, as Nighthawk's adaptive load and mutilate's `--search` have them: the rate is doubled
//! until it is **broken** (or halved until it holds), the gap is **bisected** geometrically down to the
//! wanted precision, and the rate found is **confirmed** by a longer run of its own, whose figures are the
//! result: those of the probe that happened to pass are biased towards luck.
//!
//! A probe breaks when an objective is broken, when the schedule is missed, or when the generator itself
//! was the bottleneck (the limit found is then the generator's, and the result says so).
//!
//! **Noise.** A machine's stall can break a probe that the target would have held, and one such mistake
//! sends a bisection to the wrong half for good; FD.io's MLRsearch answers with repeated trials. Here a
//! broken probe is repeated, and two of three decide: a stall that strikes one probe in ten then misleads
//! one decision in fifty-two instead of one in ten. A probe that holds is taken at its word, since luck
//! does not serve a rate above the limit for whole seconds; what luck there is, the confirmation finds out.
//!
//! **Cost**: one probe for each doubling that holds, two or three for each broken rate; about
//! `log2(limit / start) + 2.5 log2(1 / precision)` probes, each of warm-up and probe duration.

mod curve;

use serde::Serialize;

use crate::clock::Nanos;
use crate::error::LoadError;
use crate::measured::Measured;
use crate::quantity::Rate;

pub use curve::draw as draw_curve;

/// How to search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchPlan {
    /// Where doubling begins.
    pub start: Rate,
    /// The lowest rate worth trying.
    pub least: Rate,
    /// The highest rate worth trying.
    pub most: Rate,
    /// How close to the limit the result is to come: 0.02 for 2%.
    pub precision: f64,
    /// Length of a probe's recorded part.
    pub probe: Nanos,
    /// Length of the confirming run's.
    pub confirm: Nanos,
}

/// Which part of a search a run belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Doubling, or halving.
    Bracket,
    /// Between the highest rate that held and the lowest that broke.
    Bisect,
    /// The longer run at the rate found.
    Confirm,
}

impl Phase {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::Bracket => "bracketing",
            Phase::Bisect => "bisecting",
            Phase::Confirm => "confirming",
        }
    }
}

/// A run that is to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeOrder {
    /// Which of the search, from 1.
    pub number: u32,
    /// What for.
    pub phase: Phase,
    /// At this rate.
    pub rate: Rate,
    /// So long.
    pub duration: Nanos,
}

/// A run that was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probe {
    /// Which of the search, from 1.
    pub number: u32,
    /// What for.
    pub phase: Phase,
    /// What came of it.
    pub measured: Measured,
    /// What broke, in words; empty if the rate held.
    pub broken_by: Vec<String>,
    /// Whether the generator, not the target, was the limit.
    pub generator_limit: bool,
}

impl Probe {
    /// Whether the rate held.
    #[must_use]
    pub fn held(&self) -> bool {
        self.broken_by.is_empty()
    }
}

/// Why no higher rate is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The next rate broke an objective or the schedule.
    Target,
    /// The next rate was more than the generator could make: the target may hold more.
    Generator,
    /// No higher rate was to be tried.
    Most,
    /// Not even the lowest rate held.
    NothingHeld,
    /// The search was stopped before it was done.
    Stopped,
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchResult {
    /// The highest confirmed rate, in requests per second.
    pub rate: Option<f64>,
    /// The run that confirmed it, as its place in `probes`.
    pub confirmed_by: Option<usize>,
    /// The lowest rate above it that was found broken.
    pub broken_rate: Option<f64>,
    /// Why no higher rate is claimed.
    pub limit: Limit,
    /// Every run, in order.
    pub probes: Vec<Probe>,
}

/// How many times a confirmation may fail and step down.
const CONFIRMATIONS: u32 = 6;

/// Searches. `run` makes one run and waits until the target is idle again; `None` stops the search.
/// `tell` is called after each run.
///
/// # Errors
/// The first error of a run, with nothing lost: the recordings of the runs before it stand.
pub fn search(
    plan: &SearchPlan,
    run: &mut dyn FnMut(&ProbeOrder) -> Result<Option<Measured>, LoadError>,
    tell: &mut dyn FnMut(&Probe),
) -> Result<SearchResult, LoadError> {
    let mut session = Session {
        plan,
        run,
        tell,
        probes: Vec::new(),
        generator_limit: false,
        lowest_broken: None,
    };
    let (rate, confirmed_by, limit) = session.search()?;
    Ok(SearchResult {
        rate: rate.map(Rate::as_f64),
        confirmed_by,
        broken_rate: session.lowest_broken.map(Rate::as_f64),
        limit,
        probes: session.probes,
    })
}

/// What two or three runs at one rate decided.
enum Decision {
    Held,
    Broken,
    Stopped,
}

type Found = (Option<Rate>, Option<usize>, Limit);

struct Session<'a> {
    plan: &'a SearchPlan,
    run: &'a mut dyn FnMut(&ProbeOrder) -> Result<Option<Measured>, LoadError>,
    tell: &'a mut dyn FnMut(&Probe),
    probes: Vec<Probe>,
    /// Whether the last broken decision was the generator's doing.
    generator_limit: bool,
    lowest_broken: Option<Rate>,
}

impl Session<'_> {
    fn search(&mut self) -> Result<Found, LoadError> {
        let SearchPlan { least, most, .. } = *self.plan;
        let (mut low, mut high) = (None, None);
        let mut rate = self.plan.start.clamp(least, most);
        while low.is_none() || high.is_none() {
            match self.decide(Phase::Bracket, rate, self.plan.probe)? {
                Decision::Stopped => return Ok((None, None, Limit::Stopped)),
                Decision::Held => {
                    low = Some(rate);
                    if rate == most {
                        break;
                    }
                    if high.is_none() {
                        rate = scaled(rate, 2.0).min(most);
                    }
                }
                Decision::Broken => {
                    high = Some(rate);
                    if rate == least {
                        return Ok((None, None, Limit::NothingHeld));
                    }
                    if low.is_none() {
                        rate = scaled(rate, 0.5).max(least);
                    }
                }
            }
        }
        let Some(mut low) = low else {
            return Ok((None, None, Limit::NothingHeld));
        };
        while let Some(broken) = high {
            let middle = scaled(low, (broken.as_f64() / low.as_f64()).sqrt());
            let close = broken.as_f64() <= low.as_f64() * (1.0 + self.plan.precision);
            if close || middle <= low || middle >= broken {
                break;
            }
            match self.decide(Phase::Bisect, middle, self.plan.probe)? {
                Decision::Stopped => return Ok((None, None, Limit::Stopped)),
                Decision::Held => low = middle,
                Decision::Broken => high = Some(middle),
            }
        }
        let mut limit = match (high, self.generator_limit) {
            (None, _) => Limit::Most,
            (Some(_), true) => Limit::Generator,
            (Some(_), false) => Limit::Target,
        };
        for _ in 0..CONFIRMATIONS {
            match self.decide(Phase::Confirm, low, self.plan.confirm)? {
                Decision::Stopped => return Ok((None, None, Limit::Stopped)),
                Decision::Held => return Ok((Some(low), Some(self.probes.len() - 1), limit)),
                Decision::Broken => {
                    limit = if self.generator_limit {
                        Limit::Generator
                    } else {
                        Limit::Target
                    };
                    if low == least {
                        return Ok((None, None, Limit::NothingHeld));
                    }
                    low = scaled(low, 1.0 - 2.0 * self.plan.precision).max(least);
                }
            }
        }
        Ok((None, None, limit))
    }

    /// A run that holds decides alone; one that breaks is repeated, and two of three decide.
    fn decide(&mut self, phase: Phase, rate: Rate, duration: Nanos) -> Result<Decision, LoadError> {
        let (mut broken, mut generator) = (0, 0);
        for attempt in 0..3 {
            let number = u32::try_from(self.probes.len())
                .unwrap_or(u32::MAX)
                .saturating_add(1);
            let order = ProbeOrder {
                number,
                phase,
                rate,
                duration,
            };
            let Some(measured) = (self.run)(&order)? else {
                return Ok(Decision::Stopped);
            };
            let probe = judged(number, phase, measured);
            (self.tell)(&probe);
            let held = probe.held();
            generator += u32::from(probe.generator_limit);
            self.probes.push(probe);
            match (held, attempt) {
                (true, 0 | 2) => return Ok(Decision::Held),
                (true, _) => {}
                (false, _) => broken += 1,
            }
            if broken == 2 {
                break;
            }
        }
        self.generator_limit = generator == broken;
        if self.lowest_broken.is_none_or(|lowest| rate < lowest) {
            self.lowest_broken = Some(rate);
        }
        Ok(Decision::Broken)
    }
}

/// Says whether a run held, and what broke it.
fn judged(number: u32, phase: Phase, measured: Measured) -> Probe {
    let generator_limit = measured.bottleneck.as_deref() == Some("generator");
    let mut broken_by: Vec<String> = measured
        .objectives
        .iter()
        .filter(|objective| !objective.held)
        .map(|objective| objective.objective.clone())
        .collect();
    if !measured.schedule_kept {
        broken_by.push("schedule missed".to_owned());
    }
    if generator_limit {
        broken_by.push("the generator was the bottleneck".to_owned());
    }
    Probe {
        number,
        phase,
        measured,
        broken_by,
        generator_limit,
    }
}

/// `rate * factor`, to whole requests per second above a hundred and to thousandths below.
fn scaled(rate: Rate, factor: f64) -> Rate {
    let wanted = rate.as_f64() * factor;
    let text = if wanted >= 100.0 {
        format!("{wanted:.0}")
    } else {
        format!("{wanted:.3}")
    };
    // Out of range at either end: the rate itself is as good.
    text.parse().unwrap_or(rate)
}

#[cfg(test)]
mod tests;
