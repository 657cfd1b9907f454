//! The kernel's own description of its types (BTF): where a field lies, which arguments a
//! tracepoint passes, whether a function exists.
//!
//! Structures of the kernel change from version to version, and a BPF program that reads
//! `task_struct` needs the offsets of the kernel it runs on. C programs have them relocated when
//! they are loaded (CO-RE); Rust compilers do not emit such relocations, so the offsets are looked
//! up here and handed to the program as constants.
//!
//! What it costs: the kernel's BTF is 5 to 10 MB, read whole (a few ms) and kept while [`Btf`]
//! lives. No maps are built: [`Btf::parse`] checks every type once and notes the place of each
//! 64th, and a lookup walks over all types (about a millisecond), which for some dozens of
//! lookups at start is cheaper than any index of 150,000 names. Drop it when the lookups are done.
//!
//! The bytes count as hostile: every access is checked against the bounds, no type is followed
//! deeper than `DEPTH`, and no lookup visits more than `MEMBERS` members, so that a cycle or a
//! fan of structures ends in `None`.
//!
//! Source of the format: the kernel's `Documentation/bpf/btf.rst`.

mod format;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::io::Read;

use format::{Kind, Type, Types};

/// Where the kernel shows its BTF.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Larger files are refused: ten times what a distribution's kernel has.
const SIZE_LIMIT: u64 = 128 << 20;

/// How deep typedefs, qualifiers, arrays and anonymous structures may be nested. C code has a
/// dozen at the most.
const DEPTH: usize = 32;

/// How many members one lookup may visit; `task_struct` has some 300, with all its anonymous parts.
const MEMBERS: usize = 1 << 14;

/// The types of one kernel; see the [module](self).
#[derive(Debug)]
pub struct Btf {
    types: Types,
}

/// Where a field of a structure lies, and how large it is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// From the start of the outermost structure.
    pub offset: u32,
    /// Of the whole field; an array's is that of all its elements.
    pub size: u32,
}

/// An argument of a raw tracepoint, as the kernel's source declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Empty where the kernel keeps no names (it does since 5.10).
    pub name: String,
    /// In C: `struct task_struct *`, `unsigned int`, `bool`.
    pub of_type: String,
}

impl fmt::Display for Argument {
    /// As a declaration in C.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.of_type.ends_with('*') { "" } else { " " };
        let declaration = format!("{}{space}{}", self.of_type, self.name);
        f.write_str(declaration.trim_end())
    }
}

/// Why there is no BTF to look into.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The kernel has none, or it cannot be read.
    #[error(
        "cannot read {KERNEL_BTF}: {0}; a kernel built with CONFIG_DEBUG_INFO_BTF=y has that file"
    )]
    Unreadable(#[from] std::io::Error),
    /// More bytes than any kernel has.
    #[error("the BTF is larger than {} MiB, which no kernel's is", SIZE_LIMIT >> 20)]
    TooLarge,
    /// The bytes are not BTF, or of a machine with the other byte order.
    #[error("not BTF of this machine: it begins with {0:#06x} instead of 0xeb9f")]
    NotBtf(u16),
    /// A part reaches beyond the end of the bytes.
    #[error("the BTF is cut off: {what} at byte {at} reaches beyond the end")]
    CutOff {
        /// What was being read.
        what: &'static str,
        /// From the start of the bytes.
        at: usize,
    },
    /// A kind of type newer than this reader, whose length cannot be known.
    #[error("the BTF has a type of unknown kind {kind} at byte {at}; a newer tailcut may know it")]
    UnknownKind {
        /// The number of the kind.
        kind: u32,
        /// From the start of the bytes.
        at: usize,
    },
}

impl Btf {
    /// The running kernel's.
    ///
    /// # Errors
    /// If the kernel shows none, or what it shows cannot be understood.
    pub fn of_kernel() -> Result<Self, BtfError> {
        let mut bytes = Vec::new();
        File::open(KERNEL_BTF)?
            .take(SIZE_LIMIT + 1)
            .read_to_end(&mut bytes)?;
        Self::parse(bytes)
    }

    /// The types described by these bytes, all of which are checked.
    ///
    /// # Errors
    /// If they are not well-formed BTF of this machine's byte order.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, BtfError> {
        let bytes = bytes.into();
        if bytes.len() as u64 > SIZE_LIMIT {
            return Err(BtfError::TooLarge);
        }
        Ok(Self {
            types: Types::check(bytes)?,
        })
    }

    /// The offset in bytes of a field; see [`field`](Self::field).
    pub fn field_offset(&self, structure: &str, path: &str) -> Option<u32> {
        self.field(structure, path).map(|field| field.offset)
    }

    /// A field of a structure or union, also one inside an anonymous part of it, or by dots one
    /// inside a named part: `field("mm_struct", "mmap_lock")`, `field("task_struct", "se.vruntime")`.
    ///
    /// `None` if there is no such field, if it is a bit field (which has no address), or if there
    /// are several structures of that name that disagree: a wrong offset is worse than none.
    pub fn field(&self, structure: &str, path: &str) -> Option<Field> {
        let mut found = None;
        for composite in self.composites(structure) {
            let field = self.field_of(composite, path);
            match (found, field) {
                (_, None) => {}
                (None, field) => found = field,
                (Some(first), Some(other)) if first == other => {}
                (Some(_), Some(_)) => return None,
            }
        }
        found
    }

    /// The size in bytes of a structure or union; `None` if there is none of that name, or if
    /// several disagree.
    pub fn struct_size(&self, structure: &str) -> Option<u32> {
        let mut sizes = self
            .composites(structure)
            .map(|composite| composite.size_or_type);
        let first = sizes.next()?;
        sizes.all(|other| other == first).then_some(first)
    }

    /// Whether the kernel proper (not a module) has a function of that name which it did not
    /// inline everywhere.
    pub fn has_function(&self, name: &str) -> bool {
        self.function(name).is_some()
    }

    /// The number by which a program says which function it is to be attached to.
    pub fn function_number(&self, name: &str) -> Option<u32> {
        let is_function =
            |one: Type<'_>| one.kind == Kind::Function && self.types.is_named(one.name, name);
        let index = self.types.all().position(is_function)?;
        Some(index as u32 + 1)
    }

    /// The arguments that a raw tracepoint passes, in order, or `None` if there is no such
    /// tracepoint. A BPF program sees them as `u64` each.
    ///
    /// The kernel declares `typedef void (*btf_trace_NAME)(void *, ...)` for every tracepoint; the
    /// names of the arguments are those of the function `__traceiter_NAME`.
    pub fn raw_tracepoint_arguments(&self, name: &str) -> Option<Vec<Argument>> {
        let typedef = self.named(Kind::Typedef, &format!("btf_trace_{name}"))?;
        let pointer = self.types.get(typedef.size_or_type)?;
        let prototype = self.types.get(pointer.size_or_type)?;
        if pointer.kind != Kind::Pointer || prototype.kind != Kind::FunctionPrototype {
            return None;
        }
        let named = self
            .function(&format!("__traceiter_{name}"))
            .and_then(|function| self.types.get(function.size_or_type))
            .filter(|named| named.kind == Kind::FunctionPrototype && named.count == prototype.count)
            .unwrap_or(prototype);
        // The first parameter is the tracepoint's own and not passed to programs.
        let parameters = prototype.parameters().zip(named.parameters()).skip(1);
        let arguments = parameters.map(|(parameter, named)| Argument {
            name: self.types.name(named.name).into(),
            of_type: self.type_in_c(parameter.of_type),
        });
        Some(arguments.collect())
    }

    fn function(&self, name: &str) -> Option<Type<'_>> {
        self.named(Kind::Function, name)
    }

    fn named(&self, kind: Kind, name: &str) -> Option<Type<'_>> {
        self.types
            .all()
            .find(|one| one.kind == kind && self.types.is_named(one.name, name))
    }

    fn composites(&self, name: &str) -> impl Iterator<Item = Type<'_>> {
        self.types
            .all()
            .filter(move |one| one.is_composite() && self.types.is_named(one.name, name))
    }

    fn field_of(&self, structure: Type<'_>, path: &str) -> Option<Field> {
        let mut budget = MEMBERS;
        let mut inside = structure;
        let mut offset = 0_u32; // in bits
        let mut parts = path.split('.').peekable();
        loop {
            let part = parts.next()?;
            let (bits, of_type) = self.member(inside, part, DEPTH, &mut budget)?;
            offset = offset.checked_add(bits)?;
            if parts.peek().is_none() {
                return Some(Field {
                    offset: offset.is_multiple_of(8).then_some(offset / 8)?,
                    size: self.size(of_type)?,
                });
            }
            inside = self.without_names(of_type)?;
        }
    }

    /// Offset in bits and type of a member, looked for in anonymous parts as well.
    fn member(
        &self,
        structure: Type<'_>,
        name: &str,
        depth: usize,
        budget: &mut usize,
    ) -> Option<(u32, u32)> {
        for member in structure.members() {
            *budget = budget.checked_sub(1)?;
            if self.types.is_named(member.name, name) {
                return (!member.is_bit_field).then_some((member.bit_offset, member.of_type));
            }
            if member.name != 0 || depth == 0 {
                continue;
            }
            let part = self.without_names(member.of_type);
            let Some(part) = part.filter(Type::is_composite) else {
                continue;
            };
            if let Some((bits, of_type)) = self.member(part, name, depth - 1, budget) {
                return Some((member.bit_offset.checked_add(bits)?, of_type));
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers.
    fn without_names(&self, id: u32) -> Option<Type<'_>> {
        let mut one = self.types.get(id)?;
        for _ in 0..DEPTH {
            if !one.kind.is_alias() {
                return Some(one);
            }
            one = self.types.get(one.size_or_type)?;
        }
        None
    }

    fn size(&self, id: u32) -> Option<u32> {
        let mut count = 1_u32;
        let mut one = self.without_names(id)?;
        for _ in 0..DEPTH {
            let single = match one.kind {
                Kind::Array => {
                    let (element, length) = one.array()?;
                    count = count.checked_mul(length)?;
                    one = self.without_names(element)?;
                    continue;
                }
                Kind::Pointer => size_of::<usize>() as u32,
                kind if kind.has_size() => one.size_or_type,
                _ => return None,
            };
            return count.checked_mul(single);
        }
        None
    }

    fn type_in_c(&self, mut id: u32) -> String {
        let (mut before, mut after) = (String::new(), String::new());
        for _ in 0..DEPTH {
            let Some(one) = self.types.get(id) else {
                return format!("{before}void {after}").trim_end().into();
            };
            let name = self.types.name(one.name);
            let next_is_pointer = || {
                let next = self.types.get(one.size_or_type);
                next.is_some_and(|next| next.kind == Kind::Pointer)
            };
            let word = match one.kind {
                Kind::Pointer => {
                    after.insert(0, '*');
                    id = one.size_or_type;
                    continue;
                }
                Kind::Const if next_is_pointer() => {
                    after.insert_str(0, "const ");
                    id = one.size_or_type;
                    continue;
                }
                Kind::Const => {
                    before.push_str("const ");
                    id = one.size_or_type;
                    continue;
                }
                Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    id = one.size_or_type;
                    continue;
                }
                Kind::Array => {
                    after.push_str("[]");
                    id = one.array().map_or(0, |(element, _)| element);
                    continue;
                }
                Kind::Struct => "struct ",
                Kind::Union => "union ",
                Kind::Forward => one.forward_keyword(),
                Kind::Enum | Kind::Enum64 => "enum ",
                Kind::FunctionPrototype => "function",
                _ => "",
            };
            return format!("{before}{word}{name} {after}").trim_end().into();
        }
        String::from("?")
    }
}
