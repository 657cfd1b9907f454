//! What requests are made of: headers, bytes, files.

use std::path::{Path, PathBuf};

use super::Notation;

/// `Name: value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name, as written.
    pub name: String,
    /// The value, without blanks around it.
    pub value: String,
}

impl Notation for Header {
    const EXPECTED: &'static str = "a header, for example \"Accept: text/plain\"";

    fn read(text: &str) -> Result<Header, String> {
        let refused = |why: &str| Err(format!("'{text}' is no header: {why}; write NAME: VALUE"));
        let Some((name, value)) = text.split_once(':') else {
            return refused("it has no colon");
        };
        let (name, value) = (name.trim(), value.trim());
        if http::HeaderName::try_from(name).is_err() {
            return refused("the name is empty or has characters that a name cannot have");
        }
        if http::HeaderValue::try_from(value).is_err() {
            return refused("the value has control characters");
        }
        Ok(Header {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }

    fn write(&self) -> String {
        format!("{}: {}", self.name, self.value)
    }
}

/// Bytes that are no text, as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HexBytes(pub Vec<u8>);

impl Notation for HexBytes {
    const EXPECTED: &'static str = "bytes as hexadecimal digits, for example \"00ff\"";

    fn read(text: &str) -> Result<HexBytes, String> {
        let refused =
            || format!("{text:?} are no bytes; write pairs of hexadecimal digits, as 00ff");
        if !text.is_ascii() || !text.len().is_multiple_of(2) {
            return Err(refused());
        }
        (0..text.len())
            .step_by(2)
            .map(|at| {
                let pair = &text[at..at + 2];
                let digits = pair.bytes().all(|byte| byte.is_ascii_hexdigit());
                u8::from_str_radix(pair, 16).ok().filter(|_| digits)
            })
            .collect::<Option<Vec<u8>>>()
            .map(HexBytes)
            .ok_or_else(refused)
    }

    fn write(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// A file. Relative ones are relative to what names them.
impl Notation for PathBuf {
    const EXPECTED: &'static str = "a file's path";

    fn read(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() {
            return Err("an empty path names no file".to_owned());
        }
        Ok(Path::new(text).to_path_buf())
    }

    fn write(&self) -> String {
        self.display().to_string()
    }
}
