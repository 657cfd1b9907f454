//! A program file, as the probe reads that of any process: headers, symbols, notes, unwind tables, code.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailcut_probe::binary::elf::Image;
use tailcut_probe::binary::notes;
use tailcut_probe::binary::symbols::Symbols;

fuzz_target!(|data: &[u8]| {
    let Ok(image) = Image::from_bytes(data.to_vec()) else {
        return;
    };
    let _ = image.build_id();
    let _ = image.c_library();
    let _ = notes::read(&image);
    if let Ok(symbols) = Symbols::read(&image) {
        for symbol in symbols.functions(|_| true).iter().take(50) {
            let _ = image.bytes_at(symbol.address, symbol.size.min(64));
        }
        let _ = symbols.functions_starting_within(0..u64::MAX);
    }
});
