//! Which Go compiled a program, as the program says.
//!
//! `go1.22.10`, `go1.23rc2`, `go1.21.0 X:boringcrypto`, `devel go1.24-a1b2c3 Mon ...`. What is known about the
//! runtime's data goes by the release; a development version counts as its release, and one that
//! nobody can read as newer than all.

use crate::binary::printable;
use serde::Serialize;
use std::fmt;

/// The newest release whose runtime was looked at.
pub const NEWEST_KNOWN: Release = Release(1, 27);

/// Major and minor number: `Release(1, 22)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Release(pub u16, pub u16);

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Go {}.{}", self.0, self.1)
    }
}

/// The version of Go that a program was built with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GoVersion {
    /// As the program says it, fit to be shown; `unknown` where it does not.
    pub text: String,
    /// The release, where the text tells.
    pub release: Option<Release>,
    /// Whether it was built between releases.
    pub development: bool,
}

impl GoVersion {
    /// Takes a version as the program holds it.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let text = printable(bytes);
        // Experiments that were on: `go1.21.0 X:boringcrypto`, in newer versions `-X:`.
        let without_experiments = text.split("X:").next().unwrap_or_default();
        let without_experiments = without_experiments.trim_end_matches(['-', ' ']);
        let release = without_experiments
            .split_ascii_whitespace()
            .find_map(|word| {
                let numbers = word.strip_prefix("go")?;
                let mut parts = numbers.split('.');
                let major = parts.next()?.parse().ok()?;
                let minor = parts.next()?;
                // 23rc2, 24-a1b2c3
                let digits = minor
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(minor.len());
                Some(Release(major, minor[..digits].parse().ok()?))
            });
        GoVersion {
            development: text.starts_with("devel") || without_experiments.contains('-'),
            release,
            text,
        }
    }

    /// A program that does not say.
    #[must_use]
    pub fn unknown() -> Self {
        GoVersion {
            text: "unknown".to_owned(),
            release: None,
            development: false,
        }
    }

    /// Whether it is this release or newer. An unknown one counts as newer than all.
    #[must_use]
    pub fn at_least(&self, major: u16, minor: u16) -> bool {
        self.release
            .is_none_or(|release| release >= Release(major, minor))
    }

    /// Whether what we know about the runtime may not hold: no release, one that is newer than
    /// [`NEWEST_KNOWN`], or a development version of that one or a newer one.
    #[must_use]
    pub fn is_beyond_known(&self) -> bool {
        match self.release {
            None => true,
            Some(release) => {
                release > NEWEST_KNOWN || (self.development && release == NEWEST_KNOWN)
            }
        }
    }
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{GoVersion, Release};

    #[test]
    fn releases_are_read_from_every_form() {
        for (text, release, development) in [
            ("go1.19.8", Release(1, 19), false),
            ("go1.22", Release(1, 22), false),
            ("go1.23rc2", Release(1, 23), false),
            ("go1.21.0 X:boringcrypto", Release(1, 21), false),
            ("go1.26.1-X:nodwarf5", Release(1, 26), false),
            ("devel go1.24-a1b2c3d Mon Jan 1", Release(1, 24), true),
            ("go1.25-20250101-RC00 cl/1", Release(1, 25), true),
        ] {
            let version = GoVersion::parse(text.as_bytes());
            assert_eq!(version.release, Some(release), "{text}");
            assert_eq!(version.development, development, "{text}");
        }
        for text in ["", "devel +a1b2c3", "go", "go1", "go1.x", "\u{1b}[31m"] {
            let version = GoVersion::parse(text.as_bytes());
            assert_eq!(version.release, None, "{text}");
            assert!(version.is_beyond_known() && version.at_least(1, 99));
        }
    }

    #[test]
    fn what_is_newer_than_we_know_is_told() {
        assert!(!GoVersion::parse(b"go1.27.3").is_beyond_known());
        assert!(GoVersion::parse(b"go1.28.0").is_beyond_known());
        assert!(GoVersion::parse(b"devel go1.27-abc").is_beyond_known());
        assert!(GoVersion::unknown().is_beyond_known());
    }
}
