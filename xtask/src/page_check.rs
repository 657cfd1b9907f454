//! `cargo xtask check-page`: the report's page as a reader has it, in a browser.
//!
//! Headless Chromium opens sample pages without a network: nothing on the console, no request that
//! leaves the file, every chart drawn; zooming by drag, buttons and keys moves all charts over time
//! together; hostile names stay text; text contrast and the other rules of axe-core hold in light
//! and dark; an hour of five variants is drawn within a second. `page_check/check.py` says what
//! exactly.
//!
//! The browser is driven by Playwright and judged by axe-core, both from Python packages that bring
//! all they need (`page_check/requirements.txt`); Chromium is the system's. Of the crates that speak
//! the browser's protocol none has Playwright's care for pages that are not yet ready, and each
//! would be built with every `xtask`. Takes about three minutes.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo;

/// With this set, a check that cannot run is a failure.
const REQUIRE: &str = "TAILCUT_REQUIRE_BROWSER";
/// Names of the browser, the first that is found is taken.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Makes the sample pages and opens them; `install` first makes a Python environment below
/// `target/`.
pub fn check(install: bool) -> Result<()> {
    let environment = cargo::root().join("target/page-check/python");
    if install {
        install_into(&environment)?;
    }
    let Some(browser) = BROWSERS.iter().find_map(|name| cargo::find_on_path(name)) else {
        return missing("no Chromium is on PATH (Debian: apt-get install chromium)");
    };
    let Some(python) = python(&environment) else {
        return missing(
            "Python lacks the packages of xtask/src/page_check/requirements.txt; `cargo xtask check-page \
             --install` puts them below target/",
        );
    };
    let folder = tempfile::tempdir()?;
    cargo::run({
        let mut make = cargo::command(&[
            "run",
            "--quiet",
            "--package",
            "tailcut-report",
            "--example",
            "sample_pages",
            "--",
        ]);
        make.arg(folder.path());
        make
    })?;
    let mut check = Command::new(python);
    check
        .arg(cargo::root().join("xtask/src/page_check/check.py"))
        .arg(browser)
        .arg(folder.path());
    cargo::run(check)?;
    println!("page: opens, zooms, reads and prints as it should");
    Ok(())
}

/// A Python that has the packages: the one made by `--install`, or the system's.
fn python(environment: &std::path::Path) -> Option<PathBuf> {
    [environment.join("bin/python"), PathBuf::from("python3")]
        .into_iter()
        .find(|python| {
            Command::new(python)
                .args(["-c", "import playwright, axe_playwright_python"])
                .output()
                .is_ok_and(|output| output.status.success())
        })
}

fn install_into(environment: &std::path::Path) -> Result<()> {
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(environment);
    cargo::run(make).context("Debian has venv in the package python3-venv")?;
    let mut install = Command::new(environment.join("bin/pip"));
    install
        .args(["install", "--quiet", "--requirement"])
        .arg(cargo::root().join("xtask/src/page_check/requirements.txt"));
    cargo::run(install)
}

fn missing(what: &str) -> Result<()> {
    if std::env::var_os(REQUIRE).is_some_and(|value| value == "1") {
        bail!("the page was not checked: {what}");
    }
    eprintln!("SKIPPED: the page was not checked: {what}");
    Ok(())
}
