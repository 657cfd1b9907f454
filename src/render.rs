//! `tailcut report`: recordings in; a page, Markdown, JSON, or files for other programs out.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tailcut_report::{ExportError, Report, ReportError, export, schema};

use crate::EXIT_NOBODY_READS;
use crate::cli::{ExportArguments, FormArguments, ReportArguments};
use crate::output::write_whole;

/// Something of a recording could not be read; what is shown lacks it.
const EXIT_DAMAGED: u8 = 5;
/// As for a bad flag: a variant was named that is not there.
const EXIT_REFUSED: u8 = 2;
/// Warnings printed at most; the page has more.
const MOST_WARNINGS: usize = 20;

/// Makes the report in the forms asked for.
pub fn run(arguments: &ReportArguments) -> Result<ExitCode> {
    match make(arguments) {
        Err(error) if nobody_reads(&error) => Ok(ExitCode::from(EXIT_NOBODY_READS)),
        Err(error) if is_refusal(&error) => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(EXIT_REFUSED))
        }
        made => made,
    }
}

fn make(arguments: &ReportArguments) -> Result<ExitCode> {
    let ReportArguments {
        recordings,
        sides,
        form,
        exports,
        schema: only_schema,
    } = arguments;
    if *only_schema {
        io::stdout().write_all(schema().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let document = Document::of(form, exports, recordings);
    let traced_to_output = exports.trace.as_deref().is_some_and(is_standard_output);
    ensure!(
        !(traced_to_output && document.as_ref().is_some_and(Document::is_printed)),
        "both the report and the trace would go to standard output: name a file for one of them"
    );

    let report = sides.apply(read(recordings)?, recordings)?;
    for damage in report.damage().iter().take(MOST_WARNINGS) {
        let consequence = match damage.lost {
            true => "left out",
            false => "read as far as that",
        };
        eprintln!("warning: {consequence}: {}", damage.reason);
    }
    let mut said = Vec::new();
    if let Some(document) = &document {
        document.write(&report, &mut said)?;
    }
    write_exports(&report, exports, &mut said)?;
    let printed = traced_to_output || document.as_ref().is_some_and(Document::is_printed);
    for line in said {
        match printed {
            true => eprintln!("{line}"),
            false => println!("{line}"),
        }
    }
    Ok(match report.damage() {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::from(EXIT_DAMAGED),
    })
}

/// Reads all recordings, with a bar on a terminal if there are several.
fn read(folders: &[PathBuf]) -> Result<Report> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("reading recordings {bar:40} {pos} of {len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    bar.set_style(style);
    let report = Report::read(folders, &|done, of| {
        if of > 1 {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            bar.tick();
        }
    });
    bar.finish_and_clear();
    Ok(report?)
}

/// The report itself: in which form, and where it goes.
struct Document {
    form: Form,
    path: PathBuf,
}

#[derive(Clone, Copy)]
enum Form {
    Page,
    Markdown,
    Json,
}

impl Document {
    /// `None` where nothing but exports was asked for.
    fn of(
        form: &FormArguments,
        exports: &ExportArguments,
        folders: &[PathBuf],
    ) -> Option<Document> {
        let (kind, usual) = match (form.md, form.json) {
            (true, _) => (Form::Markdown, PathBuf::from("-")),
            (_, true) => (Form::Json, PathBuf::from("-")),
            _ if form.output.is_none() && exports.any() => return None,
            _ => (Form::Page, usual_page(folders)),
        };
        Some(Document {
            form: kind,
            path: form.output.clone().unwrap_or(usual),
        })
    }

    fn is_printed(&self) -> bool {
        is_standard_output(&self.path)
    }

    fn write(&self, report: &Report, said: &mut Vec<String>) -> Result<()> {
        let text = match self.form {
            Form::Page => report.html(),
            Form::Markdown => report.markdown() + "\n",
            Form::Json => serde_json::to_string_pretty(&report.json())? + "\n",
        };
        if self.is_printed() {
            return io::stdout()
                .write_all(text.as_bytes())
                .context("cannot write to standard output");
        }
        write_whole(&self.path, &text)?;
        said.push(report.verdict().sentence.clone());
        said.push(format!("report: {}", self.path.display()));
        Ok(())
    }
}

/// In the folder of the recordings if there is one, else here.
fn usual_page(folders: &[PathBuf]) -> PathBuf {
    match folders {
        [one] => one.join("report.html"),
        _ => PathBuf::from("report.html"),
    }
}

fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn write_exports(report: &Report, exports: &ExportArguments, said: &mut Vec<String>) -> Result<()> {
    if let Some(dir) = &exports.csv {
        let files = export::csv(report, dir)?;
        said.push(format!("csv: {} ({} files)", dir.display(), files.len()));
    }
    if let Some(dir) = &exports.hgrm {
        let files = export::percentile_distributions(report, dir)?;
        said.push(format!("hgrm: {} ({} files)", dir.display(), files.len()));
    }
    if let Some(path) = &exports.trace {
        let summary = if is_standard_output(path) {
            let mut out = io::BufWriter::new(io::stdout().lock());
            export::trace(report, &mut out)?
        } else {
            export::trace_file(report, path)?
        };
        said.push(format!(
            "trace: {} ({} slow requests, {} pauses; ui.perfetto.dev opens it)",
            path.display(),
            summary.requests,
            summary.pauses
        ));
    }
    Ok(())
}

/// Whether what was asked for is not there to be compared, though the recordings could be read.
fn is_refusal(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(ReportError::NoVariant { .. } | ReportError::SameSide { .. })
    )
}

/// Whether it failed because whoever read the output has gone (`| head`).
fn nobody_reads(error: &anyhow::Error) -> bool {
    let gone = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        let exported = match cause.downcast_ref() {
            Some(ExportError::Io { cause, .. }) => gone(cause),
            _ => false,
        };
        exported || cause.downcast_ref().is_some_and(gone)
    })
}
