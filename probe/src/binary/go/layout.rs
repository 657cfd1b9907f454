//! Where Go's runtime keeps what can be read from outside without a probe.
//!
//! The runtime counts some durations itself, in histograms that are plain numbers in its data: how
//! long goroutines that could run waited for a processor, and how long the collector stopped the
//! world. Their addresses are those of symbols; their places within come from DWARF. Without DWARF
//! a table by version serves for what it holds (tried on programs of each version); without symbols
//! there are no addresses.
//!
//! | what | where | Go |
//! |---|---|---|
//! | scheduler latency | `runtime.sched.timeToRun` | 1.17 and newer |
//! | the collector's pauses | `runtime.memstats.gcPauseDist` | 1.17 to 1.21 |
//! | the same | `runtime.sched.stwTotalTimeGC` | 1.22 and newer |
//! | a goroutine's number | `runtime.g.goid` | all |

use super::{GoError, GoProgram, Release};
use crate::binary::elf::debug::{self, Structure};
use serde::Serialize;
use std::collections::BTreeMap;

/// The runtime's structures that are looked up.
const STRUCTURES: [&str; 4] = [
    "runtime.g",
    "runtime.schedt",
    "runtime.mstats",
    "runtime.timeHistogram",
];

/// How a histogram of the runtime divides durations (`runtime/histogram.go`): exponents of two, each
/// divided evenly.
///
/// Counts are 64-bit numbers, one behind the other. The bounds that package `runtime/metrics` of Go
/// 1.17 to 1.19 gives are too low from the third exponent on; those here are what the runtime counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HistogramShape {
    /// Durations of fewer bits than this are the first exponent.
    pub minimum_bits: u32,
    /// Each exponent is divided in two to the power of this.
    pub division_bits: u32,
    /// How many counts there are.
    pub counts: u32,
}

impl HistogramShape {
    /// The shape that has so many counts. None if no version of Go is known to have it.
    #[must_use]
    pub fn of_counts(counts: u64) -> Option<Self> {
        match counts {
            // 45 exponents of 16: Go 1.17 to 1.19.
            720 => Some(HistogramShape {
                minimum_bits: 5,
                division_bits: 4,
                counts: 720,
            }),
            // 40 exponents of 4: Go 1.20 and newer.
            160 => Some(HistogramShape {
                minimum_bits: 9,
                division_bits: 2,
                counts: 160,
            }),
            _ => None,
        }
    }

    /// The least duration that count `index` counts, in nanoseconds; that of the next one is the
    /// first it does not count.
    #[must_use]
    pub fn lower_bound(&self, index: u32) -> u64 {
        let exponent = index >> self.division_bits;
        let division = u64::from(index & ((1 << self.division_bits) - 1));
        let base_bits = self.minimum_bits - 1;
        // The first exponent and the second are divided alike.
        let width_bits = base_bits - self.division_bits + exponent.saturating_sub(1);
        let base = match exponent {
            0 => 0,
            _ => 1_u64.checked_shl(base_bits + exponent - 1).unwrap_or(0),
        };
        base.saturating_add(division.checked_shl(width_bits).unwrap_or(u64::MAX))
    }
}

/// A histogram of the runtime, in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HistogramPlace {
    /// The address of its first count in the process.
    pub address: u64,
    /// How it divides durations.
    pub shape: HistogramShape,
    /// The address of the count of durations that are beyond the last; before Go 1.20 those are
    /// in the last count.
    pub overflow: Option<u64>,
}

/// Where the runtime keeps what can be read. What is missing says why, for a reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuntimeLayout {
    /// How far a goroutine's number (64 bits) is from the beginning of its `g`, in bytes.
    pub goroutine_number: Result<u64, String>,
    /// How long goroutines that could run waited until they did.
    pub scheduler_latency: Result<HistogramPlace, String>,
    /// How long the collector stopped the world, from asking until it ran again.
    pub collector_pauses: Result<HistogramPlace, String>,
    /// Whether places come from the program's own debug information, and not from a table.
    pub from_debug_information: bool,
}

/// What is known of a release without its debug information, in bytes on processors of 64 bits.
struct KnownRelease {
    from: Release,
    to: Release,
    goid: u64,
    time_to_run: u64,
    /// In `runtime.schedt` from Go 1.22 on, before in `runtime.mstats`.
    pauses: u64,
}

const fn known(from: u16, to: u16, goid: u64, time_to_run: u64, pauses: u64) -> KnownRelease {
    KnownRelease {
        from: Release(1, from),
        to: Release(1, to),
        goid,
        time_to_run,
        pauses,
    }
}

/// As the debug information of programs built by 1.19.8, 1.21.13, 1.22.10, 1.23.9, 1.24.11, 1.25.5,
/// 1.26.6 and 1.27.3 has it.
const KNOWN: [KnownRelease; 6] = [
    known(19, 19, 152, 312, 7744),
    known(21, 21, 152, 320, 7744),
    known(22, 22, 152, 320, 4224),
    known(23, 24, 160, 320, 4224),
    known(25, 25, 152, 344, 4248),
    known(26, 27, 152, 360, 4264),
];

impl GoProgram {
    /// Where the runtime keeps what can be read without probes.
    ///
    /// Cost: going through the program's debug information, some 10 ms a MB.
    ///
    /// # Errors
    ///
    /// Nothing of it is known.
    pub fn runtime_layout(&self) -> Result<RuntimeLayout, GoError> {
        let (layout, why_not) = match debug::structures(&self.contents.image, &STRUCTURES) {
            Ok(structures) => (self.layout_of(&structures), None),
            Err(error) => (self.known_layout(&error.to_string()), Some(error)),
        };
        let known = layout.goroutine_number.is_ok()
            || layout.scheduler_latency.is_ok()
            || layout.collector_pauses.is_ok();
        match why_not {
            Some(error) if !known => Err(GoError::NoLayout(format!(
                "{error}, and of {} nothing is known without",
                self.version
            ))),
            _ => Ok(layout),
        }
    }

    /// The places of fields, each given as the name of a structure and of a field in it, such as
    /// `("runtime.mstats", "numgc")`; none where the debug information does not have one.
    ///
    /// # Errors
    ///
    /// There is no debug information that can be read.
    pub fn field_offsets(&self, fields: &[(&str, &str)]) -> Result<Vec<Option<u64>>, GoError> {
        let mut wanted: Vec<&str> = fields.iter().map(|(structure, _)| *structure).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let found = debug::structures(&self.contents.image, &wanted)
            .map_err(|error| GoError::NoLayout(error.to_string()))?;
        let offset = |(structure, field): &(&str, &str)| {
            let structure = found.get(*structure)?;
            structure.fields.get(*field).copied()
        };
        Ok(fields.iter().map(offset).collect())
    }

    /// The address in the process of the runtime's variable `name`: `runtime.sched`, `runtime.memstats`,
    /// `runtime.work` or `runtime.gomaxprocs`. None in a program without symbols.
    #[must_use]
    pub fn runtime_variable(&self, name: &str) -> Option<u64> {
        Some(self.address_in_process(self.symbol(name)?))
    }

    fn layout_of(&self, structures: &BTreeMap<String, Structure>) -> RuntimeLayout {
        let field = |structure: &str, name: &str| {
            let found = structures.get(structure);
            let place = found.and_then(|found| found.fields.get(name).copied());
            place.ok_or_else(|| format!("{structure} has no field {name} in {}", self.version))
        };
        let histogram = |variable: &str, structure: &str, name: &str| {
            let offset = field(structure, name)?;
            let underflow = field("runtime.timeHistogram", "underflow")?;
            let counts = field("runtime.timeHistogram", "counts")?;
            let number = underflow.wrapping_sub(counts) / 8;
            let shape = HistogramShape::of_counts(number)
                .ok_or_else(|| format!("a histogram of {number} counts is not known"))?;
            let start = self.variable(variable)?.wrapping_add(offset);
            let overflow = field("runtime.timeHistogram", "overflow").ok();
            Ok::<_, String>(HistogramPlace {
                address: start.wrapping_add(counts),
                shape,
                overflow: overflow.map(|at| start.wrapping_add(at)),
            })
        };
        RuntimeLayout {
            goroutine_number: field("runtime.g", "goid"),
            scheduler_latency: histogram("runtime.sched", "runtime.schedt", "timeToRun"),
            collector_pauses: histogram("runtime.sched", "runtime.schedt", "stwTotalTimeGC")
                .or_else(|_| histogram("runtime.memstats", "runtime.mstats", "gcPauseDist")),
            from_debug_information: true,
        }
    }

    /// By the table of versions, for a program without debug information.
    fn known_layout(&self, why: &str) -> RuntimeLayout {
        // Experiments may add fields, and a development version has any of two releases.
        let plain = !self.version.development && self.build.setting("GOEXPERIMENT").is_none();
        let release = self.version.release.filter(|_| plain);
        let known = release.and_then(|release| {
            let mut known = KNOWN.iter();
            known.find(|known| (known.from..=known.to).contains(&release))
        });
        let unknown = || format!("{why}, and nothing is known of {}", self.version);
        let histogram = |variable: &str, offset: Option<u64>| {
            let offset = offset.ok_or_else(unknown)?;
            let address = self.variable(variable)?.wrapping_add(offset);
            let old = !self.version.at_least(1, 20);
            let counts = if old { 720 } else { 160 };
            let shape = HistogramShape::of_counts(counts).ok_or_else(unknown)?;
            // Behind the counts: underflow, then overflow.
            let overflow = (!old).then(|| address.wrapping_add(8 * (counts + 1)));
            Ok::<_, String>(HistogramPlace {
                address,
                shape,
                overflow,
            })
        };
        let pauses_in = match self.version.at_least(1, 22) {
            true => "runtime.sched",
            false => "runtime.memstats",
        };
        RuntimeLayout {
            goroutine_number: known.map(|known| known.goid).ok_or_else(unknown),
            scheduler_latency: histogram("runtime.sched", known.map(|known| known.time_to_run)),
            collector_pauses: histogram(pauses_in, known.map(|known| known.pauses)),
            from_debug_information: false,
        }
    }

    fn variable(&self, name: &str) -> Result<u64, String> {
        self.runtime_variable(name)
            .ok_or_else(|| format!("without symbols the address of {name} is not known"))
    }
}

#[cfg(test)]
mod tests {
    use super::HistogramShape;

    /// Where the runtime of Go 1.20 and newer counts a duration.
    fn index_of(duration: u64) -> u32 {
        let bits = (u64::BITS - duration.leading_zeros()).max(9);
        let exponent = if duration < 256 { 0 } else { bits - 8 };
        exponent * 4 + ((duration >> (bits - 3)) % 4) as u32
    }

    #[test]
    fn bounds_are_where_the_runtime_begins_to_count_by_the_next() {
        let shape = HistogramShape::of_counts(160).unwrap();
        for index in 0..shape.counts {
            let bound = shape.lower_bound(index);
            assert_eq!(index_of(bound), index, "{bound} ns");
            if index > 0 {
                assert_eq!(index_of(bound - 1), index - 1, "{bound} ns");
            }
        }
        let old = HistogramShape::of_counts(720).unwrap();
        let bounds: Vec<u64> = (0..36).map(|index| old.lower_bound(index)).collect();
        assert_eq!(bounds[..32], (0..32).collect::<Vec<u64>>());
        assert_eq!(bounds[32..], [32, 34, 36, 38]);
        assert_eq!(HistogramShape::of_counts(161), None);
    }
}
