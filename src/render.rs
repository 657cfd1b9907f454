//! `tailcut report`: recordings in, a page out.

use std::process::ExitCode;

use anyhow::Result;
use tailcut_report::Report;

use crate::cli::ReportArguments;
use crate::output::write_whole;

/// Makes the report in the form asked for.
pub fn run(arguments: &ReportArguments) -> Result<ExitCode> {
    let report = Report::read_tree(&arguments.recordings)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report.json())?);
    } else if arguments.md {
        println!("{}", report.markdown());
    } else {
        let page = arguments
            .output
            .clone()
            .unwrap_or_else(|| arguments.recordings.join("report.html"));
        write_whole(&page, &report.html())?;
        println!("{}", report.verdict().sentence);
        println!("report: {}", page.display());
    }
    Ok(ExitCode::SUCCESS)
}
