//! Programs that must not compile: what the types promise about threads, lifetimes and slots.
//!
//! Each file of `tests/ui` marks the lines that the compiler must refuse, `//~ E0597` with the
//! error's code (`//~ -` if it has none), and every other line must pass. Codes and lines are the
//! same in all compilers that this crate supports; the wording of errors is not, which is why this
//! is not trybuild, whose expected outputs hold that wording. A `compile_fail,E0597` in a
//! documentation test is no way either: a stable compiler does not look at the code there, so that
//! a misspelt name would pass for a refused borrow.
//!
//! Costs one build of the library, if that was not built yet, and 0.1 s a file.
#![cfg(not(any(loom, shuttle)))]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A line of a program, and an error's code.
type Refusals = BTreeSet<(u64, String)>;

#[test]
fn what_threads_may_share_follows_from_the_object() {
    check("threads.rs");
}

#[test]
fn nothing_outlives_what_it_borrows() {
    check("lifetimes.rs");
}

#[test]
fn a_slot_s_proof_is_had_by_filling_it() {
    check("slots.rs");
}

#[test]
fn proofs_and_guards_cannot_be_forged_or_copied() {
    check("private.rs");
}

#[test]
fn the_neighbours_of_what_is_refused_are_accepted() {
    check("accepted.rs");
}

/// Compiles one program and compares the errors with its marks.
fn check(program: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ui")
        .join(program);
    let marked = marks(&std::fs::read_to_string(&path).unwrap());
    let (found, shown) = errors(&path);
    assert!(
        marked == found,
        "{program}: lines and codes\nexpected: {marked:?}\nfound:    {found:?}\n\n{shown}"
    );
}

/// The marks of a program.
fn marks(text: &str) -> Refusals {
    (1..)
        .zip(text.lines())
        .filter_map(|(line, text)| Some((line, text.split_once("//~ ")?.1.trim().to_owned())))
        .collect()
}

/// The errors of a program as the compiler names them, and as it shows them.
fn errors(program: &Path) -> (Refusals, String) {
    let (library, dependencies) = library();
    let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut externals = OsString::from("tailcut_pool=");
    externals.push(&library);
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata"])
        .args(["--error-format=json", "--cap-lints=allow", "--extern"])
        .arg(externals)
        .args(["-L".as_ref(), dependencies.as_os_str()])
        .arg("--out-dir")
        .arg(out)
        .arg(program)
        .output()
        .expect("the compiler that built this test starts");
    let mut refusals = Refusals::new();
    let mut shown = String::new();
    for message in String::from_utf8_lossy(&output.stderr).lines() {
        let message: Value = serde_json::from_str(message).expect("the compiler speaks JSON");
        shown += message["rendered"].as_str().unwrap_or_default();
        let spans = message["spans"].as_array().map_or(&[][..], Vec::as_slice);
        // "Aborting due to 3 errors" has no place.
        let Some(place) = spans.iter().find(|span| span["is_primary"] == true) else {
            continue;
        };
        if message["level"] == "error" {
            let code = message["code"]["code"].as_str().unwrap_or("-").to_owned();
            refusals.insert((place["line_start"].as_u64().unwrap(), code));
        }
    }
    assert_eq!(output.status.success(), refusals.is_empty(), "{shown}");
    (refusals, shown)
}

/// Where cargo put the library, and the folder of what it depends on. Built by the compiler and
/// with the profile that built this test, so that there is mostly nothing to do.
fn library() -> (PathBuf, PathBuf) {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--lib", "--message-format=json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the cargo that runs this test starts");
    let library = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "tailcut_pool")
        .filter_map(|message| {
            let files = message["filenames"].as_array()?;
            let names = files.iter().filter_map(Value::as_str).map(PathBuf::from);
            names
                .into_iter()
                .find(|name| name.extension().is_some_and(|kind| kind == "rmeta"))
        })
        .next_back()
        .unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let dependencies = library.parent().unwrap().to_owned();
    let deps = dependencies.join("deps");
    (library, if deps.is_dir() { deps } else { dependencies })
}
