//! Tables of every form, made by hand, and damaged ones.

use super::{FunctionTable, TableForm};
use proptest::prelude::*;

/// Functions at 0x40_0000, 0x40_0100, ... (or as far behind where the code begins), with the last one's end.
fn table(form: TableForm, names: &[&str]) -> Vec<u8> {
    let relative = matches!(form, TableForm::Go118 | TableForm::Go120);
    let head = match form {
        TableForm::Go12 => 16,
        TableForm::Go116 => 8 + 7 * 8,
        _ => 8 + 8 * 8,
    };
    let record_length = 44;
    let entry = if relative { 8 } else { 16 };
    let mut name_bytes = vec![0]; // names begin with an empty one
    let places: Vec<usize> = names
        .iter()
        .map(|name| {
            let place = name_bytes.len();
            name_bytes.extend(name.as_bytes());
            name_bytes.push(0);
            place
        })
        .collect();
    // Go 1.2 has the table first, then records and names; later forms names first.
    let table_length = entry * names.len() + entry / 2;
    let (functions_at, names_at) = match form {
        TableForm::Go12 => (head, head + table_length + names.len() * record_length),
        _ => (head + name_bytes.len(), head),
    };
    let mut bytes = form.magic().to_le_bytes().to_vec();
    bytes.extend([0, 0, 1, 8]);
    let mut words: Vec<u64> = vec![names.len() as u64];
    match form {
        TableForm::Go12 => {}
        TableForm::Go116 => {
            let (names, functions) = (names_at as u64, functions_at as u64);
            words.extend([1, names, functions, functions, functions, functions]);
        }
        _ => {
            let (names, functions) = (names_at as u64, functions_at as u64);
            words.extend([
                1, 0x40_0000, names, functions, functions, functions, functions,
            ]);
        }
    }
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    if form != TableForm::Go12 {
        bytes.extend(&name_bytes);
    }
    let start = |index: usize| index as u64 * 0x100 + if relative { 0 } else { 0x40_0000 };
    let base = if form == TableForm::Go12 { head } else { 0 };
    for index in 0..=names.len() {
        let record = base + table_length + index * record_length;
        if relative {
            bytes.extend((start(index) as u32).to_le_bytes());
            if index < names.len() {
                bytes.extend((record as u32).to_le_bytes());
            }
        } else {
            bytes.extend(start(index).to_le_bytes());
            if index < names.len() {
                bytes.extend((record as u64).to_le_bytes());
            }
        }
    }
    for (index, place) in places.iter().enumerate() {
        let mut record = vec![0; record_length];
        let (name_at, kind_at, flags_at) = form.record();
        let place = match form {
            TableForm::Go12 => names_at + place,
            _ => *place,
        };
        record[name_at..name_at + 4].copy_from_slice(&(place as u32).to_le_bytes());
        if let (Some(kind), Some(flags)) = (kind_at, flags_at) {
            record[kind] = index as u8;
            record[flags] = if names[index].ends_with("asm") { 4 } else { 0 };
        }
        bytes.extend(record);
    }
    if form == TableForm::Go12 {
        bytes.extend(&name_bytes);
    }
    bytes
}

#[test]
fn every_form_gives_its_functions_with_names_and_ends() {
    let names = ["main.main", "runtime.mallocgc", "runtime.asm"];
    for form in TableForm::ALL {
        let table = FunctionTable::parse(table(form, &names), 0x50_0000).unwrap();
        assert_eq!((table.form, table.len()), (form, 3), "{form}");
        let entries: Vec<_> = table.entries().collect();
        let found: Vec<&[u8]> = entries.iter().map(|entry| entry.name).collect();
        assert_eq!(found, names.map(str::as_bytes), "{form}");
        let second = entries[1];
        let address = |start| table.address_of(start, 0x40_0000);
        assert_eq!(
            (address(second.start), address(second.end)),
            (0x40_0100, 0x40_0200),
            "{form}"
        );
        assert_eq!(entries[2].assembler, form != TableForm::Go12, "{form}");
        assert_eq!(table.covering(second.start + 0xff), Some(second), "{form}");
        assert_eq!(table.covering(entries[2].end), None, "{form}");
    }
}

#[test]
fn what_is_wrong_with_a_table_is_said() {
    let reason = |bytes| {
        let error = FunctionTable::parse(bytes, 0).unwrap_err();
        error.to_string()
    };
    let good = || table(TableForm::Go120, &["a", "b"]);
    let mut unknown = good();
    unknown[0] = 0xf5;
    assert!(reason(unknown).contains("fffffff5"));
    let mut many = good();
    many[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(reason(many).contains("18446744073709551615 functions"));
    let mut beyond = good();
    beyond[8 + 7 * 8..][..8].copy_from_slice(&0xffff_u64.to_le_bytes());
    assert!(reason(beyond).contains("not within"));
    let mut cut = good();
    cut.truncate(8 + 8 * 8 + 8);
    assert!(reason(cut).contains("ends before its entry"));
    assert!(reason(Vec::new()).contains("shorter"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_damage_to_a_table_makes_its_reader_panic(
        form in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<Option<prop::sample::Index>>(),
        asked in any::<u64>(),
    ) {
        let mut bytes = table(TableForm::ALL[form], &["main.main", "runtime.mallocgc", "b"]);
        for (place, value) in changes {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            let length = cut.index(bytes.len());
            bytes.truncate(length);
        }
        if let Ok(table) = FunctionTable::parse(bytes, 0) {
            prop_assert!(table.entries().count() <= table.len());
            let _ = table.covering(asked);
        }
    }
}
