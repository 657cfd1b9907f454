//! In which order the dynamic linker looks through a process's modules.
//!
//! A call of `malloc` goes to the first module in that order which defines it, hence LD_PRELOAD.
//! The order stands in the process's own memory: the auxiliary vector gives the program headers,
//! these the dynamic section, its `DT_DEBUG` the linker's `r_debug`, and that a list of
//! `link_map` (glibc's and musl's `<link.h>`; the same list that debuggers read). A static program
//! has none.
//!
//! The list belongs to the process: every address is only read from, and the list's length and
//! each name's are limited.

use super::{Module, proc_path, read};
use object::LittleEndian;
use object::elf::{DT_DEBUG, PT_DYNAMIC, PT_PHDR, ProgramHeader64};
use object::pod::slice_from_bytes;
use std::fs::File;
use std::os::unix::fs::FileExt;

const AT_PHDR: u64 = 3;
const AT_PHNUM: u64 = 5;

/// More modules than any process has.
const MOST_MODULES: usize = 8192;

/// Indices into `modules` in the order in which the dynamic linker searches them, the executable
/// first. None if that cannot be read: a static program, one that has not come so far, or not
/// permitted (reading `/proc/PID/mem` takes what attaching a debugger takes).
#[must_use]
pub fn load_order(pid: u32, modules: &[Module]) -> Option<Vec<usize>> {
    let memory = Memory(File::open(proc_path(pid, "mem")).ok()?);
    let mut link_map = memory.first_link_map(&read(pid, "auxv").ok()?)?;
    let mut order = Vec::new();
    for _ in 0..MOST_MODULES {
        if link_map == 0 {
            break;
        }
        // struct link_map: l_addr, l_name, l_ld, l_next. The dynamic section l_ld lies in the
        // module; l_addr need not, nor is l_name a path that we could look up.
        let [_, _, dynamic, next] = memory.words(link_map)?;
        let module = modules.iter().position(|module| {
            module
                .mappings
                .iter()
                .any(|mapping| (mapping.start..mapping.end).contains(&dynamic))
        });
        if let Some(module) = module.filter(|module| !order.contains(module)) {
            order.push(module);
        }
        link_map = next;
    }
    (!order.is_empty()).then_some(order)
}

/// The memory of a process.
struct Memory(File);

impl Memory {
    fn bytes<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact_at(&mut bytes, address).ok()?;
        Some(bytes)
    }

    fn words<const N: usize>(&self, address: u64) -> Option<[u64; N]> {
        let mut words = [0; N];
        for (index, word) in words.iter_mut().enumerate() {
            let at = address.checked_add(8 * index as u64)?;
            *word = u64::from_le_bytes(self.bytes(at)?);
        }
        Some(words)
    }

    fn first_link_map(&self, auxiliary_vector: &[u8]) -> Option<u64> {
        let auxiliary = |wanted: u64| {
            let (entries, _) = auxiliary_vector.as_chunks::<16>();
            entries.iter().find_map(|entry| {
                let (key, value) = entry.split_at(8);
                (u64::from_le_bytes(key.try_into().ok()?) == wanted)
                    .then(|| u64::from_le_bytes(value.try_into().unwrap_or_default()))
            })
        };
        let headers_at = auxiliary(AT_PHDR)?;
        let count = usize::try_from(auxiliary(AT_PHNUM)?.min(256)).ok()?;
        let mut headers = vec![0; count * size_of::<ProgramHeader64<LittleEndian>>()];
        self.0.read_exact_at(&mut headers, headers_at).ok()?;
        let (headers, _) =
            slice_from_bytes::<ProgramHeader64<LittleEndian>>(&headers, count).ok()?;
        let address = |wanted: u32| {
            headers
                .iter()
                .find(|header| header.p_type.get(LittleEndian) == wanted)
                .map(|header| header.p_vaddr.get(LittleEndian))
        };
        // Where the program was loaded, against where its headers say.
        let bias = match address(PT_PHDR) {
            Some(linked_at) => headers_at.wrapping_sub(linked_at),
            None => 0,
        };
        let dynamic = address(PT_DYNAMIC)?.wrapping_add(bias);
        for index in 0..1024 {
            let [tag, value] = self.words(dynamic.checked_add(16 * index)?)?;
            if tag == 0 {
                return None;
            }
            if tag == u64::from(DT_DEBUG) {
                // struct r_debug: r_version and padding, r_map.
                return Some(self.words::<2>(value)?[1]);
            }
        }
        None
    }
}
