//! On the files of this very process, and on damaged copies of one.

use super::frames::Frames;
use super::{CLibrary, ElfError, Image};
use crate::binary::process::Process;
use proptest::prelude::*;
use std::path::PathBuf;

/// The C library that this process runs with.
pub(in crate::binary) fn libc_of_this_host() -> PathBuf {
    let modules = Process::open(std::process::id())
        .unwrap()
        .modules()
        .unwrap();
    let libc = modules
        .files
        .into_iter()
        .find(|module| module.file_name().starts_with("libc.so"));
    libc.expect("the tests run with a shared libc").openable
}

/// A small program of the system, whole.
fn small_program() -> Vec<u8> {
    std::fs::read("/bin/true").unwrap()
}

fn error_of(bytes: Vec<u8>) -> ElfError {
    Image::from_bytes(bytes).unwrap_err()
}

#[test]
fn an_address_in_the_code_is_where_the_loader_takes_it_from() {
    let image = Image::open(&std::env::current_exe().unwrap()).unwrap();
    let text = image.section(".text").unwrap();
    assert_eq!(image.file_offset(text.address), Some(text.file_offset));
    assert!(image.is_executable(text.address));
    let constants = image.section(".rodata").unwrap();
    assert!(!image.is_executable(constants.address));
    assert_eq!(image.file_offset(u64::MAX), None);
}

#[test]
fn the_c_library_of_this_host_is_recognised() {
    let image = Image::open(&libc_of_this_host()).unwrap();
    let Some(CLibrary::Glibc {
        version: Some(version),
    }) = image.c_library().unwrap()
    else {
        panic!("not recognised");
    };
    let (major, minor) = version.split_once('.').unwrap();
    assert_eq!(major, "2");
    assert!(minor.parse::<u32>().is_ok(), "{version}");
    assert!(image.build_id().is_some_and(|id| id.len() == 40));
}

#[test]
fn what_cannot_be_traced_is_named() {
    assert!(matches!(error_of(Vec::new()), ElfError::NotElf));
    assert!(matches!(
        error_of(b"#!/bin/sh\nexec true\n".to_vec()),
        ElfError::NotElf
    ));
    let mut narrow = small_program();
    narrow[4] = 1;
    assert!(matches!(error_of(narrow), ElfError::ThirtyTwoBit));
    let mut riscv = small_program();
    riscv[18] = 243;
    assert!(matches!(error_of(riscv), ElfError::OtherMachine(243)));
    let mut cut = small_program();
    cut.truncate(cut.len() - 1);
    assert!(matches!(error_of(cut), ElfError::OutOfBounds { .. }));
    assert!(Image::open(&PathBuf::from("/dev/zero")).is_err());
}

#[test]
fn unwind_tables_give_a_functions_bounds_without_symbols() {
    let image = Image::open(&libc_of_this_host()).unwrap();
    let frames = Frames::read(&image).unwrap().unwrap();
    let symbols = crate::binary::symbols::Symbols::read(&image).unwrap();
    let found = symbols.functions(|name| name == b"malloc");
    let malloc = &found[0];
    let bounds = frames.function_at(malloc.address + 1).unwrap();
    assert_eq!(bounds, malloc.address..malloc.address + malloc.size);
    assert_eq!(frames.function_at(u64::MAX), None);
}

/// Everything that reads a file, on one file.
fn read_all(bytes: Vec<u8>) {
    let Ok(image) = Image::from_bytes(bytes) else {
        return;
    };
    let _ = image.build_id();
    let _ = image.c_library();
    let _ = crate::binary::notes::read(&image);
    if let Ok(symbols) = crate::binary::symbols::Symbols::read(&image) {
        for symbol in symbols.functions(|_| true).iter().take(50) {
            let _ = image.bytes_at(symbol.address, symbol.size.min(64));
        }
        let _ = symbols.functions_starting_within(0..u64::MAX);
    }
    if let Ok(Some(frames)) = Frames::read(&image) {
        for section in image.sections() {
            let _ = frames.function_at(section.address);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Bytes anywhere, and more often in the headers, where they decide most.
    #[test]
    fn no_damage_to_a_file_makes_a_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..40),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = small_program();
        let headers = u64::from_le_bytes(bytes[40..48].try_into().unwrap()) as usize;
        for (place, value, region) in changes {
            let range = match region {
                0 => 0..64 + 13 * 56,
                1 => headers..bytes.len(),
                _ => 0..bytes.len(),
            };
            let at = range.start + place.index(range.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            let length = cut.index(bytes.len());
            bytes.truncate(length);
        }
        read_all(bytes);
    }
}
