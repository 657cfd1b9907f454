//! Names that need no other program; those of C programs are in `tests/stacks_of_c_programs.rs`.

use super::super::unwind::Unwinder;
use super::*;

fn own() -> (Unwinder, Symbolizer) {
    let modules = Arc::new(Modules::default());
    let unwinder = Unwinder::new(std::process::id(), Arc::clone(&modules)).unwrap();
    (unwinder, Symbolizer::new(modules))
}

#[test]
fn a_rust_function_bears_its_path() {
    let (mut unwinder, mut symbolizer) = own();
    let place = unwinder.locate(own as *const () as u64);
    let frames = symbolizer.frames(place);
    let outermost = frames.last().unwrap();
    assert_eq!(
        &*outermost.name,
        "tailcut_probe::stacks::symbols::tests::own"
    );
    assert!(!outermost.inlined && outermost.module.starts_with('/'));
}

#[test]
fn functions_of_shared_libraries_and_the_vdso_are_named() {
    let (mut unwinder, mut symbolizer) = own();
    let exported = unwinder.locate(libc::qsort as *const () as u64);
    let name = symbolizer.frames(exported)[0].name.to_string();
    assert_eq!(name, "qsort");
    let maps = crate::stacks::mappings(std::process::id()).unwrap();
    let vdso = maps.iter().find(|mapping| mapping.is_vdso()).unwrap();
    let mut names = HashSet::new();
    for address in (vdso.start..vdso.end).step_by(16) {
        let place = unwinder.locate(address);
        names.extend(
            symbolizer
                .frames(place)
                .iter()
                .map(|frame| frame.name.to_string()),
        );
    }
    assert!(
        names.contains("__vdso_clock_gettime") || names.contains("clock_gettime"),
        "{names:?}"
    );
}

#[test]
fn places_without_a_name_say_what_they_are() {
    let (_, mut symbolizer) = own();
    let name = |symbolizer: &mut Symbolizer, place| symbolizer.frames(place)[0].name.to_string();
    assert_eq!(name(&mut symbolizer, Location::Unmapped), "[unmapped]");
    let made = Location::Anonymous {
        pid: std::process::id(),
        address: 0x1000,
    };
    assert_eq!(name(&mut symbolizer, made), "[anon]");
    assert_eq!(
        name(&mut symbolizer, Location::Kernel { address: 1 }),
        "[kernel]"
    );
}

#[test]
fn a_place_outside_the_code_of_its_file_bears_the_name_of_the_file() {
    let (mut unwinder, mut symbolizer) = own();
    let Location::Module { module, .. } = unwinder.locate(own as *const () as u64) else {
        panic!("this code lies in a file");
    };
    let outside = Location::Module {
        module,
        file_offset: u64::MAX,
    };
    let frames = symbolizer.frames(outside);
    let file = frames[0].module.rsplit('/').next().unwrap();
    assert_eq!(*frames[0].name, format!("[{file}]"));
}

#[test]
fn places_that_were_resolved_together_keep_their_names_however_many_they_are() {
    let (_, mut symbolizer) = own();
    let places: Vec<_> = (0..2 * MAX_CACHED as u64)
        .map(|address| Location::Anonymous { pid: 1, address })
        .collect();
    symbolizer.resolve(&places);
    symbolizer.resolve(&[]);
    assert_eq!(symbolizer.cache.len(), places.len());
    assert!(
        places
            .iter()
            .all(|place| symbolizer.frames(*place).len() == 1)
    );
    symbolizer.frames(Location::Unmapped);
    assert_eq!(symbolizer.cache.len(), 1, "then they make room");
}
