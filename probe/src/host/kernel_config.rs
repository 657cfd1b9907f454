//! How the running kernel was configured, where it says so.
//!
//! Nothing is decided by it, since a kernel may lack what it was configured for (a boot option, a
//! module not loaded); it explains why something is absent.

use std::fs::File;
use std::io::Read;

use flate2::read::GzDecoder;

/// More than any configuration has; a compressed file could claim to be larger.
const SIZE_LIMIT: u64 = 4 << 20;

/// The text of a kernel's configuration.
#[derive(Debug)]
pub struct KernelConfig {
    path: String,
    text: String,
}

impl KernelConfig {
    /// The running kernel's, from `/proc/config.gz` or from where distributions put it.
    pub fn read() -> Option<Self> {
        let release = super::kernel_release();
        [
            String::from("/proc/config.gz"),
            format!("/boot/config-{release}"),
            format!("/lib/modules/{release}/config"),
        ]
        .into_iter()
        .find_map(Self::read_from)
    }

    fn read_from(path: String) -> Option<Self> {
        let file = File::open(&path).ok()?;
        let mut bytes = Vec::new();
        if path.ends_with(".gz") {
            let mut unpacked = GzDecoder::new(file.take(SIZE_LIMIT)).take(SIZE_LIMIT);
            unpacked.read_to_end(&mut bytes).ok()?;
        } else {
            file.take(SIZE_LIMIT).read_to_end(&mut bytes).ok()?;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some(Self { path, text })
    }

    /// Where it was read.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether an option (`CONFIG_KPROBES`) is built in or a module.
    pub fn is_set(&self, option: &str) -> bool {
        self.text
            .lines()
            .filter_map(|line| line.split_once('='))
            .any(|(name, value)| name == option && matches!(value, "y" | "m"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn built_in_and_module_are_set_and_all_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.gz");
        let text = "CONFIG_UPROBES=y\nCONFIG_X=m\n# CONFIG_KPROBES is not set\nCONFIG_HZ=250\n";
        let mut packed = flate2::write::GzEncoder::new(
            File::create(&path).unwrap(),
            flate2::Compression::fast(),
        );
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap();

        let config = KernelConfig::read_from(path.to_str().unwrap().into()).unwrap();
        assert!(config.is_set("CONFIG_UPROBES") && config.is_set("CONFIG_X"));
        for unset in ["CONFIG_KPROBES", "CONFIG_HZ", "CONFIG_UPROBE", ""] {
            assert!(!config.is_set(unset), "{unset}");
        }
    }

    #[test]
    fn an_unreadable_or_broken_file_is_no_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.gz");
        std::fs::write(&path, "not packed").unwrap();
        assert!(KernelConfig::read_from(path.to_str().unwrap().into()).is_none());
        assert!(KernelConfig::read_from("/nowhere/config".into()).is_none());
    }
}
