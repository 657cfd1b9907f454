//! The files of the processes that are looked at, opened once and kept.
//!
//! A module is opened when the first stack leads into it, and stays open for the life of the
//! recording, because by the time its symbols are asked for the process may be gone, its container
//! with it, and the file deleted or replaced by an update. Programs that several processes share
//! are one module (same device, inode, size and time of change).
//!
//! Costs one descriptor and one mapping of the file for each module; of the mapping, only the pages
//! that are read become resident.

use super::elf::Layout;
use super::mappings::Mapping;
use super::{perf_map, text};
use memmap2::Mmap;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Files that are kept open; the usual limit of descriptors is 1,024. Further modules are known by
/// their names only.
const MAX_OPEN: usize = 512;

/// Modules that are told apart; those after share one name.
const MAX_MODULES: usize = 16_384;

/// Processes whose code made at run time is named.
const MAX_PERF_MAPS: usize = 64;

/// The kernel's vdso has 2 to 4 pages.
const MAX_VDSO_BYTES: u64 = 64 << 10;

/// Names a module of [`Modules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(u32);

/// The files that stacks lead into. Shared by unwinders, which open them, and the symbolizer, which
/// reads their symbols later; both may be on threads of their own.
#[derive(Debug, Default)]
pub struct Modules(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    list: Vec<Arc<Module>>,
    by_identity: HashMap<Identity, ModuleId>,
    open: usize,
    perf_maps: HashMap<u32, Arc<File>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Identity {
    File {
        device: u64,
        inode: u64,
        size: u64,
        changed: i64,
        changed_nanos: i64,
    },
    Vdso {
        content: u64,
    },
    NameOnly(String),
}

/// One file.
#[derive(Debug)]
pub(super) struct Module {
    /// As the target sees it, cleaned.
    pub name: String,
    /// `None` if it could not be opened, or is no ELF file for this processor.
    pub image: Option<Image>,
}

/// An open ELF file.
#[derive(Debug)]
pub(super) struct Image {
    file: File,
    bytes: Mmap,
    pub layout: Layout,
}

impl Modules {
    /// How many modules are known.
    pub fn len(&self) -> usize {
        self.known().list.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of a module as the target sees it, without control characters.
    pub fn name(&self, id: ModuleId) -> String {
        self.get(id)
            .map_or_else(String::new, |module| module.name.clone())
    }

    pub(super) fn get(&self, id: ModuleId) -> Option<Arc<Module>> {
        self.known().list.get(id.0 as usize).cloned()
    }

    /// The module behind a mapping of a process, opened if it is new.
    pub(super) fn open(&self, pid: u32, mapping: &Mapping) -> ModuleId {
        let file = if mapping.is_vdso() {
            copy_vdso(pid, mapping)
        } else {
            open_file(pid, mapping)
        };
        let mut known = self.known();
        match file {
            Ok((identity, file)) => known.insert(identity, &mapping.name, Some(file)),
            Err(_) => known.insert(
                Identity::NameOnly(mapping.name.clone()),
                &mapping.name,
                None,
            ),
        }
    }

    /// Opens the names of a process's code made at run time, if it writes them. Says whether they
    /// are open now.
    pub(super) fn open_perf_map(&self, pid: u32) -> bool {
        let mut known = self.known();
        if known.perf_maps.contains_key(&pid) {
            return true;
        }
        if known.perf_maps.len() >= MAX_PERF_MAPS {
            return false;
        }
        perf_map::open(pid)
            .map(|file| known.perf_maps.insert(pid, Arc::new(file)))
            .is_ok()
    }

    pub(super) fn perf_map(&self, pid: u32) -> Option<Arc<File>> {
        self.known().perf_maps.get(&pid).cloned()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // Nothing below leaves the lists half changed, so a panic elsewhere does not spoil them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn insert(&mut self, identity: Identity, name: &str, file: Option<File>) -> ModuleId {
        if let Some(id) = self.by_identity.get(&identity) {
            return *id;
        }
        let (identity, name) = if self.list.len() < MAX_MODULES {
            (identity, text::clean(name))
        } else {
            (Identity::NameOnly("[others]".into()), "[others]".into())
        };
        if let Some(id) = self.by_identity.get(&identity) {
            return *id;
        }
        let image = file.filter(|_| self.open < MAX_OPEN).and_then(Image::new);
        self.open += usize::from(image.is_some());
        let id = ModuleId(self.list.len() as u32);
        self.list.push(Arc::new(Module { name, image }));
        self.by_identity.insert(identity, id);
        id
    }
}

impl Image {
    /// Maps an open file; `None` if it is no ELF file for this processor.
    pub fn new(file: File) -> Option<Self> {
        // SAFETY: the mapping is private and read-only, and is handed out as bytes that are only
        // looked at. If somebody cuts the file short the kernel answers with SIGBUS, which the head
        // of `stacks` states; if somebody writes to it, parsers see other bytes, and each of them
        // checks what it reads at each reading.
        let bytes = unsafe { Mmap::map(&file) }.ok()?;
        let layout = Layout::parse(&bytes)?;
        Some(Self {
            file,
            bytes,
            layout,
        })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A path that opens this very file again, for libraries that want a path.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// Opens a regular file for reading; never waits for a pipe or a device that bears its name.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ))
    }
}

/// By `map_files` it is the mapped file itself, whatever its name means by now. That needs
/// CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE; without, by name, if the inode is still the same.
fn open_file(pid: u32, mapping: &Mapping) -> io::Result<(Identity, File)> {
    let file = open_regular(&mapping.path).or_else(|error| {
        let by_name = open_regular(&mapping.path_by_name(pid).ok_or(error)?)?;
        if by_name.metadata()?.ino() == mapping.inode {
            Ok(by_name)
        } else {
            Err(io::Error::new(
                io::ErrorKind::NotFound,
                "replaced by another file",
            ))
        }
    })?;
    let metadata = file.metadata()?;
    let identity = Identity::File {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        changed: metadata.mtime(),
        changed_nanos: metadata.mtime_nsec(),
    };
    Ok((identity, file))
}

/// The vdso has no file: a copy of it in memory becomes one.
fn copy_vdso(pid: u32, mapping: &Mapping) -> io::Result<(Identity, File)> {
    let length = (mapping.end - mapping.start).min(MAX_VDSO_BYTES);
    let mut bytes = vec![0; length as usize];
    File::open(format!("/proc/{pid}/mem"))?.read_exact_at(&mut bytes, mapping.start)?;
    // SAFETY: the name is a C string literal; the call returns a new descriptor or -1.
    let descriptor = unsafe { libc::memfd_create(c"vdso".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made just now and nothing else owns it.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    file.write_all(&bytes)?;
    let content = BuildHasherDefault::<DefaultHasher>::default().hash_one(&bytes);
    Ok((Identity::Vdso { content }, file))
}

#[cfg(test)]
mod tests {
    use super::super::mappings::mappings;
    use super::*;

    fn own_mapping() -> Mapping {
        let here = own_mapping as *const () as u64;
        let all = mappings(std::process::id()).unwrap();
        all.into_iter()
            .find(|mapping| (mapping.start..mapping.end).contains(&here))
            .unwrap()
    }

    #[test]
    fn a_file_mapped_twice_is_one_module() {
        let modules = Modules::default();
        let mapping = own_mapping();
        let first = modules.open(std::process::id(), &mapping);
        let moved = Mapping {
            start: mapping.start + 0x1000,
            ..mapping.clone()
        };
        let by_name = Mapping {
            path: "/nowhere".into(),
            ..moved
        };
        assert_eq!(modules.open(std::process::id(), &by_name), first);
        assert_eq!(modules.len(), 1);
        assert_eq!(modules.name(first), mapping.name);
        assert!(modules.get(first).unwrap().image.is_some());
    }

    #[test]
    fn a_file_that_was_replaced_is_known_by_name_only() {
        let modules = Modules::default();
        let mapping = Mapping {
            path: "/nowhere".into(),
            inode: own_mapping().inode ^ 1,
            ..own_mapping()
        };
        let id = modules.open(std::process::id(), &mapping);
        assert!(modules.get(id).unwrap().image.is_none());
        assert_eq!(modules.name(id), mapping.name);
    }

    #[test]
    fn a_pipe_under_the_name_of_a_library_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("libpipe.so");
        let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        // SAFETY: the name is a C string that lives through the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert_eq!(
            open_regular(&pipe).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn the_vdso_is_an_elf_file_like_any_other() {
        let modules = Modules::default();
        let all = mappings(std::process::id()).unwrap();
        let vdso = all.iter().find(|mapping| mapping.is_vdso()).unwrap();
        let id = modules.open(std::process::id(), vdso);
        let module = modules.get(id).unwrap();
        assert!(module.image.as_ref().unwrap().layout.eh_frame.is_some());
        assert_eq!(modules.open(std::process::id(), vdso), id);
    }
}
