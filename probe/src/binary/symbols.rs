//! The functions that a file names.
//!
//! Both tables are read: `.dynsym`, which every program and library keeps, and `.symtab`, which
//! stripping removes. They are looked through by position, once for each question, without an
//! index: of a million names some fifty are wanted, and the index would cost more than the looking.
//!
//! Versions (`malloc@@GLIBC_2.2.5`) are not part of names in either table: glibc keeps them apart,
//! and where an assembler wrote one into a name it is cut off.
//!
//! Cost: 24 bytes a symbol and the names are held while [`Symbols`] lives; a pass takes about
//! 20 ns a symbol.

use super::elf::{ElfError, Image, Section};
use memchr::memchr;
use object::elf::{
    SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB, STB_GLOBAL, STB_WEAK, STT_FUNC, STT_GNU_IFUNC, STV_DEFAULT,
    STV_PROTECTED, Sym64,
};
use object::pod::slice_from_bytes;
use object::{LittleEndian, Pod};
use serde::Serialize;
use std::ops::Range;
use std::sync::OnceLock;

/// Names longer than this are not looked at (Rust and C++ make names of several KB).
const LONGEST_NAME: usize = 1024;

/// A function with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Symbol {
    /// Its name as it stands in the file, without a version.
    pub name: String,
    /// Its virtual address.
    pub address: u64,
    /// Its length in bytes, 0 where the file does not say (assembler).
    pub size: u64,
    /// Whether other modules can call it by this name: the dynamic linker resolves to it.
    pub exported: bool,
    /// Whether the address is of a function that *chooses* the function (IFUNC), once, at start:
    /// a probe there sees no calls.
    pub indirect: bool,
}

/// The tables of symbols of a file.
#[derive(Debug)]
pub struct Symbols {
    tables: Vec<Table>,
    /// Where functions start, sorted: made when first asked for.
    starts: OnceLock<Vec<u64>>,
}

#[derive(Debug)]
struct Table {
    symbols: Vec<u8>,
    names: Vec<u8>,
    dynamic: bool,
}

impl Symbols {
    /// Reads the tables of `image`; a file without any has no symbols.
    ///
    /// # Errors
    ///
    /// A table lies outside of the file.
    pub fn read(image: &Image) -> Result<Self, ElfError> {
        let mut tables = Vec::new();
        for section in image.sections() {
            let dynamic = match section.kind {
                SHT_DYNSYM => true,
                SHT_SYMTAB => false,
                _ => continue,
            };
            let names: &Section = image
                .sections()
                .get(section.link as usize)
                .ok_or(ElfError::Damaged("symbols without names"))?;
            if tables.len() == 4 {
                return Err(ElfError::Damaged("more tables of symbols than can be"));
            }
            tables.push(Table {
                symbols: image.contents(section)?,
                names: image.contents(names)?,
                dynamic,
            });
        }
        Ok(Symbols {
            tables,
            starts: OnceLock::new(),
        })
    }

    /// Whether the file has more than the names that the dynamic linker needs.
    #[must_use]
    pub fn has_static_table(&self) -> bool {
        self.tables
            .iter()
            .any(|table| !table.dynamic && !table.symbols.is_empty())
    }

    /// Whether the file has no symbols at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(|table| table.symbols.is_empty())
    }

    /// The functions whose names are `wanted`. One that is in both tables comes once, as exported.
    #[must_use]
    pub fn functions(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<Symbol> {
        let mut found: Vec<Symbol> = Vec::new();
        for table in self.tables.iter().filter(|table| table.dynamic) {
            table.collect(&wanted, &mut found);
        }
        for table in self.tables.iter().filter(|table| !table.dynamic) {
            let known = found.len();
            table.collect(&wanted, &mut found);
            let mut index = known;
            while index < found.len() {
                let candidate = &found[index];
                let doubled = found[..known]
                    .iter()
                    .any(|s| s.address == candidate.address && s.name == candidate.name);
                if doubled {
                    found.swap_remove(index);
                } else {
                    index += 1;
                }
            }
        }
        found
    }

    /// The addresses, sorted, at which functions start within a range of virtual addresses. The
    /// first call sorts all of them: some 50 ns a symbol.
    #[must_use]
    pub fn functions_starting_within(&self, range: Range<u64>) -> &[u64] {
        let starts = self.starts.get_or_init(|| {
            let functions = self.tables.iter().flat_map(Table::defined_functions);
            let mut starts: Vec<u64> = functions
                .map(|symbol| symbol.st_value.get(LittleEndian))
                .collect();
            starts.sort_unstable();
            starts.dedup();
            starts
        });
        let place = |address| starts.partition_point(|start| *start < address);
        starts
            .get(place(range.start)..place(range.end))
            .unwrap_or_default()
    }

    /// The addresses of these symbols, of functions or data, in the order of `names`; none where
    /// the file does not name or define one. One pass for all of them.
    #[must_use]
    pub fn addresses_of(&self, names: &[&str]) -> Vec<Option<u64>> {
        let mut found = vec![None; names.len()];
        for table in &self.tables {
            for symbol in table.symbols() {
                if symbol.st_shndx.get(LittleEndian) == SHN_UNDEF {
                    continue;
                }
                let Some(name) = table.name(symbol) else {
                    continue;
                };
                if let Some(place) = names.iter().position(|wanted| wanted.as_bytes() == name) {
                    found[place].get_or_insert(symbol.st_value.get(LittleEndian));
                }
            }
        }
        found
    }

    /// The name of the symbol that relocations of the dynamic linker call by this number.
    #[must_use]
    pub fn imported(&self, number: u32) -> Option<String> {
        let table = self.tables.iter().find(|table| table.dynamic)?;
        let name = table.name(table.symbols().get(number as usize)?)?;
        Some(String::from_utf8_lossy(name).into_owned())
    }
}

impl Table {
    fn symbols(&self) -> &[Sym64<LittleEndian>] {
        let count = self.symbols.len() / size_of::<Sym64<LittleEndian>>();
        all(&self.symbols, count)
    }

    fn defined_functions(&self) -> impl Iterator<Item = &Sym64<LittleEndian>> {
        self.symbols().iter().filter(|symbol| {
            symbol.st_shndx.get(LittleEndian) != SHN_UNDEF
                && symbol.st_value.get(LittleEndian) != 0
                && matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC)
        })
    }

    fn name(&self, symbol: &Sym64<LittleEndian>) -> Option<&[u8]> {
        let rest = self
            .names
            .get(symbol.st_name.get(LittleEndian) as usize..)?;
        let rest = &rest[..rest.len().min(LONGEST_NAME)];
        let name = &rest[..memchr(0, rest)?];
        Some(match memchr(b'@', name) {
            Some(version) => &name[..version],
            None => name,
        })
    }

    fn collect(&self, wanted: &impl Fn(&[u8]) -> bool, found: &mut Vec<Symbol>) {
        for symbol in self.defined_functions() {
            let Some(name) = self.name(symbol).filter(|name| wanted(name)) else {
                continue;
            };
            let visible = matches!(symbol.st_visibility(), STV_DEFAULT | STV_PROTECTED);
            found.push(Symbol {
                name: String::from_utf8_lossy(name).into_owned(),
                address: symbol.st_value.get(LittleEndian),
                size: symbol.st_size.get(LittleEndian),
                exported: self.dynamic
                    && visible
                    && matches!(symbol.st_bind(), STB_GLOBAL | STB_WEAK),
                indirect: symbol.st_type() == STT_GNU_IFUNC,
            });
        }
    }
}

/// `bytes` as that many values; what does not fit is none.
fn all<T: Pod>(bytes: &[u8], count: usize) -> &[T] {
    slice_from_bytes(bytes, count).map_or(&[], |(values, _)| values)
}

#[cfg(test)]
mod tests {
    use super::Symbols;
    use crate::binary::elf::Image;
    use crate::binary::elf::tests::libc_of_this_host;

    #[test]
    fn data_has_addresses_too() {
        let image = Image::open(&libc_of_this_host()).unwrap();
        let symbols = Symbols::read(&image).unwrap();
        let found = symbols.addresses_of(&["malloc", "no_such_symbol", "stdout"]);
        assert_eq!(
            found[0],
            Some(symbols.functions(|n| n == b"malloc")[0].address)
        );
        assert_eq!(found[1], None);
        let stdout = found[2].unwrap();
        assert!(!image.is_executable(stdout) && image.file_offset(stdout).is_some());
    }

    #[test]
    fn functions_of_libc_are_found_and_exported() {
        let image = Image::open(&libc_of_this_host()).unwrap();
        let symbols = Symbols::read(&image).unwrap();
        let found = symbols.functions(|name| matches!(name, b"malloc" | b"free"));
        let mut names: Vec<&str> = found.iter().map(|symbol| symbol.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["free", "malloc"]);
        for symbol in &found {
            assert!(
                symbol.exported && !symbol.indirect && symbol.size > 0,
                "{symbol:?}"
            );
            assert!(image.is_executable(symbol.address));
            let starts = symbols.functions_starting_within(symbol.address..symbol.address + 1);
            assert_eq!(starts, [symbol.address]);
        }
    }

    #[test]
    fn functions_that_the_processor_chooses_are_marked() {
        let image = Image::open(&libc_of_this_host()).unwrap();
        let found = Symbols::read(&image)
            .unwrap()
            .functions(|name| name == b"memcpy");
        assert!(found.iter().any(|symbol| symbol.indirect), "{found:?}");
    }

    #[test]
    fn functions_of_a_program_that_is_not_stripped_are_found_though_not_exported() {
        let image = Image::open(&std::env::current_exe().unwrap()).unwrap();
        let symbols = Symbols::read(&image).unwrap();
        assert!(symbols.has_static_table());
        let found = symbols.functions(|name| name == b"main");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(image.is_executable(found[0].address));
    }
}
