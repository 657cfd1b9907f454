//! Functions that only jump to another: names of that one, in effect.
//!
//! `operator delete` is often nothing but a jump to `free`, within the module or through its
//! table of imported functions (a stub in `.plt` jumps to what a slot of the table holds; a
//! relocation names the function that the dynamic linker puts there). Probing both would see
//! each call twice.
//!
//! x86-64 only. The relocations of a module are read if one of its functions needs them.

use super::catalogue::{Kind, look_up};
use super::{Function, OpenModule};
use crate::binary::elf::{ElfError, Image};
use crate::binary::register::Architecture;
use object::LittleEndian;
use object::elf::{R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT, Rela64, SHT_RELA};
use object::pod::slice_from_bytes;
use std::collections::BTreeMap;

/// The longest chain of jumps that is followed.
const LONGEST_CHAIN: usize = 4;

/// Makes a function that only jumps to another of `functions`, of the same kind, an alias of it.
/// A sized free that jumps to `free` drops the size, and becomes an alias too.
pub(super) fn join(module: &OpenModule, functions: &mut Vec<Function>) -> Result<(), ElfError> {
    if module.image.architecture() != Architecture::X86_64 {
        return Ok(());
    }
    let mut stubs = Stubs {
        module,
        slots: None,
    };
    let mut leads_to: BTreeMap<u64, u64> = BTreeMap::new();
    for function in functions.iter() {
        if let Some(target) = stubs.target_of(function.address, functions)? {
            leads_to.insert(function.address, target);
        }
    }
    let mut forwarders = Vec::new();
    functions.retain(|function| {
        let mut inner = function.address;
        for _ in 0..LONGEST_CHAIN {
            inner = leads_to.get(&inner).copied().unwrap_or(inner);
        }
        let forwards = inner != function.address && !leads_to.contains_key(&inner);
        if forwards {
            forwarders.push((inner, function.clone()));
        }
        !forwards
    });
    for (inner, forwarder) in forwarders {
        if let Some(function) = functions.iter_mut().find(|f| f.address == inner) {
            let mut name = forwarder.name;
            // `free` rather than the `__libc_free` that it jumps to.
            if rank(&name) < rank(&function.name) {
                std::mem::swap(&mut name, &mut function.name);
            }
            function.aliases.push(name);
            function.aliases.extend(forwarder.aliases);
        }
    }
    Ok(())
}

/// Which of several names is shown: the lowest.
fn rank(name: &str) -> u8 {
    look_up(name.as_bytes()).map_or(u8::MAX, |known| known.rank)
}

struct Stubs<'a> {
    module: &'a OpenModule,
    /// By the address of a slot: the name of the function that it is filled with.
    slots: Option<BTreeMap<u64, String>>,
}

impl Stubs<'_> {
    /// Which of `functions` the one at `address` only jumps to, if it may be taken for that one.
    fn target_of(&mut self, address: u64, functions: &[Function]) -> Result<Option<u64>, ElfError> {
        let image = &self.module.image;
        let Some(direct) = jump_at(image, address)? else {
            return Ok(None);
        };
        let kind_of = |address| {
            let function = functions.iter().find(|f| f.address == address);
            function.map(|function| function.signature.kind)
        };
        let target = match kind_of(direct) {
            Some(_) => Some(direct),
            None => self.imported_through(direct)?.and_then(|name| {
                let named = |f: &&Function| f.name == name || f.aliases.contains(&name);
                functions
                    .iter()
                    .find(named)
                    .map(|function| function.address)
            }),
        };
        Ok(target.filter(|target| {
            let kinds = (kind_of(address), kind_of(*target));
            kinds.0 == kinds.1 || kinds == (Some(Kind::SizedFree), Some(Kind::Free))
        }))
    }

    /// The name of the function that the stub at `address` jumps to.
    fn imported_through(&mut self, address: u64) -> Result<Option<String>, ElfError> {
        let Some(slot) = slot_of_stub(&self.module.image, address)? else {
            return Ok(None);
        };
        let slots = match &mut self.slots {
            Some(slots) => slots,
            none => none.insert(imported(self.module)?),
        };
        Ok(slots.get(&slot).cloned())
    }
}

/// The slots that the dynamic linker fills with the addresses of functions, by relocations.
fn imported(module: &OpenModule) -> Result<BTreeMap<u64, String>, ElfError> {
    let image = &module.image;
    let mut slots = BTreeMap::new();
    for section in image
        .sections()
        .iter()
        .filter(|s| s.kind == SHT_RELA && s.loaded)
    {
        let bytes = image.contents(section)?;
        let count = bytes.len() / size_of::<Rela64<LittleEndian>>();
        let Ok((relocations, _)) = slice_from_bytes::<Rela64<LittleEndian>>(&bytes, count) else {
            continue;
        };
        for relocation in relocations {
            let kind = relocation.r_type(LittleEndian, false);
            if matches!(kind, R_X86_64_JUMP_SLOT | R_X86_64_GLOB_DAT)
                && let Some(name) = module
                    .symbols
                    .imported(relocation.r_sym(LittleEndian, false))
            {
                slots.insert(relocation.r_offset.get(LittleEndian), name);
            }
        }
    }
    Ok(slots)
}

/// `endbr64`, where branches that are not direct may lead.
const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

/// The first instruction's bytes behind an `endbr64`, and its address.
fn first_bytes(image: &Image, address: u64) -> Result<(u64, Vec<u8>), ElfError> {
    let bytes = image.bytes_at(address, 12)?;
    Ok(match bytes.strip_prefix(&ENDBR64) {
        Some(rest) => (address + 4, rest.to_vec()),
        None => (address, bytes),
    })
}

/// Where the function at `address` jumps to, if that is the first thing it does.
fn jump_at(image: &Image, address: u64) -> Result<Option<u64>, ElfError> {
    let (at, bytes) = first_bytes(image, address)?;
    Ok(match bytes[..] {
        [0xe9, a, b, c, d, ..] => Some(relative(at + 5, [a, b, c, d])),
        [0xeb, distance, ..] => Some((at + 2).wrapping_add_signed(i64::from(distance as i8))),
        _ => None,
    })
}

/// The slot through which the stub at `address` jumps: `jmp [rip + n]`, with or without `bnd`.
fn slot_of_stub(image: &Image, address: u64) -> Result<Option<u64>, ElfError> {
    if !image.is_executable(address) {
        return Ok(None);
    }
    let (at, bytes) = first_bytes(image, address)?;
    Ok(match bytes[..] {
        [0xff, 0x25, a, b, c, d, ..] => Some(relative(at + 6, [a, b, c, d])),
        [0xf2, 0xff, 0x25, a, b, c, d, ..] => Some(relative(at + 7, [a, b, c, d])),
        _ => None,
    })
}

fn relative(from: u64, distance: [u8; 4]) -> u64 {
    from.wrapping_add_signed(i64::from(i32::from_le_bytes(distance)))
}
