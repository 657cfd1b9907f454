//! A Go program whose collector is at its limit, so that assists come by the thousand: what the default
//! Go series take of its throughput.
//!
//! Order A B B A: a machine that warms up or slows down favours neither.

use std::path::Path;
use std::process::Command;

use crate::tracers::{Attached, Calls, attach_series};
use crate::{Effort, Failure, Row};

const WHAT: &str = "Go in a storm of assists, allocations";
const UNTRACED: &str = "none";
/// The default group of Go alone, within its budget; and all default groups.
const SERIES: [&str; 2] = ["gc", "default"];

pub fn measure(effort: Effort) -> Result<Vec<Row>, Failure> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("collected");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/collected/main.go");
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&program, &source])
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return Ok(vec![Row::missing(WHAT, "", "there is no go on the path")]);
    }
    let milliseconds = if effort.quick { 500 } else { 4_000 };
    let throughput = |series: Option<&str>| -> Result<f64, Failure> {
        eprintln!("{WHAT}: {}", series.unwrap_or(UNTRACED));
        let mut program = Calls::start(Command::new(&program).env("GOMAXPROCS", "2"))?;
        let attached = match series {
            Some(series) => attach_series(program.pid(), series, 0.01)?,
            None => Attached::None,
        };
        program.ask("storm 300 60")?;
        let account = program.ask(&format!("storm {milliseconds} 60"))?;
        drop(attached);
        let mallocs = account.split(' ').nth(2).ok_or("no account")?;
        Ok(mallocs.parse::<f64>()? / f64::from(milliseconds))
    };
    let mut rows = Vec::new();
    let mut all_untraced = Vec::new();
    for series in SERIES {
        let (mut untraced, mut traced) = (Vec::new(), Vec::new());
        for _ in 0..effort.rounds {
            untraced.push(throughput(None)?);
            traced.push(throughput(Some(series))?);
            traced.push(throughput(Some(series))?);
            untraced.push(throughput(None)?);
        }
        let beside = Row::new(WHAT, UNTRACED, "/ms", untraced.clone());
        all_untraced.extend(untraced);
        let name = format!("tailcut, {series}");
        rows.push(Row::new(WHAT, &name, "/ms", traced).beside(&beside));
    }
    rows.insert(0, Row::new(WHAT, UNTRACED, "/ms", all_untraced));
    Ok(rows)
}
