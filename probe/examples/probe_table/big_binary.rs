//! From attaching to the first figure, in a program of 100 MB, nearly all of it names of functions.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tailcut_probe::{Options, Session};

use crate::{Effort, Failure, Row};

/// Functions whose names are 200 letters: with their entries 224 bytes each.
const FUNCTIONS: u32 = 450_000;
const LETTERS: usize = 193;

pub fn measure(effort: Effort, folder: &Path) -> Result<Vec<Row>, Failure> {
    let program = build(folder)?;
    let megabytes = std::fs::metadata(&program)?.len() / 1_000_000;
    let what = format!("first figure of a program of {megabytes} MB");
    let mut runs = Vec::new();
    let mut memory = 0.0;
    let mut child = Command::new(&program).stdin(Stdio::piped()).spawn()?;
    for _ in 0..effort.rounds {
        eprintln!("{what}");
        let begin = Instant::now();
        let figure = first_figure(child.id());
        runs.push(begin.elapsed().as_secs_f64() * 1e3);
        memory = figure.inspect_err(|_| {
            let _ = child.kill();
        })?;
    }
    child.kill()?;
    child.wait()?;
    let series = "tailcut, default series, malloc and free";
    Ok(vec![
        Row::new(&what, series, "ms", runs),
        Row::new(
            &format!("memory after it ({what})"),
            series,
            "MB",
            vec![memory],
        ),
    ])
}

/// This process's memory then, in MB.
fn first_figure(pid: u32) -> Result<f64, Failure> {
    let options = Options {
        series: "default,malloc,free".parse()?,
        interval: Duration::from_millis(100),
        ..Options::default()
    };
    let mut session = Session::attach(pid, options)?;
    let tick = session.next(&AtomicBool::new(false))?;
    Ok(tick.ok_or("the program has ended")?.cost.own_rss_bytes as f64 / 1e6)
}

/// Made once: a macro of the assembler makes the functions.
fn build(folder: &Path) -> Result<PathBuf, Failure> {
    let program = folder.join("big-binary");
    if program.exists() {
        return Ok(program);
    }
    let name = "f".repeat(LETTERS);
    let source = format!(
        ".altmacro\n.macro f n\n{name}\\n:\n.type {name}\\n,@function\nret\n.size {name}\\n,1\n.endm\n\
         .set i,1000000\n.rept {FUNCTIONS}\nf %i\n.set i,i+1\n.endr\n.section .note.GNU-stack,\"\",@progbits\n"
    );
    let assembly = folder.join("big-binary.s");
    let main = folder.join("big-binary.c");
    std::fs::write(&assembly, source)?;
    std::fs::write(
        &main,
        "#include <stdlib.h>\n#include <unistd.h>\n\
         int main(void) { char b; free(malloc(1)); return (int)read(0, &b, 1); }\n",
    )?;
    let built = Command::new("cc")
        .args(["-O2", "-o"])
        .args([&program, &main, &assembly])
        .status()
        .map_err(|error| format!("no C compiler: {error}"))?;
    let _ = std::fs::remove_file(assembly);
    if !built.success() {
        return Err("the big program does not compile".into());
    }
    Ok(program)
}
