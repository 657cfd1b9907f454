//! Go programs as their builders leave them: plain, stripped in several ways, position-independent,
//! with C inside, linked statically. What is read from the file is compared with what the program says
//! about itself, and with Go's own tools.
//!
//! Without Go on PATH these tests say so and pass; with `TAILCUT_REQUIRE_GO=1` that is a failure.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use proptest::prelude::*;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tailcut_probe::binary::go::GoProgram;
use tailcut_probe::binary::sites::{HitCosts, KernelRules, Purpose, Returns};
use tailcut_probe::binary::survey::{Detail, survey};

/// How a program is built, and what is done with it then.
struct Form {
    name: &'static str,
    flags: &'static [&'static str],
    cgo: bool,
    after: After,
}

#[derive(Clone, Copy, PartialEq)]
enum After {
    Nothing,
    /// `strip`, as packagers do.
    Stripped,
    /// Its table of sections is taken away, as by `sstrip`.
    WithoutSections,
    /// Its table of sections is said to be far behind its end.
    DamagedSections,
}

const FORMS: [Form; 10] = [
    form("plain", &[], false, After::Nothing),
    form(
        "linker-stripped",
        &["-ldflags=-s -w"],
        false,
        After::Nothing,
    ),
    form("stripped", &[], false, After::Stripped),
    form("without-sections", &[], false, After::WithoutSections),
    form("damaged-sections", &[], false, After::DamagedSections),
    form("pie", &["-buildmode=pie"], false, After::Nothing),
    form(
        "pie-stripped",
        &["-buildmode=pie", "-ldflags=-s -w"],
        false,
        After::WithoutSections,
    ),
    form("cgo", &[], true, After::Nothing),
    form(
        "cgo-static",
        &["-ldflags=-linkmode=external -extldflags=-static"],
        true,
        After::Nothing,
    ),
    form(
        "cgo-pie-stripped",
        &["-buildmode=pie", "-ldflags=-linkmode=external"],
        true,
        After::Stripped,
    ),
];

const fn form(name: &'static str, flags: &'static [&'static str], cgo: bool, after: After) -> Form {
    Form {
        name,
        flags,
        cgo,
        after,
    }
}

/// The programs, built once, in the order of [`FORMS`]; none without Go.
fn programs() -> Option<&'static [PathBuf]> {
    static BUILT: OnceLock<Option<Vec<PathBuf>>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        if Command::new("go").arg("version").output().is_err() {
            assert!(
                std::env::var_os("TAILCUT_REQUIRE_GO").is_none(),
                "there is no `go` on PATH: install Go (Debian: golang-go)"
            );
            eprintln!("SKIPPED: there is no `go` on PATH");
            return None;
        }
        Some(FORMS.iter().map(build).collect())
    });
    built.as_deref()
}

fn build(form: &Form) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-small");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(form.name);
    let built = Command::new("go")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/go_small"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("GOCACHE", folder.join("cache"))
        .env("CGO_ENABLED", if form.cgo { "1" } else { "0" })
        .args(["build", "-buildvcs=false"])
        .args(form.flags)
        .arg("-o")
        .arg(&path)
        .arg(".")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{}: {said}", form.name);
    match form.after {
        After::Nothing => {}
        After::Stripped => {
            let status = Command::new("strip").arg(&path).status().unwrap();
            assert!(status.success(), "{}", form.name);
        }
        After::DamagedSections => {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[40..48].copy_from_slice(&(1_u64 << 40).to_le_bytes()); // e_shoff
            std::fs::write(&path, bytes).unwrap();
        }
        After::WithoutSections => {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[40..48].fill(0); // e_shoff
            bytes[60..64].fill(0); // e_shnum, e_shstrndx
            std::fs::write(&path, bytes).unwrap();
        }
    }
    path
}

/// A program that waits, and what it said about itself.
struct Waiting {
    child: Child,
    /// What, at which address, called how.
    said: Vec<(String, u64, String)>,
}

impl Waiting {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "ready" {
                return Waiting { child, said };
            }
            let mut parts = line.splitn(3, '\t');
            let what = parts.next().unwrap().to_owned();
            let address = u64::from_str_radix(parts.next().unwrap(), 16).unwrap();
            said.push((what, address, parts.next().unwrap().to_owned()));
        }
        panic!("{} ended before it was ready", path.display());
    }

    fn of<'a>(&'a self, what: &'a str) -> impl Iterator<Item = (u64, &'a str)> {
        let said = self.said.iter().filter(move |(kind, ..)| kind == what);
        said.map(|(_, address, name)| (*address, name.as_str()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

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

#[test]
fn functions_are_where_the_tool_of_go_says() {
    let Some(programs) = programs() else { return };
    for (form, path) in FORMS.iter().zip(programs) {
        if form.after != After::Nothing || form.flags.contains(&"-ldflags=-s -w") {
            continue;
        }
        let listed = Command::new("go").args(["tool", "nm"]).arg(path).output();
        let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
        let program = GoProgram::of_file(path).unwrap().unwrap();
        for name in [
            "main.main",
            "main.allocate",
            "runtime.mallocgc",
            "runtime.gcAssistAlloc",
            "runtime.(*mheap).grow",
            "runtime.stopTheWorldWithSema",
        ] {
            let line = listed
                .lines()
                .find(|line| line.ends_with(&format!(" {name}")));
            let line = line.unwrap_or_else(|| panic!("{}: {name}", form.name));
            let address = line.split_whitespace().next().unwrap();
            let address = u64::from_str_radix(address, 16).unwrap();
            let found = program.function(name).unwrap();
            assert_eq!(found.address, address, "{}: {name}", form.name);
            assert!(found.end > address, "{}: {name}", form.name);
        }
    }
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
        if !stripped {
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
