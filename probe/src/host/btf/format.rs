//! The bytes of BTF: a header, a row of types of unequal length, a pool of strings.
//!
//! A type is named by its place in the row, counted from 1 (0 is `void`), so that finding one by
//! number takes an index. [`Types`] notes the place of each 64th and walks from there: 10 kB
//! instead of the 600 kB of a full one.

use super::BtfError;

const MAGIC: u16 = 0xeb9f;
const STRIDE: u32 = 64;

/// The checked bytes: every type lies inside them, and has a known kind.
#[derive(Debug)]
pub(super) struct Types {
    bytes: Vec<u8>,
    /// Places in `bytes` of the types 1, 1 + STRIDE, 1 + 2 * STRIDE...
    places: Vec<u32>,
    types_end: usize,
    strings: std::ops::Range<usize>,
}

/// One type, its parts not yet decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type<'a> {
    pub kind: Kind,
    /// Place in the strings; 0 is the empty name.
    pub name: u32,
    /// Number of members, parameters or values.
    pub count: u32,
    /// Bit 31 of the info word, whose meaning depends on the kind.
    flag: bool,
    /// A size in bytes or the number of another type, as the kind says.
    pub size_or_type: u32,
    parts: &'a [u8],
}

/// A member of a structure or union.
pub(super) struct Member {
    pub name: u32,
    pub of_type: u32,
    pub bit_offset: u32,
    pub is_bit_field: bool,
}

/// A parameter of a function.
pub(super) struct Parameter {
    pub name: u32,
    pub of_type: u32,
}

/// What a type is; numbered as in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Pointer,
    Array,
    Struct,
    Union,
    Enum,
    Forward,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Function,
    FunctionPrototype,
    Variable,
    DataSection,
    Float,
    DeclarationTag,
    TypeTag,
    Enum64,
}

impl Kind {
    fn of_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Integer,
            2 => Self::Pointer,
            3 => Self::Array,
            4 => Self::Struct,
            5 => Self::Union,
            6 => Self::Enum,
            7 => Self::Forward,
            8 => Self::Typedef,
            9 => Self::Volatile,
            10 => Self::Const,
            11 => Self::Restrict,
            12 => Self::Function,
            13 => Self::FunctionPrototype,
            14 => Self::Variable,
            15 => Self::DataSection,
            16 => Self::Float,
            17 => Self::DeclarationTag,
            18 => Self::TypeTag,
            19 => Self::Enum64,
            _ => return None,
        })
    }

    /// Bytes that follow the three words every type has.
    fn parts_length(self, count: usize) -> usize {
        match self {
            Self::Integer | Self::Variable | Self::DeclarationTag => 4,
            Self::Array => 12,
            Self::Struct | Self::Union | Self::DataSection | Self::Enum64 => 12 * count,
            Self::Enum | Self::FunctionPrototype => 8 * count,
            Self::Pointer
            | Self::Forward
            | Self::Typedef
            | Self::Volatile
            | Self::Const
            | Self::Restrict
            | Self::Function
            | Self::Float
            | Self::TypeTag => 0,
        }
    }

    /// Another name or a qualifier of a type, with its layout.
    pub(super) fn is_alias(self) -> bool {
        matches!(
            self,
            Self::Typedef | Self::Volatile | Self::Const | Self::Restrict | Self::TypeTag
        )
    }

    /// Whether `size_or_type` is a size.
    pub(super) fn has_size(self) -> bool {
        matches!(
            self,
            Self::Integer | Self::Struct | Self::Union | Self::Enum | Self::Enum64 | Self::Float
        )
    }
}

impl Types {
    /// Walks over all types once.
    pub(super) fn check(bytes: Vec<u8>) -> Result<Self, BtfError> {
        let header = |at| word(&bytes, at).ok_or(BtfError::CutOff { what: "header", at });
        let magic = (header(0)? & 0xffff) as u16;
        if magic != MAGIC {
            return Err(BtfError::NotBtf(magic));
        }
        let base = header(4)? as usize;
        let section = |what, from: u32, length: u32| {
            let start = base.checked_add(from as usize);
            let end = start.and_then(|start| start.checked_add(length as usize));
            match (start, end) {
                (Some(start), Some(end)) if end <= bytes.len() => Ok(start..end),
                _ => Err(BtfError::CutOff { what, at: base }),
            }
        };
        let types = section("section of types", header(8)?, header(12)?)?;
        let strings = section("section of strings", header(16)?, header(20)?)?;

        let mut places = Vec::new();
        let mut at = types.start;
        let mut number = 1_u32;
        while at < types.end {
            if number % STRIDE == 1 {
                places.push(at as u32);
            }
            let (_, next) = decode(&bytes[..types.end], at)?;
            at = next;
            number += 1;
        }
        Ok(Self {
            places,
            types_end: types.end,
            strings,
            bytes,
        })
    }

    /// All types in order.
    pub(super) fn all(&self) -> impl Iterator<Item = Type<'_>> {
        self.starting_at(self.places.first().copied())
    }

    /// The type of that number; `None` for 0, which is `void`, and for numbers too high.
    pub(super) fn get(&self, number: u32) -> Option<Type<'_>> {
        let index = number.checked_sub(1)?;
        let place = self.places.get((index / STRIDE) as usize).copied()?;
        self.starting_at(Some(place)).nth((index % STRIDE) as usize)
    }

    /// The name at a place in the strings; empty if it is outside or not text.
    pub(super) fn name(&self, at: u32) -> &str {
        let rest = self.string_bytes(at);
        let end = rest.iter().position(|&byte| byte == 0).unwrap_or(0);
        std::str::from_utf8(&rest[..end]).unwrap_or("")
    }

    /// Whether the name at a place is this one; cheaper than reading it.
    pub(super) fn is_named(&self, at: u32, name: &str) -> bool {
        let rest = self.string_bytes(at);
        !name.is_empty() && rest.starts_with(name.as_bytes()) && rest.get(name.len()) == Some(&0)
    }

    fn string_bytes(&self, at: u32) -> &[u8] {
        let strings = &self.bytes[self.strings.clone()];
        strings.get(at as usize..).unwrap_or_default()
    }

    fn starting_at(&self, place: Option<u32>) -> impl Iterator<Item = Type<'_>> {
        let bytes = &self.bytes[..self.types_end];
        let mut at = place.map_or(bytes.len(), |place| place as usize);
        std::iter::from_fn(move || {
            let (one, next) = decode(bytes, at).ok()?;
            at = next;
            Some(one)
        })
    }
}

impl<'a> Type<'a> {
    pub(super) fn is_composite(&self) -> bool {
        matches!(self.kind, Kind::Struct | Kind::Union)
    }

    /// Of a structure or union; no other type has any.
    pub(super) fn members(self) -> impl Iterator<Item = Member> + 'a {
        let parts = if self.is_composite() { self.parts } else { &[] };
        parts.chunks_exact(12).filter_map(move |part| {
            let offset = word(part, 8)?;
            Some(Member {
                name: word(part, 0)?,
                of_type: word(part, 4)?,
                // With the flag, the upper byte is the width of a bit field, or 0.
                bit_offset: if self.flag {
                    offset & 0xff_ffff
                } else {
                    offset
                },
                is_bit_field: self.flag && offset >> 24 != 0,
            })
        })
    }

    /// Of a function's prototype; no other type has any.
    pub(super) fn parameters(self) -> impl Iterator<Item = Parameter> + 'a {
        let is_prototype = self.kind == Kind::FunctionPrototype;
        let parts = if is_prototype { self.parts } else { &[] };
        parts.chunks_exact(8).filter_map(|part| {
            Some(Parameter {
                name: word(part, 0)?,
                of_type: word(part, 4)?,
            })
        })
    }

    /// Type and number of the elements of an array.
    pub(super) fn array(&self) -> Option<(u32, u32)> {
        let is_array = self.kind == Kind::Array;
        is_array.then_some((word(self.parts, 0)?, word(self.parts, 8)?))
    }

    /// What was declared but not defined: `struct ` or `union `.
    pub(super) fn forward_keyword(&self) -> &'static str {
        if self.flag { "union " } else { "struct " }
    }
}

/// The type at a place, and the place of the next.
fn decode(bytes: &[u8], at: usize) -> Result<(Type<'_>, usize), BtfError> {
    let field = |offset| {
        let cut_off = BtfError::CutOff { what: "a type", at };
        word(bytes, at.wrapping_add(offset)).ok_or(cut_off)
    };
    let (name, info, size_or_type) = (field(0)?, field(4)?, field(8)?);
    let number = info >> 24 & 0x1f;
    let kind = Kind::of_number(number).ok_or(BtfError::UnknownKind { kind: number, at })?;
    let count = info & 0xffff;
    let start = at + 12;
    let end = start + kind.parts_length(count as usize);
    let parts = bytes.get(start..end).ok_or(BtfError::CutOff {
        what: "the parts of a type",
        at,
    })?;
    let one = Type {
        kind,
        name,
        count,
        flag: info >> 31 != 0,
        size_or_type,
        parts,
    };
    Ok((one, end))
}

/// The 32-bit word at a place, in this machine's byte order.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(word.try_into().ok()?))
}
