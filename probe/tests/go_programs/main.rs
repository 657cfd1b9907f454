//! Go programs as their builders leave them: plain, stripped in several ways, position-independent,
//! with C inside, linked statically. What is read from the file is compared with what the program says
//! about itself, and with Go's own tools.
//!
//! Without Go on PATH these tests say so and pass; with `TAILCUT_REQUIRE_GO=1` that is a failure.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod forms;
mod unusual;

use forms::{After, FORMS, Waiting, program, programs};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use tailcut_probe::binary::go::GoProgram;
use tailcut_probe::binary::sites::{Convention, HitCosts, KernelRules, Returns};
use tailcut_probe::binary::survey::{Detail, survey};

#[test]
fn a_running_program_of_every_form_is_known_as_it_knows_itself() {
    let Some(programs) = programs() else { return };
    for (form, path) in FORMS.iter().zip(programs) {
        let waiting = Waiting::start(path);
        let program = GoProgram::of_process(waiting.child.id()).unwrap().unwrap();
        let (_, version) = waiting.of("version").next().unwrap();
        assert_eq!(program.version().text, version, "{}", form.name);
        for (address, name) in waiting.of("type") {
            let found = program.type_name(address);
            assert_eq!(found.as_deref(), Some(name), "{}", form.name);
        }
        let (address, name) = waiting.of("function").next().unwrap();
        let function = program.function(name).unwrap();
        assert_eq!(
            program.address_in_process(function.address),
            address,
            "{}",
            form.name
        );
        assert_eq!(program.function_at(function.address + 1), Some(function));
        assert_eq!(program.type_name(address), None, "{}", form.name);
    }
}

/// Names and addresses as `go tool nm` lists them.
fn listed(path: &Path) -> BTreeMap<String, u64> {
    let output = Command::new("go").args(["tool", "nm"]).arg(path).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            Some((words.nth(1)?.to_owned(), address))
        })
        .collect()
}

#[test]
fn functions_are_where_the_tool_of_go_says() {
    let Some(programs) = programs() else { return };
    for (form, path) in FORMS.iter().zip(programs) {
        if form.after != After::Nothing || form.flags.contains(&"-ldflags=-s -w") {
            continue;
        }
        let listed = listed(path);
        let program = GoProgram::of_file(path).unwrap().unwrap();
        for name in [
            "main.main",
            "main.allocate",
            "runtime.mallocgc",
            "runtime.gcAssistAlloc",
            "runtime.(*mheap).grow",
            "runtime.stopTheWorldWithSema",
        ] {
            let found = program.function(name).unwrap();
            assert_eq!(found.address, listed[name], "{}: {name}", form.name);
            assert!(found.end > found.address, "{}: {name}", form.name);
        }
    }
}

#[test]
fn of_two_functions_of_one_name_the_one_that_works_is_given() {
    let Some(path) = program("plain") else { return };
    let listed = listed(path);
    let program = GoProgram::of_file(path).unwrap().unwrap();
    // Written in Go and called by assembler: what has `.abi0` only passes arguments on. The wrapper of
    // `badmcall` is the longer one.
    for name in ["runtime.args", "runtime.badmcall", "reflect.callMethod"] {
        assert_ne!(listed[name], listed[&format!("{name}.abi0")]);
        let found = program.function(name).unwrap();
        assert_eq!(
            (found.address, found.convention),
            (listed[name], Convention::Go),
            "{name}"
        );
    }
    // Written in assembler and called by Go.
    let found = program.function("runtime.asmcgocall").unwrap();
    let expected = (listed["runtime.asmcgocall.abi0"], Convention::GoStack);
    assert_eq!((found.address, found.convention), expected);
}

#[test]
fn stripping_takes_no_function_and_no_type_away() {
    let Some(programs) = programs() else { return };
    let of = |name: &str| {
        let place = FORMS.iter().position(|form| form.name == name).unwrap();
        GoProgram::of_file(&programs[place]).unwrap().unwrap()
    };
    let plain = of("plain");
    for name in ["stripped", "without-sections", "damaged-sections"] {
        let stripped = of(name);
        assert!(!stripped.has_symbol_table());
        assert_eq!(stripped.function_count(), plain.function_count(), "{name}");
        let functions = |program: &GoProgram| program.functions_with_prefix("runtime.");
        assert_eq!(functions(&stripped), functions(&plain), "{name}");
        assert!(functions(&plain).len() > 500);
        assert_eq!(stripped.build(), plain.build(), "{name}");
    }
}

#[test]
fn builds_are_described_as_the_tool_of_go_describes_them() {
    let Some(programs) = programs() else { return };
    for (form, path) in FORMS.iter().zip(programs) {
        if matches!(form.after, After::WithoutSections | After::DamagedSections) {
            continue; // the tool may need sections
        }
        let listed = Command::new("go")
            .args(["version", "-m"])
            .arg(path)
            .output();
        let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
        let program = GoProgram::of_file(path).unwrap().unwrap();
        let build = program.build();
        assert!(
            listed.contains(&format!(": {}", program.version())),
            "{listed}"
        );
        assert_eq!(build.package.as_deref(), Some("tailcut.example/small"));
        assert_eq!(
            build.setting("CGO_ENABLED"),
            Some(if form.cgo { "1" } else { "0" })
        );
        for (name, value) in &build.settings {
            let plain = format!("build\t{name}={value}");
            let quoted = format!("build\t{name}=\"{value}\"");
            assert!(
                listed.contains(&plain) || listed.contains(&quoted),
                "{}: {name}={value}\n{listed}",
                form.name
            );
        }
    }
}

#[test]
fn every_function_that_is_traced_has_a_plan_without_a_return_probe_behind_the_check_of_the_stack() {
    let Some(programs) = programs() else { return };
    for (form, path) in FORMS.iter().zip(programs) {
        let program = GoProgram::of_file(path).unwrap().unwrap();
        let surveyed = program.survey(0, KernelRules::of_release(6, 18), &HitCosts::default());
        let functions = surveyed
            .plans
            .iter()
            .map(|plan| (&plan.function, &plan.plan));
        let allocations = surveyed.allocations.iter();
        let allocations = allocations.map(|plan| (&plan.entry.function.name, &plan.plan));
        for (name, plan) in functions.chain(allocations) {
            let plan = plan
                .as_ref()
                .unwrap_or_else(|error| panic!("{}: {name}: {error}", form.name));
            assert_ne!(plan.returns, Returns::ReturnProbe, "{}: {name}", form.name);
            // The check ends with a conditional jump to where the stack grows; what is before it, and
            // itself, is passed again.
            let check = plan
                .entry
                .skipped
                .iter()
                .any(|text| text.starts_with("jbe"));
            let without = plan.entry.skipped.is_empty();
            assert!(check || without, "{}: {name}: {plan:#?}", form.name);
        }
        assert!(
            surveyed
                .allocations
                .iter()
                .any(|a| a.entry.function.name == "runtime.mallocgc")
        );
    }
}

#[test]
fn a_survey_of_a_go_process_says_what_can_be_traced_and_what_not() {
    let Some(programs) = programs() else { return };
    for (form, path) in FORMS.iter().zip(programs) {
        let waiting = Waiting::start(path);
        let survey = survey(waiting.child.id()).unwrap();
        let lines = survey.lines(Detail::Brief);
        let text = lines.join("\n");
        assert!(text.contains("Go program (go1."), "{}: {text}", form.name);
        assert!(
            text.contains("runtime.gcAssistAlloc [mark assist]"),
            "{}: {text}",
            form.name
        );
        assert!(lines.iter().all(|line| !line.contains(char::is_control)));
        let go = survey.go.as_ref().unwrap();
        let stripped = !go.has_symbol_table;
        assert_eq!(stripped, text.contains("stripped of symbols"), "{text}");
        assert_eq!(
            stripped,
            text.contains("left out: scheduler latency"),
            "{}: {text}",
            form.name
        );
        if form.after == After::Nothing && !stripped {
            let layout = go.layout.as_ref().unwrap();
            assert!(layout.goroutine_number.is_ok() && layout.collector_pauses.is_ok());
            assert!(text.contains("read from the runtime's memory"), "{text}");
        }
    }
}

#[test]
fn what_go_did_not_build_is_no_go_program() {
    assert!(
        GoProgram::of_file(Path::new("/bin/true"))
            .unwrap()
            .is_none()
    );
    assert!(GoProgram::of_process(std::process::id()).unwrap().is_none());
    let own = survey(std::process::id()).unwrap();
    assert!(own.go.is_none());
    assert!(!own.lines(Detail::Full).join("\n").contains("Go "));
}
