//! What tracing costs, beside bpftrace: a table and a JSON file. `cargo xtask bench probe` runs it.
//!
//! | part | what |
//! |---|---|
//! | `pairs.rs` | a pair of malloc and free, timed by the target, with a tracer on both ends of both |
//! | `server.rs` | redis-server's throughput while it is traced |
//! | `collector.rs` | a Go program's throughput while its collector is traced |
//! | `big_binary.rs` | from attaching to the first figure, in a program of 100 MB |
//!
//! Runs are interleaved, so that a machine that changes its pace changes all rows, and the median of
//! each row's runs is given. Takes root; bpftrace, redis-server and a C compiler and Go as far as they are
//! there: a row that lacks one says so. Uses two cores.

#[cfg(target_os = "linux")]
mod big_binary;
#[cfg(target_os = "linux")]
mod collector;
#[cfg(target_os = "linux")]
mod pairs;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod tracers;

/// Any failure, for a person.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("there is no tracing but on Linux");
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Failure> {
    let effort = Effort::of_arguments()?;
    if !nix::unistd::geteuid().is_root() {
        return Err("tracing takes root: sudo".into());
    }
    let folder = std::path::Path::new("target/tailcut-bench");
    std::fs::create_dir_all(folder)?;
    let mut rows = pairs::measure(effort)?;
    rows.extend(server::measure(effort)?);
    rows.extend(collector::measure(effort)?);
    rows.extend(big_binary::measure(effort, folder)?);
    println!("| what | tracer | median | least | most | beside untraced |");
    println!("|---|---|--:|--:|--:|--:|");
    for row in &rows {
        println!("{}", row.line());
    }
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let report = serde_json::json!({
        "schema": 1,
        "quick": effort.quick,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_average": read("/proc/loadavg").trim(),
        "rows": rows,
    });
    let path = folder.join("probe.json");
    std::fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")?;
    if effort.quick {
        println!("\nQUICK: these figures show that it works; do not quote them");
    }
    println!(
        "\nload average {}; all figures: {}",
        read("/proc/loadavg").trim(),
        path.display()
    );
    Ok(())
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    quick: bool,
    /// Runs of each row.
    rounds: usize,
}

impl Effort {
    fn of_arguments() -> Result<Effort, Failure> {
        match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
            [] => Ok(Effort {
                quick: false,
                rounds: 5,
            }),
            [word] if word == "--quick" => Ok(Effort {
                quick: true,
                rounds: 1,
            }),
            _ => Err("the only argument is --quick".into()),
        }
    }
}

/// One line of the table.
#[derive(Debug, serde::Serialize)]
pub struct Row {
    what: String,
    tracer: String,
    unit: &'static str,
    /// In the order of measuring.
    runs: Vec<f64>,
    median: Option<f64>,
    /// Median over the untraced row's.
    ratio: Option<f64>,
    /// Why there are no figures, or what must be known with them.
    note: Option<String>,
}

impl Row {
    fn new(what: &str, tracer: &str, unit: &'static str, runs: Vec<f64>) -> Row {
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        Row {
            what: what.to_owned(),
            tracer: tracer.to_owned(),
            unit,
            median: sorted.get(sorted.len() / 2).copied(),
            runs,
            ratio: None,
            note: None,
        }
    }

    fn missing(what: &str, tracer: &str, why: &str) -> Row {
        Row {
            note: Some(format!("not measured: {why}")),
            ..Row::new(what, tracer, "", Vec::new())
        }
    }

    /// Compares this row with the one where nothing is traced.
    fn beside(mut self, untraced: &Row) -> Row {
        self.ratio = self
            .median
            .zip(untraced.median)
            .map(|(this, that)| this / that);
        self
    }

    fn line(&self) -> String {
        let value = |value: Option<f64>| match value {
            Some(value) if value < 100.0 => format!("{value:.1} {}", self.unit),
            Some(value) => format!("{value:.0} {}", self.unit),
            None => String::new(),
        };
        let least = self.runs.iter().copied().reduce(f64::min);
        let most = self.runs.iter().copied().reduce(f64::max);
        let ratio = self.ratio.map(|ratio| format!("{ratio:.3} x"));
        let beside: Vec<String> = ratio.into_iter().chain(self.note.clone()).collect();
        let beside = beside.join("; ");
        format!(
            "| {} | {} | {} | {} | {} | {beside} |",
            self.what,
            self.tracer,
            value(self.median),
            value(least),
            value(most)
        )
    }
}
