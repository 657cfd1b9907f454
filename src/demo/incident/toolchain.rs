//! Go, as the PATH has it: found, and new enough, or a message that says what to install.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The oldest that the service is built with: 1.19.
const OLDEST: (u32, u32) = (1, 19);
/// How to come by one.
const INSTALL: &str = "install it (Debian and Ubuntu: apt install golang-go; Fedora: dnf install golang; or \
                       https://go.dev/dl)";

/// A Go that can build the service.
#[derive(Debug, Clone)]
pub struct Toolchain {
    program: PathBuf,
    version: String,
}

impl Toolchain {
    /// The first on the PATH.
    ///
    /// # Errors
    /// None, one that does not run, or one that is too old; each says what to do.
    pub fn find() -> Result<Toolchain> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let Some(program) = on_path(&path) else {
            bail!(
                "the incident needs Go, and there is no `go` on the PATH: {INSTALL}. If it is there and sudo hides it: sudo \
                 env \"PATH=$PATH\" tailcut demo --incident go"
            );
        };
        let asked = Command::new(&program)
            .args(["env", "GOVERSION"])
            .env("GOTOOLCHAIN", "local")
            .output()
            .with_context(|| format!("{} cannot be run", program.display()))?;
        ensure!(
            asked.status.success(),
            "{} env GOVERSION failed: {}",
            program.display(),
            String::from_utf8_lossy(&asked.stderr).trim()
        );
        let version = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        ensure!(
            is_new_enough(&version),
            "the incident needs Go 1.19 or newer, and {} is {}: {INSTALL}",
            program.display(),
            if version.is_empty() {
                "older than 1.16"
            } else {
                &version
            }
        );
        Ok(Toolchain { program, version })
    }

    /// The `go` command.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// `go1.19.8`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// The first executable file of the name in the folders of a PATH.
fn on_path(path: &OsStr) -> Option<PathBuf> {
    let executable = |program: &PathBuf| {
        program
            .metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("go"))
        .find(executable)
}

/// Of what is not a release (`devel go1.24-5f8b2d1`) the first number in it counts; without any it is taken for new.
fn is_new_enough(version: &str) -> bool {
    if version.is_empty() {
        return false;
    }
    let release = version
        .split_whitespace()
        .find_map(|word| word.strip_prefix("go1."));
    match release {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let minor: Option<u32> = rest[..digits].parse().ok();
            minor.is_none_or(|minor| (1, minor) >= OLDEST)
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_new_enough_from_1_19_on() {
        for old in ["", "go1.18.10", "go1.9", "go1.1rc2"] {
            assert!(!is_new_enough(old), "{old}");
        }
        for new in [
            "go1.19",
            "go1.19.8",
            "go1.27rc1",
            "devel go1.24-5f8b2d1",
            "devel +abc",
            "go2.0",
        ] {
            assert!(is_new_enough(new), "{new}");
        }
    }

    #[test]
    fn only_an_executable_file_in_an_absolute_folder_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| dir.path().join(name));
        std::fs::create_dir_all(a.join("go")).unwrap();
        std::fs::create_dir(&b).unwrap();
        std::fs::write(b.join("go"), "").unwrap();
        let path = std::env::join_paths([Path::new(""), Path::new("."), &a, &b, &c]).unwrap();
        assert_eq!(on_path(&path), None);
        std::fs::create_dir(&c).unwrap();
        std::fs::write(c.join("go"), "").unwrap();
        std::fs::set_permissions(c.join("go"), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(on_path(&path), Some(c.join("go")));
    }
}
