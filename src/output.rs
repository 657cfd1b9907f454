//! Where results go: a folder found good before the first run, and files that are whole or absent.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// A folder that is there, empty, and can be written: found out before the first run. If none is
/// asked for, one is named after the time, in the folder `usual`.
pub fn create_folder(asked: Option<&Path>, usual: &str) -> Result<PathBuf> {
    let dir = match asked {
        Some(dir) => dir.to_path_buf(),
        None => Path::new(usual).join(
            jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H-%M-%SZ")
                .to_string(),
        ),
    };
    match std::fs::read_dir(&dir) {
        Ok(mut entries) => ensure!(
            entries.next().is_none(),
            "the output folder {} exists and is not empty: name another one with --out, or remove it",
            dir.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error)
                .with_context(|| format!("the output folder {} cannot be used", dir.display()));
        }
    }
    std::fs::create_dir_all(&dir)
        .with_context(|| format!("cannot create the output folder {}", dir.display()))?;
    let trial = dir.join(".writable");
    create_anew(&trial)
        .and_then(|mut file| file.write_all(b"x"))
        .and_then(|()| std::fs::remove_file(&trial))
        .with_context(|| format!("cannot write into the output folder {}", dir.display()))?;
    Ok(dir)
}

/// A new file of that name, never what a link leads to: the folder may be another user's, who has
/// fewer rights than this process.
fn create_anew(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => OpenOptions::new().write(true).create_new(true).open(path),
    }
}

/// Writes a file that is either whole or not there: under another name first, then renamed.
pub fn write_whole(path: &Path, contents: &str) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let written = create_anew(&partial)
        .and_then(|mut file| {
            file.write_all(contents.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_something_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("precious"), "x").unwrap();
        let refused = create_folder(Some(folder.path()), "")
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("not empty") && refused.contains(&folder.path().display().to_string()),
            "{refused}"
        );
    }

    #[test]
    fn a_folder_is_made_with_its_parents_and_left_empty() {
        let folder = tempfile::tempdir().unwrap();
        let made = create_folder(Some(&folder.path().join("a/b")), "").unwrap();
        assert_eq!(made.read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_link_that_somebody_put_there_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "x").unwrap();
        let page = folder.path().join("page");
        std::os::unix::fs::symlink(&precious, folder.path().join("page.partial")).unwrap();
        write_whole(&page, "text").unwrap();
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "x");
        assert_eq!(std::fs::read_to_string(&page).unwrap(), "text");
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("page");
        std::fs::create_dir(&taken).unwrap();
        assert!(write_whole(&taken, "text").is_err());
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
