//! Programs of versions that are not known, damaged ones, and, by hand, those of other versions of Go.

use crate::forms::{FORMS, Waiting, changed, program, programs};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use tailcut_probe::binary::go::GoProgram;
use tailcut_probe::binary::sites::{HitCosts, KernelRules, Purpose};

fn place_of(bytes: &[u8], pattern: &[u8]) -> usize {
    memchr::memmem::find(bytes, pattern).unwrap()
}

#[test]
fn without_debug_information_the_runtime_is_known_by_its_version() {
    let Some(path) = program("without-dwarf") else {
        return;
    };
    let without = GoProgram::of_file(path).unwrap().unwrap();
    let plain = GoProgram::of_file(program("plain").unwrap())
        .unwrap()
        .unwrap();
    let by_debug_information = plain.runtime_layout().unwrap();
    match without.runtime_layout() {
        Ok(by_version) => {
            assert!(!by_version.from_debug_information);
            assert_eq!(
                by_version.goroutine_number,
                by_debug_information.goroutine_number
            );
            assert_eq!(
                by_version.scheduler_latency,
                by_debug_information.scheduler_latency
            );
            assert_eq!(
                by_version.collector_pauses,
                by_debug_information.collector_pauses
            );
        }
        // A version of Go that the table does not have.
        Err(error) => assert!(
            error.to_string().contains("no debug information"),
            "{error}"
        ),
    }
}

#[test]
fn of_a_version_that_nobody_knows_what_still_works_is_said() {
    for (name, stripped) in [("plain", false), ("linker-stripped", true)] {
        let newer = changed(name, |bytes| {
            // Behind the head of the build information: the length of the version, then `go1.`
            let version = place_of(bytes, b"\xff Go buildinf:") + 32 + 1;
            assert_eq!(&bytes[version..version + 4], b"go1.");
            bytes[version + 2] = b'9';
        });
        let Some(newer) = newer else { return };
        let program = GoProgram::of_file(newer.path()).unwrap().unwrap();
        assert!(program.version().is_beyond_known());
        let surveyed = program.survey(0, KernelRules::of_release(6, 18), &HitCosts::default());
        assert!(surveyed.plans.iter().all(|plan| plan.plan.is_ok()));
        let said = surveyed.left_out.join("\n");
        assert!(
            said.contains("is not known to this version of tailcut"),
            "{said}"
        );
        assert_eq!(surveyed.layout.is_err(), stripped, "{said}");
    }
}

#[test]
fn a_damaged_part_is_named() {
    let damaged = |change: &dyn Fn(&mut [u8])| {
        let file = changed("plain", change)?;
        Some(GoProgram::of_file(file.path()).unwrap_err().to_string())
    };
    let count = damaged(&|bytes| {
        let table = place_of(bytes, &[0xff, 0xff, 0xff, 0, 0, 1, 8]) - 1;
        bytes[table + 8..table + 16].fill(0xff);
    });
    let Some(count) = count else { return };
    assert!(count.contains("table of functions"), "{count}");
    assert!(count.contains("18446744073709551615 functions"), "{count}");
    let version = damaged(&|bytes| {
        let build = place_of(bytes, b"\xff Go buildinf:");
        bytes[build + 32..build + 40].fill(0xff);
    });
    assert!(version.unwrap().contains("build information"));
}

/// For other versions of Go than the one on PATH: programs of `tests/programs/go_small` that they built,
/// in a folder. Prints a line for each.
#[test]
#[ignore = "by hand: TAILCUT_GO_PROGRAMS=FOLDER"]
fn programs_of_other_versions_are_known_too() {
    let folder = std::env::var_os("TAILCUT_GO_PROGRAMS").expect("TAILCUT_GO_PROGRAMS=FOLDER");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let waiting = Waiting::start(&path);
        let program = GoProgram::of_process(waiting.child.id()).unwrap().unwrap();
        let wrong_types = waiting
            .of("type")
            .filter(|(address, name)| program.type_name(*address).as_deref() != Some(*name))
            .count();
        let (address, name) = waiting.of("function").next().unwrap();
        let function = program.function(name).unwrap();
        let found = program.address_in_process(function.address) == address;
        let surveyed = program.survey(0, KernelRules::of_release(6, 18), &HitCosts::default());
        let allocations = surveyed.allocations.iter();
        let failed: Vec<String> = surveyed
            .plans
            .iter()
            .map(|plan| (&plan.function, &plan.plan))
            .chain(allocations.map(|plan| (&plan.entry.function.name, &plan.plan)))
            .filter_map(|(name, plan)| Some(format!("{name}: {}", plan.as_ref().err()?)))
            .collect();
        println!(
            "{}: {}, {:?}, {} functions, place {}, {} types wrong, {} allocating, failed {failed:?}",
            path.file_name().unwrap().display(),
            program.version(),
            program.table_form(),
            program.function_count(),
            if found { "right" } else { "WRONG" },
            wrong_types,
            surveyed.allocations.len(),
        );
        println!("    {:?}", surveyed.layout);
        let fields = [
            ("runtime.g", "goid"),
            ("runtime.schedt", "timeToRun"),
            ("runtime.schedt", "stwTotalTimeGC"),
            ("runtime.mstats", "gcPauseDist"),
        ];
        println!("    {:?}", program.field_offsets(&fields));
        for plan in &surveyed.plans {
            if let Ok(plan) = &plan.plan {
                println!(
                    "    {} +{} `{}` {:?}, {} ns",
                    surveyed.version,
                    plan.entry.from_entry,
                    plan.entry.instruction,
                    plan.entry.cost,
                    plan.predicted_nanoseconds
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Bytes anywhere, and more often where the tables begin.
    #[test]
    fn no_damage_to_a_go_program_makes_its_reader_panic(
        form in 0..FORMS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..30),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let Some(programs) = programs() else { return Ok(()) };
        let mut bytes = std::fs::read(&programs[form]).unwrap();
        let tables = memchr::memmem::find(&bytes, &[0xff, 0xff, 0xff, 0, 0, 1, 8]).unwrap_or(64);
        let build = memchr::memmem::find(&bytes, b"\xff Go buildinf:").unwrap_or(64);
        for (place, value, region) in changes {
            let range = match region {
                0 => 0..64 + 10 * 56,
                1 => tables..tables + 4096,
                2 => build..build + 512,
                _ => 0..bytes.len(),
            };
            let at = range.start + place.index(range.len());
            let last = bytes.len() - 1;
            bytes[at.min(last)] = value;
        }
        if let Some(cut) = cut {
            let length = cut.index(bytes.len());
            bytes.truncate(length);
        }
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("damaged-go-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        if let Ok(Some(program)) = GoProgram::of_file(&path) {
            for function in program.functions_with_prefix("runtime.gcAssist") {
                let _ = program.plan(
                    &function,
                    &[0, 1],
                    Purpose::Latency,
                    KernelRules::of_release(6, 18),
                    &HitCosts::default(),
                );
            }
            let _ = program.runtime_layout();
            for address in (0x48_0000..0x4c_0000).step_by(0x1000) {
                let _ = program.type_name(address);
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
}
