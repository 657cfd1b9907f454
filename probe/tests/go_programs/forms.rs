//! The forms in which a program is built, and such a program running.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// How a program is built, and what is done with it then.
pub struct Form {
    pub name: &'static str,
    pub flags: &'static [&'static str],
    pub cgo: bool,
    pub after: After,
}

#[derive(Clone, Copy, PartialEq)]
pub enum After {
    Nothing,
    /// `strip`, as packagers do.
    Stripped,
    /// `strip --strip-debug`: symbols remain.
    WithoutDebugInformation,
    /// Its table of sections is taken away, as by `sstrip`.
    WithoutSections,
    /// Its table of sections is said to be far behind its end.
    DamagedSections,
}

pub const FORMS: [Form; 11] = [
    form("plain", &[], false, After::Nothing),
    form(
        "linker-stripped",
        &["-ldflags=-s -w"],
        false,
        After::Nothing,
    ),
    form("stripped", &[], false, After::Stripped),
    form("without-sections", &[], false, After::WithoutSections),
    form("damaged-sections", &[], false, After::DamagedSections),
    form("without-dwarf", &[], false, After::WithoutDebugInformation),
    form("pie", &["-buildmode=pie"], false, After::Nothing),
    form(
        "pie-stripped",
        &["-buildmode=pie", "-ldflags=-s -w"],
        false,
        After::WithoutSections,
    ),
    form("cgo", &[], true, After::Nothing),
    form(
        "cgo-static",
        &["-ldflags=-linkmode=external -extldflags=-static"],
        true,
        After::Nothing,
    ),
    form(
        "cgo-pie-stripped",
        &["-buildmode=pie", "-ldflags=-linkmode=external"],
        true,
        After::Stripped,
    ),
];

const fn form(name: &'static str, flags: &'static [&'static str], cgo: bool, after: After) -> Form {
    Form {
        name,
        flags,
        cgo,
        after,
    }
}

/// The programs, built once, in the order of [`FORMS`]; none without Go.
pub fn programs() -> Option<&'static [PathBuf]> {
    static BUILT: OnceLock<Option<Vec<PathBuf>>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        if Command::new("go").arg("version").output().is_err() {
            assert!(
                std::env::var_os("TAILCUT_REQUIRE_GO").is_none(),
                "there is no `go` on PATH: install Go (Debian: golang-go)"
            );
            eprintln!("SKIPPED: there is no `go` on PATH");
            return None;
        }
        Some(FORMS.iter().map(build).collect())
    });
    built.as_deref()
}

fn build(form: &Form) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-small");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(form.name);
    let built = Command::new("go")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/go_small"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("GOCACHE", folder.join("cache"))
        .env("CGO_ENABLED", if form.cgo { "1" } else { "0" })
        .args(["build", "-buildvcs=false"])
        .args(form.flags)
        .arg("-o")
        .arg(&path)
        .arg(".")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{}: {said}", form.name);
    match form.after {
        After::Nothing => {}
        After::Stripped | After::WithoutDebugInformation => {
            let what = match form.after {
                After::Stripped => "--strip-all",
                _ => "--strip-debug",
            };
            let status = Command::new("strip").arg(what).arg(&path).status();
            let status = status.unwrap();
            assert!(status.success(), "{}", form.name);
        }
        After::DamagedSections => {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[40..48].copy_from_slice(&(1_u64 << 40).to_le_bytes()); // e_shoff
            std::fs::write(&path, bytes).unwrap();
        }
        After::WithoutSections => {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[40..48].fill(0); // e_shoff
            bytes[60..64].fill(0); // e_shnum, e_shstrndx
            std::fs::write(&path, bytes).unwrap();
        }
    }
    path
}

/// A program that waits, and what it said about itself.
pub struct Waiting {
    pub child: Child,
    /// What, at which address, called how.
    said: Vec<(String, u64, String)>,
}

impl Waiting {
    pub fn start(path: &Path) -> Self {
        let mut child = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut waiting = Waiting {
            child,
            said: Vec::new(),
        };
        for line in output.lines() {
            let line = line.unwrap();
            if line == "ready" {
                return waiting;
            }
            let mut parts = line.splitn(3, '\t');
            let what = parts.next().unwrap().to_owned();
            let address = u64::from_str_radix(parts.next().unwrap(), 16).unwrap();
            let name = parts.next().unwrap().to_owned();
            waiting.said.push((what, address, name));
        }
        panic!("{} ended before it was ready", path.display());
    }

    pub fn of<'a>(&'a self, what: &'a str) -> impl Iterator<Item = (u64, &'a str)> {
        let said = self.said.iter().filter(move |(kind, ..)| kind == what);
        said.map(|(_, address, name)| (*address, name.as_str()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The program built in this form.
pub fn program(name: &str) -> Option<&'static Path> {
    let place = FORMS.iter().position(|form| form.name == name).unwrap();
    Some(&programs()?[place])
}

/// A copy of that program with other bytes.
pub fn changed(name: &str, change: impl Fn(&mut [u8])) -> Option<tempfile::NamedTempFile> {
    let mut bytes = std::fs::read(program(name)?).unwrap();
    change(&mut bytes);
    let copy = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(copy.path(), bytes).unwrap();
    Some(copy)
}
