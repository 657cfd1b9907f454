//! `tailcut gate`: may NEW replace BASE? An exit status for CI, and a comment that says why.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use tailcut_loadgen::scenario::Slo;
use tailcut_report::compare::{Percentile, Run};
use tailcut_report::gate::{self, Gate, Options, Outcome};
use tailcut_report::{Table as Figures, printable_name};

use crate::load::compare::{recordings_in, share};

const EXAMPLES: &str = "\
Examples:
  tailcut gate base/ new/                              no regression beyond 5% in P50, P99, P99.9
  tailcut gate base/ new/ --slo 'p99.9<1ms,errors<0.05%'
  tailcut gate base/ new/ --judge p99.9 --max-regression 10%
  tailcut gate base/ new/ --md > comment.md            for a comment on a change
  tailcut gate base/ new/ --cannot-tell pass           too few runs, and the like, do not hold anybody up

Each folder holds the recordings of several runs of one scenario: 5 + 5 to judge three percentiles,
4 + 4 for one. Make the runs in turns (tailcut load compare does), so that drift of the machine falls
on both sides. NEW fails if the exact rank sum test shows it to be worse than BASE by more than
--max-regression, at --alpha after Holm's correction for all that is judged, or if an objective of
--slo is broken over all requests of NEW. Runs of another rate, duration or machine are refused.

Exit status: 0 passed; 1 failed to run; 2 bad arguments, or sides that cannot be compared; 3 a
regression, or a broken objective; 5 cannot tell: too few runs, or a side that missed its schedule
(--cannot-tell makes it 0 or 3).";

const EXIT_REFUSED: u8 = 2;
const EXIT_FAILED: u8 = 3;
const EXIT_CANNOT_TELL: u8 = 5;

/// `tailcut gate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GateArguments {
    /// What there is: a folder of recordings of the same run.
    #[arg(value_name = "BASE")]
    pub base: PathBuf,
    /// What is to replace it.
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// What must hold of NEW, all of it: p50 to p99.9999, max, mean<TIME, errors<SHARE, rate>RATE.
    #[arg(long, value_name = "OBJECTIVES")]
    pub slo: Option<Slo>,
    /// How much slower NEW may be in the median of its runs, as a share of BASE.
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = share)]
    pub max_regression: f64,
    /// The chance of failing a NEW that is no worse than that, at most.
    #[arg(long, value_name = "LEVEL", default_value = "0.05", value_parser = level)]
    pub alpha: f64,
    /// The percentiles that are judged, separated by commas. The more there are, the more runs it takes.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "p50,p99,p99.9"
    )]
    pub judge: Vec<Percentile>,
    /// Of folders that hold several variants, the one that is judged.
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// What the exit status is when the runs do not allow an answer.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = CannotTell::Status)]
    pub cannot_tell: CannotTell,
    /// Prints one JSON object, and only that, on standard output.
    #[arg(long)]
    pub json: bool,
    /// Prints Markdown instead.
    #[arg(long, conflicts_with = "json")]
    pub md: bool,
}

/// What becomes of a gate that cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CannotTell {
    /// A status of its own, 5.
    Status,
    /// It passes, with 0.
    Pass,
    /// It fails, with 3.
    Fail,
}

/// Answers.
pub fn run(arguments: &GateArguments) -> Result<ExitCode> {
    let gate = match answer(arguments) {
        Ok(gate) => gate,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(EXIT_REFUSED));
        }
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&gate)?);
    } else if arguments.md {
        print!("{}", gate.markdown());
    } else {
        println!("{}", text(&gate));
    }
    Ok(ExitCode::from(exit_status(
        gate.outcome,
        arguments.cannot_tell,
    )))
}

fn answer(arguments: &GateArguments) -> Result<Gate> {
    let options = Options {
        judged: arguments.judge.clone(),
        level: arguments.alpha,
        tolerated: arguments.max_regression,
    };
    let [base, new] = [&arguments.base, &arguments.new].map(|folder| {
        let mut runs = Vec::new();
        let mut others: Vec<String> = Vec::new();
        for dir in recordings_in(folder)? {
            let run = Run::read(&dir)?;
            let name = printable_name(&run.meta.variant);
            match &arguments.variant {
                Some(asked) if *asked != name => others.push(name),
                _ => runs.push(run),
            }
        }
        others.sort();
        others.dedup();
        ensure!(
            !runs.is_empty(),
            "{} holds no run of {}, but of {}",
            folder.display(),
            arguments.variant.as_deref().unwrap_or_default(),
            others.join(", ")
        );
        Ok(runs)
    });
    let gate = gate::gate(&base?, &new?, &options, |response, result| {
        let slo = arguments.slo.as_ref();
        slo.map_or_else(Vec::new, |slo| slo.judge_figures(response, result))
    })?;
    Ok(gate)
}

fn exit_status(outcome: Outcome, cannot_tell: CannotTell) -> u8 {
    match (outcome, cannot_tell) {
        (Outcome::Pass, _) | (Outcome::CannotTell, CannotTell::Pass) => 0,
        (Outcome::Fail, _) | (Outcome::CannotTell, CannotTell::Fail) => EXIT_FAILED,
        (Outcome::CannotTell, CannotTell::Status) => EXIT_CANNOT_TELL,
    }
}

/// The answer comes last, where a log is read first.
fn text(gate: &Gate) -> String {
    let mut text = as_text(&gate.check_table());
    if let Some(objectives) = gate.objective_table() {
        text.push('\n');
        text.push_str(&as_text(&objectives));
    }
    let comparison = &gate.comparison;
    if !comparison.differences.is_empty() {
        let listed: Vec<String> = comparison
            .differences
            .iter()
            .map(ToString::to_string)
            .collect();
        text.push_str(&format!("\ncompared: {}", listed.join(", ")));
    }
    for note in &comparison.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    text.push('\n');
    text.push_str(&gate.sentence);
    text
}

fn as_text(figures: &Figures) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(&figures.header);
    table.add_rows(&figures.rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// `0.05`, or `5%`: above none and below a half.
fn level(text: &str) -> Result<f64, String> {
    share(text)
        .ok()
        .filter(|level| (1e-6..0.5).contains(level))
        .ok_or_else(|| {
            format!("'{text}' is no level; write for example 0.05 or 5%, above 0 and below 50%")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        gate: GateArguments,
    }

    fn parsed(line: &[&str]) -> Result<GateArguments, String> {
        let words = ["gate", "base", "new"].iter().chain(line).copied();
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(line.gate)
    }

    #[test]
    fn a_gate_tolerates_what_it_is_told_to_and_nothing_absurd() {
        let usual = parsed(&[]).unwrap();
        assert_eq!((usual.max_regression, usual.alpha), (0.05, 0.05));
        assert_eq!(
            parsed(&["--max-regression", "0%"]).unwrap().max_regression,
            0.0
        );
        for bad in [
            &["--max-regression", "-5%"][..],
            &["--alpha", "0"],
            &["--alpha", "60%"],
            &["--alpha", "often"],
            &["--judge", "median"],
            &["--slo", "p99.9>1ms"],
            &["--json", "--md"],
        ] {
            assert!(parsed(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn not_being_able_to_tell_has_a_status_of_its_own_unless_it_is_told_otherwise() {
        use CannotTell::{Fail, Pass, Status};
        let status = |cannot_tell| exit_status(Outcome::CannotTell, cannot_tell);
        assert_eq!([Status, Pass, Fail].map(status), [5, 0, 3]);
        assert_eq!(
            [Outcome::Pass, Outcome::Fail].map(|outcome| exit_status(outcome, Status)),
            [0, 3]
        );
    }
}
