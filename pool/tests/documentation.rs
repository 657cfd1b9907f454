//! What rustdoc itself does not ask for: that each public item has an example.
//!
//! Read off the sources line by line, so that it needs no compiler of its own and names the line. It
//! looks at what says `pub` and takes it for public; methods of traits are not looked at, nor are
//! modules. Whether an example compiles and holds is the documentation tests' matter.
#![cfg(not(any(loom, shuttle, miri)))]

use std::fs;
use std::path::{Path, PathBuf};

/// What an example is asked of.
const ITEMS: [&str; 10] = [
    "pub fn ",
    "pub const fn ",
    "pub unsafe fn ",
    "pub async fn ",
    "pub struct ",
    "pub enum ",
    "pub trait ",
    "pub const ",
    "pub static ",
    "pub type ",
];

/// All Rust files under `folder`.
fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Lines of public items without an example, from 1, and how many items there are.
fn without_example(source: &str) -> (Vec<usize>, usize) {
    let (mut missing, mut items) = (Vec::new(), 0);
    let (mut sealed, mut exported, mut example) = (false, false, false);
    for (index, line) in source.lines().enumerate() {
        let text = line.trim_start();
        // A sealed trait is public by name only.
        sealed = (sealed && line != "}") || line.ends_with("mod sealed {");
        exported |= text == "#[macro_export]";
        let is_item = ITEMS.iter().any(|item| text.starts_with(item))
            || (exported && text.starts_with("macro_rules! "));
        if is_item && !sealed {
            items += 1;
            if !example {
                missing.push(index + 1);
            }
        }
        if text.starts_with("///") {
            example |= text.starts_with("/// ```");
        } else if is_item || text.is_empty() || text.ends_with([';', '{', '}']) {
            (exported, example) = (false, false); // whatever was documented began here
        }
    }
    (missing, items)
}

#[test]
fn an_item_without_an_example_is_found() {
    let source = "\
/// Has one.
///
/// ```
/// assert!(true);
/// ```
#[must_use = \"why\"]
pub fn shown() {}

/// Has none.
#[derive(Debug)]
pub struct Bare {
    /// No item.
    pub field: u8,
}

mod sealed {
    pub trait Hidden {}
}

#[macro_export]
macro_rules! bare { () => {} }
";
    assert_eq!(without_example(source), (vec![11, 21], 3));
}

#[test]
fn every_public_item_has_an_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&folder, &mut files);
    let (mut missing, mut items) = (Vec::new(), 0);
    for file in &files {
        let (lines, count) = without_example(&fs::read_to_string(file).unwrap());
        items += count;
        missing.extend(
            lines
                .iter()
                .map(|line| format!("{}:{line}", file.display())),
        );
    }
    assert!(items > 200, "only {items} items were found");
    assert!(
        missing.is_empty(),
        "without an example:\n{}",
        missing.join("\n")
    );
}
