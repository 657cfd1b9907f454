//! The published schema is that of what `--json` prints: neither key may be missing from the other.

mod common;

use std::path::Path;

use common::network::{closed, load};
use common::traced::{traced, write_traced};
use common::{JEMALLOC, POOL, SECOND, recording, write, write_demo};
use serde_json::Value;
use tailcut_report::{Document, Report, schema};

#[test]
fn the_committed_schema_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/report.schema.json");
    let committed = std::fs::read_to_string(path).expect("it is committed");
    assert!(
        committed == schema(),
        "write it anew: cargo run -- report --schema > report/schema/report.schema.json"
    );
}

/// The schema as it would be if no key but its own were allowed.
fn strict() -> Value {
    fn close(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                if fields.contains_key("properties") {
                    fields.insert("unevaluatedProperties".to_owned(), false.into());
                }
                fields.values_mut().for_each(close);
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut schema = serde_json::from_str(&schema()).expect("it is JSON");
    close(&mut schema);
    schema
}

/// Reports of every kind: of a pool, of loads, traced and not, of a process alone, of a partial run.
fn documents() -> Vec<Value> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let demo = dir.path().join("demo");
    write_demo(&demo, 2, 2).expect("writable");
    let loads = dir.path().join("loads");
    write(&loads.join("a"), &load("frozen", 0, 3, Some(SECOND))).expect("writable");
    write(&loads.join("b"), &closed("ceiling", 1, 2)).expect("writable");
    let with_pauses = dir.path().join("traced");
    for (place, profile) in [JEMALLOC, POOL].iter().enumerate() {
        let run = recording(profile, 1, place as u32, 2);
        let folder = with_pauses.join(profile.variant);
        write(&folder, &run).expect("writable");
        write_traced(&folder, &traced(&run, 2), false).expect("writable");
    }
    let alone = dir.path().join("alone");
    let run = recording(&POOL, 1, 0, 2);
    write_traced(&alone.join("run"), &traced(&run, 2), true).expect("writable");
    let cut = dir.path().join("cut");
    write(&cut.join("run"), &run).expect("writable");
    std::fs::write(cut.join("run/slow.jsonl"), "{}\n").expect("writable");
    [demo, loads, with_pauses, alone, cut]
        .iter()
        .map(|folder| {
            let report = Report::read_tree(folder).expect("readable");
            serde_json::to_value(report.json()).expect("it is JSON")
        })
        .collect()
}

#[test]
fn every_report_is_as_the_schema_says_and_has_no_key_beyond_it() {
    let validator = jsonschema::validator_for(&strict()).expect("it is a schema");
    for document in documents() {
        let wrong: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path))
            .take(5)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(document["schema_version"], Document::VERSION);
    }
}

#[test]
fn what_is_not_of_the_schema_is_found() {
    let validator = jsonschema::validator_for(&strict()).expect("it is a schema");
    let sound = documents().swap_remove(0);
    let changed = |change: fn(&mut Value)| {
        let mut document = sound.clone();
        change(&mut document);
        validator.is_valid(&document)
    };
    assert!(changed(|_| {}));
    assert!(!changed(|it| it["moon"] = 1.into()));
    assert!(!changed(|it| it["variants"]["pool"]["moon"] = 1.into()));
    assert!(!changed(|it| it["variants"]["pool"]["p50_ns"] = (-1).into()));
    assert!(!changed(|it| it["verdict"]["outcome"] = "splendid".into()));
    assert!(!changed(|it| {
        it["verdict"]
            .as_object_mut()
            .map(|verdict| verdict.remove("sentence"));
    }));
}
