//! `tailcut doctor`: what this kernel, user and host allow, and whether a process can be traced.

use std::io::Write;
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use anyhow::Result;
use tailcut_probe::host::Doctor;

use crate::cli::DoctorArguments;

/// Examines, prints, and fails if something is missing that tracing needs.
pub fn run(arguments: &DoctorArguments) -> Result<ExitCode> {
    let doctor = Doctor::examine(arguments.pid);
    let mut output = std::io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut output, &doctor)?;
        writeln!(output)?;
    } else {
        let colour = AutoStream::choice(&output) != ColorChoice::Never;
        output.write_all(doctor.text(colour).as_bytes())?;
    }
    Ok(if doctor.verdict.can_trace {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
