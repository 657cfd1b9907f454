//! What `tailcut report` holds against what: `--before` and `--after`, two folders in their order, or `--trend`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use tailcut_report::{Report, Sides};

/// Which runs are before, and which after.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Before and after")]
pub struct SidesArguments {
    /// The variant that was there; two folders of recordings are before and after in their order without being named
    /// [default: of heap allocators beside a pool the best].
    #[arg(
        long,
        value_name = "NAME",
        requires = "after",
        conflicts_with = "trend"
    )]
    pub before: Option<String>,
    /// The variant that is held against it.
    #[arg(long, value_name = "NAME", requires = "before")]
    pub after: Option<String>,
    /// Shows P99.9 from version to version: of recordings with a --label that is the version, else the folder given.
    #[arg(long)]
    pub trend: bool,
}

impl SidesArguments {
    /// The report with what was asked for held against each other; `folders` are those given, in their order.
    ///
    /// # Errors
    /// A variant that is not there.
    pub fn apply(&self, report: Report, folders: &[PathBuf]) -> Result<Report> {
        if let (Some(before), Some(after)) = (&self.before, &self.after) {
            return Ok(report.held_against(&Sides::Variants {
                before: before.clone(),
                after: after.clone(),
            })?);
        }
        let [before, after] = folders else {
            let many = self.trend || report.has_versions();
            return Ok(if many {
                report.with_trend(folders)
            } else {
                report
            });
        };
        if self.trend {
            return Ok(report.with_trend(folders));
        }
        // Two single recordings may as well be a run and its repetition, or a run and what was traced beside it.
        if is_recording(before) && is_recording(after) {
            return Ok(report);
        }
        // Folders of several variants each are no sides; all of it is shown together then.
        let sides = Sides::Folders {
            before: before.clone(),
            after: after.clone(),
        };
        Ok(report.clone().held_against(&sides).unwrap_or(report))
    }
}

fn is_recording(folder: &Path) -> bool {
    folder.join("meta.json").is_file()
}
