//! A pair of malloc and free at full speed, as the target itself times it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tracers::{Calls, Tracer};
use crate::{Effort, Failure, Row};

const C_LIBRARY: &str = "/lib/x86_64-linux-gnu/libc.so.6";
const JEMALLOC: &str = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";

pub fn measure(effort: Effort) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (allocator, library) in [("glibc", C_LIBRARY), ("jemalloc", JEMALLOC)] {
        let what = format!("malloc and free, {allocator}");
        if Path::new(library).exists() {
            rows.extend(of_allocator(&what, library, effort)?);
        } else {
            rows.push(Row::missing(
                &what,
                "",
                &format!("{library} is not installed"),
            ));
        }
    }
    Ok(rows)
}

fn of_allocator(what: &str, library: &str, effort: Effort) -> Result<Vec<Row>, Failure> {
    let folder = tempfile::tempdir()?;
    let program = Calls::compile(folder.path())?;
    // A copy, since bpftrace's probes are hit by all that run a library.
    let own: PathBuf = folder
        .path()
        .join(Path::new(library).file_name().ok_or("no library")?);
    std::fs::copy(library, &own)?;
    let usable = || {
        Tracer::ALL
            .into_iter()
            .filter(|tracer| tracer.lacking().is_none())
    };
    let mut runs = vec![Vec::new(); Tracer::ALL.len()];
    for _ in 0..effort.rounds {
        for tracer in usable() {
            eprintln!("{what}: {}", tracer.name());
            let pairs = match tracer {
                Tracer::None => 20_000_000,
                _ if effort.quick => 50_000,
                _ => 300_000,
            };
            let mut command = Command::new(&program);
            command.args(["pairs", &pairs.to_string(), "0"]);
            match library {
                C_LIBRARY => command.env("LD_LIBRARY_PATH", folder.path()),
                _ => command.env("LD_PRELOAD", &own),
            };
            let mut calls = Calls::start(&mut command)?;
            let attached = tracer.attach(calls.pid(), &own)?;
            let account = calls.go()?;
            drop(attached);
            let ns = account.rsplit(' ').next().ok_or("no account")?;
            runs[tracer as usize].push(ns.parse::<f64>()? / f64::from(pairs));
        }
    }
    let untraced = Row::new(what, Tracer::None.name(), "ns", runs[0].clone());
    let mut rows: Vec<Row> = Tracer::ALL[1..]
        .iter()
        .map(|tracer| match tracer.lacking() {
            Some(why) => Row::missing(what, tracer.name(), why),
            None => Row::new(what, tracer.name(), "ns", runs[*tracer as usize].clone())
                .beside(&untraced),
        })
        .collect();
    if let (Some(ours), Some(theirs)) = (rows[0].median, rows[1].median) {
        rows[0].note = Some(format!("{:.2} x bpftrace's", ours / theirs));
    }
    rows.insert(0, untraced);
    Ok(rows)
}
