//! On this process, and on libraries of other allocators where the host has them.

use super::{Allocators, Family, Kind, OpenModule, Role, find};
use crate::binary::elf::Image;
use crate::binary::elf::frames::Frames;
use crate::binary::elf::tests::libc_of_this_host;
use crate::binary::process::load_order::load_order;
use crate::binary::process::{Module, Process};
use crate::binary::sites::{Code, HitCosts, KernelRules, Purpose};
use crate::binary::symbols::Symbols;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn opened(path: &Path, is_executable: bool) -> OpenModule {
    let module = Module {
        path: path.to_owned(),
        openable: path.to_owned(),
        identity: (0, 0, 0),
        deleted: false,
        mappings: Vec::new(),
    };
    OpenModule::open(module, is_executable).unwrap()
}

fn in_library(name: &str) -> Option<(Allocators, OpenModule)> {
    let path = PathBuf::from("/usr/lib/x86_64-linux-gnu").join(name);
    path.exists().then(|| {
        let module = [opened(&path, false)];
        let found = find(&module, None).unwrap();
        let [module] = module;
        (found, module)
    })
}

#[test]
fn this_process_allocates_from_its_c_library() {
    let process = Process::open(std::process::id()).unwrap();
    let modules = process.modules().unwrap().files;
    let order = load_order(process.pid, &modules);
    let open: Vec<OpenModule> = modules
        .into_iter()
        .map(|module| {
            let is_executable = Some(&module.path) == process.executable.as_ref();
            OpenModule::open(module, is_executable).unwrap()
        })
        .collect();
    let found = find(&open, order.as_deref()).unwrap().found;
    assert_eq!(found.len(), 1, "{found:#?}");
    let glibc = &found[0];
    assert_eq!((glibc.family, &glibc.role), (Family::Glibc, &Role::Default));
    assert!(
        glibc
            .version
            .as_deref()
            .is_some_and(|version| version.starts_with("2."))
    );
    let malloc = glibc.functions.iter().find(|f| f.name == "malloc").unwrap();
    assert!(malloc.aliases.contains(&"__libc_malloc".to_owned()));
    // The function that this process calls is the one in the file.
    let here = open[glibc.module].module.address_of(malloc.file_offset);
    assert_eq!(here, Some(libc_malloc() as usize as u64));
}

fn libc_malloc() -> *const () {
    unsafe extern "C" {
        fn malloc(size: usize) -> *mut u8;
    }
    malloc as *const ()
}

#[test]
fn an_allocator_in_front_of_the_c_library_is_the_default() {
    let libc = libc_of_this_host();
    let Some((_, jemalloc)) = in_library("libjemalloc.so.2") else {
        return;
    };
    let modules = [opened(&libc, false), jemalloc];
    let found = find(&modules, Some(&[1, 0])).unwrap().found;
    let roles: Vec<(Family, &Role)> = found.iter().map(|a| (a.family, &a.role)).collect();
    let by = modules[1].module.shown_path();
    assert_eq!(
        roles,
        [
            (Family::Jemalloc, &Role::Default),
            (Family::Glibc, &Role::Shadowed { by })
        ]
    );
    // And the other way round.
    let found = find(&modules, Some(&[0, 1])).unwrap().found;
    assert_eq!(
        (found[0].family, &found[0].role),
        (Family::Glibc, &Role::Default)
    );
}

#[test]
fn libraries_of_other_allocators_are_told_apart() {
    for (name, family) in [
        ("libjemalloc.so.2", Family::Jemalloc),
        ("libmimalloc.so.2", Family::Mimalloc),
        ("libtcmalloc_minimal.so.4", Family::Tcmalloc),
    ] {
        let Some((allocators, _)) = in_library(name) else {
            continue;
        };
        let [allocator] = &allocators.found[..] else {
            panic!("{name}: {allocators:#?}");
        };
        assert_eq!(allocator.family, family, "{name}");
        assert!(allocator.version.is_some(), "{name}");
        for kind in [
            Kind::Malloc,
            Kind::Calloc,
            Kind::Realloc,
            Kind::Aligned,
            Kind::Free,
        ] {
            let some = allocator.functions.iter().any(|f| f.signature.kind == kind);
            assert!(some, "{name} has no {kind:?}");
        }
        let mut addresses: Vec<u64> = allocator.functions.iter().map(|f| f.address).collect();
        addresses.sort_unstable();
        let count = addresses.len();
        addresses.dedup();
        assert_eq!(addresses.len(), count, "{name}: a function comes twice");
    }
}

/// Everything from the bytes of a library to plans for its functions.
fn plan_all(bytes: Vec<u8>) -> Option<usize> {
    let image = Image::from_bytes(bytes).ok()?;
    let module = OpenModule {
        module: Module {
            path: PathBuf::from("/lib/libc.so.6"),
            openable: PathBuf::new(),
            identity: (0, 0, 0),
            deleted: false,
            mappings: Vec::new(),
        },
        symbols: Symbols::read(&image).ok()?,
        image,
        is_executable: true,
        without_sections: None,
    };
    let modules = [module];
    let found = find(&modules, None).ok()?.found;
    let [module] = &modules;
    let frames = Frames::read(&module.image).ok().flatten();
    let functions = found.iter().flat_map(|allocator| &allocator.functions);
    let plans = functions.filter_map(|function| {
        let code = Code::read(
            &module.image,
            &module.symbols,
            frames.as_ref(),
            &function.name,
            function.address,
            function.length,
        );
        let wanted = function.signature.wanted_arguments();
        let rules = KernelRules::of_release(6, 18);
        code.ok()?
            .plan(&wanted, Purpose::Latency, rules, &HitCosts::default())
            .ok()
    });
    Some(plans.count())
}

#[test]
#[cfg(target_arch = "x86_64")]
fn every_function_of_the_c_library_gets_a_plan() {
    let plans = plan_all(std::fs::read(libc_of_this_host()).unwrap());
    assert!(plans >= Some(5), "{plans:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Headers, tables of symbols and of functions, and code.
    #[test]
    fn no_damage_to_a_library_makes_the_search_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        spread in prop_oneof![Just(0x400_usize), Just(0x40_000), Just(usize::MAX)],
    ) {
        let mut bytes = std::fs::read(libc_of_this_host()).unwrap();
        let range = spread.min(bytes.len());
        for (place, value) in changes {
            bytes[place.index(range)] = value;
        }
        plan_all(bytes);
    }
}
