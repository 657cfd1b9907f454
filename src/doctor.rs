//! `tailcut doctor`: what this kernel, user and host allow, and whether a process can be traced.

use std::io::Write;
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use anyhow::Result;
use tailcut_probe::binary::survey;
use tailcut_probe::binary::survey::Detail;
use tailcut_probe::host::Doctor;

use crate::cli::DoctorArguments;

/// Examines, prints, and fails if something is missing that tracing needs.
pub fn run(arguments: &DoctorArguments) -> Result<ExitCode> {
    let doctor = Doctor::examine(arguments.pid);
    // Whether it can be read at all is among the checks; here is what is in it.
    let survey = arguments.pid.map(survey);
    let mut output = std::io::stdout().lock();
    if arguments.json {
        let mut all = serde_json::to_value(&doctor)?;
        all["process"] = match &survey {
            Some(Ok(survey)) => serde_json::to_value(survey)?,
            Some(Err(error)) => serde_json::json!({ "error": error.to_string() }),
            None => serde_json::Value::Null,
        };
        serde_json::to_writer_pretty(&mut output, &all)?;
        writeln!(output)?;
    } else {
        let colour = AutoStream::choice(&output) != ColorChoice::Never;
        output.write_all(doctor.text(colour).as_bytes())?;
        match &survey {
            Some(Ok(survey)) => {
                writeln!(output)?;
                for line in survey.lines(Detail::Brief) {
                    writeln!(output, "{line}")?;
                }
            }
            Some(Err(error)) => writeln!(output, "\n{error}")?,
            None => {}
        }
    }
    Ok(if doctor.verdict.can_trace {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
