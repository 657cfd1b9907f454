//! Finding the allocators of a process.

use super::catalogue::{self, Family, Kind, Known};
use super::{
    Allocator, Allocators, Function, OpenModule, Role, Unrecognised, forwarders, versions,
};
use crate::binary::elf::{CLibrary, ElfError};
use crate::binary::printable;
use crate::binary::symbols::Symbol;
use memchr::memmem;
use std::collections::BTreeMap;

/// The allocators in these modules of one process. `load_order` is the order in which the dynamic
/// linker looks through them (see [`load_order`](crate::binary::process::load_order)), as indices;
/// without one the executable is taken to come first and the C library last.
///
/// # Errors
///
/// A module's file is damaged.
pub fn find(modules: &[OpenModule], load_order: Option<&[usize]>) -> Result<Allocators, ElfError> {
    let mut found = Vec::new();
    let mut unrecognised = Vec::new();
    for (index, module) in modules.iter().enumerate() {
        let here = in_module(index, module)?;
        if here.is_empty() {
            unrecognised.extend(signs(module)?);
        }
        found.extend(here);
    }
    // Rust's own entry points are a second view of what is found already.
    let calls = |candidate: &Candidate| {
        let calls = |f: &Function| !matches!(f.signature.kind, Kind::SlowPath(_));
        candidate.allocator.functions.iter().any(calls)
    };
    if found
        .iter()
        .any(|c| c.allocator.family != Family::RustGlobal && calls(c))
    {
        found.retain(|candidate| candidate.allocator.family != Family::RustGlobal);
    }
    assign_roles(&mut found, modules, load_order);
    let mut allocators = Allocators {
        found: found
            .into_iter()
            .map(|candidate| candidate.allocator)
            .collect(),
        unrecognised,
    };
    // Stable: within one role, the order of modules.
    allocators
        .found
        .sort_by_key(|allocator| match allocator.role {
            Role::Default => 0,
            Role::WithinExecutable => 1,
            Role::ByOwnNames => 2,
            Role::Shadowed { .. } => 3,
        });
    Ok(allocators)
}

/// An allocator, before it is known who else is there.
struct Candidate {
    allocator: Allocator,
    /// Whether it has a function called `malloc`, and whether other modules can call that.
    defines_malloc: bool,
    exports_malloc: bool,
}

type Named = (Symbol, Known);

/// The allocators of one module.
fn in_module(index: usize, module: &OpenModule) -> Result<Vec<Candidate>, ElfError> {
    if is_dynamic_linker_of_glibc(&module.module.file_name()) {
        return Ok(Vec::new()); // what it defines is for itself, until libc is there
    }
    let symbols = module
        .symbols
        .functions(|name| catalogue::look_up(name).is_some());
    let mut groups: BTreeMap<(Family, &'static str), Vec<Named>> = BTreeMap::new();
    let mut shared: Vec<Named> = Vec::new();
    for symbol in symbols {
        let Some(known) = catalogue::look_up(symbol.name.as_bytes()) else {
            continue;
        };
        match known.family {
            Some(family) => groups
                .entry((family, known.prefix))
                .or_default()
                .push((symbol, known)),
            None => shared.push((symbol, known)),
        }
    }
    let has_malloc = shared.iter().any(|(symbol, _)| symbol.name == "malloc");
    let c_library = if has_malloc || groups.contains_key(&(Family::Glibc, "")) {
        module.image.c_library()?
    } else {
        None
    };
    if let Some(CLibrary::Musl { .. }) = c_library
        && let Some(names) = groups.remove(&(Family::Glibc, ""))
    {
        groups.entry((Family::Musl, "")).or_default().extend(names);
    }
    join_private_names_of_jemalloc(&mut groups);
    if has_malloc {
        let owner = owner_of_shared_names(&groups, &shared, c_library.as_ref());
        groups.entry(owner).or_default().append(&mut shared);
    }
    groups
        .into_iter()
        .filter(|(_, names)| names.iter().any(|(_, known)| is_call(known)))
        .map(|((family, prefix), names)| candidate(index, module, family, prefix, names))
        .collect()
}

fn is_call(known: &Known) -> bool {
    known
        .signature
        .is_some_and(|signature| !matches!(signature.kind, Kind::SlowPath(_)))
}

fn is_dynamic_linker_of_glibc(file_name: &str) -> bool {
    // `ld-2.31.so` before glibc 2.34; musl's `ld-musl-*` is its C library and stays.
    ["ld-linux", "ld64.so", "ld-2."]
        .iter()
        .any(|start| file_name.starts_with(start))
}

/// jemalloc's private functions may carry no prefix (if static) or `je_`, whatever its public ones
/// carry: they belong to the one that the module has.
fn join_private_names_of_jemalloc(groups: &mut BTreeMap<(Family, &'static str), Vec<Named>>) {
    let with_calls = |groups: &BTreeMap<(Family, &'static str), Vec<Named>>| -> Vec<&'static str> {
        let jemallocs = groups
            .iter()
            .filter(|((family, _), _)| *family == Family::Jemalloc);
        jemallocs
            .filter(|(_, names)| names.iter().any(|(_, known)| is_call(known)))
            .map(|((_, prefix), _)| *prefix)
            .collect()
    };
    let [only] = with_calls(groups)[..] else {
        return;
    };
    for prefix in catalogue::JEMALLOC_PREFIXES {
        if prefix != only
            && let Some(names) = groups.remove(&(Family::Jemalloc, prefix))
        {
            groups
                .entry((Family::Jemalloc, only))
                .or_default()
                .extend(names);
        }
    }
}

/// Whose `malloc` is the module's `malloc`.
fn owner_of_shared_names(
    groups: &BTreeMap<(Family, &'static str), Vec<Named>>,
    shared: &[Named],
    c_library: Option<&CLibrary>,
) -> (Family, &'static str) {
    let malloc = shared.iter().find(|(symbol, _)| symbol.name == "malloc");
    let address = malloc.map(|(symbol, _)| symbol.address);
    // Two names of one address settle it.
    for (group, names) in groups {
        if names
            .iter()
            .any(|(symbol, known)| Some(symbol.address) == address && is_call(known))
        {
            return *group;
        }
    }
    if groups.contains_key(&(Family::Jemalloc, "")) {
        return (Family::Jemalloc, "");
    }
    match c_library {
        Some(CLibrary::Glibc { .. }) => return (Family::Glibc, ""),
        Some(CLibrary::Musl { .. }) => return (Family::Musl, ""),
        None => {}
    }
    // Static programs do not contain the C library's own description, only its functions.
    for family in [
        Family::Mimalloc,
        Family::Tcmalloc,
        Family::Glibc,
        Family::Musl,
    ] {
        if groups.contains_key(&(family, "")) {
            return (family, "");
        }
    }
    (Family::Other, "")
}

fn candidate(
    index: usize,
    module: &OpenModule,
    family: Family,
    prefix: &'static str,
    names: Vec<Named>,
) -> Result<Candidate, ElfError> {
    let path = module.module.shown_path();
    let malloc = names.iter().find(|(symbol, _)| symbol.name == "malloc");
    let defines_malloc = malloc.is_some();
    let exports_malloc = malloc.is_some_and(|(symbol, _)| symbol.exported);
    let mi_version = names
        .iter()
        .find(|(symbol, _)| symbol.name == "mi_version")
        .map(|(symbol, _)| symbol.address);
    let mut missing = Vec::new();
    for (symbol, _) in names.iter().filter(|(symbol, _)| symbol.indirect) {
        missing.push(format!(
            "{}: chosen at start among several (IFUNC), so its address is not in the file",
            printable(symbol.name.as_bytes())
        ));
    }
    let mut evidence: Vec<String> = Vec::new();
    let shown_first = names
        .iter()
        .filter(|(symbol, known)| {
            known.family.is_some() && is_call(known) && symbol.name.starts_with(prefix)
        })
        .min_by_key(|(_, known)| known.rank)
        .or(malloc);
    if let Some((symbol, _)) = shown_first {
        evidence.push(format!(
            "symbol {} in {path}",
            printable(symbol.name.as_bytes())
        ));
    }
    let version = versions::version(&module.image, family, mi_version)?;
    let functions = functions(module, names)?;
    if !functions
        .iter()
        .any(|f| matches!(f.signature.kind, Kind::Free | Kind::SizedFree))
    {
        missing.push("no function that frees has a symbol".to_owned());
    }
    if !functions
        .iter()
        .any(|f| matches!(f.signature.kind, Kind::SlowPath(_)))
    {
        missing.push(if module.symbols.has_static_table() {
            "slow paths: no function of a name that we know (inlined, or another version)"
                .to_owned()
        } else {
            format!("slow paths: {path} is stripped of internal symbols")
        });
    }
    Ok(Candidate {
        allocator: Allocator {
            family,
            version,
            module: index,
            path,
            role: Role::ByOwnNames,
            evidence,
            functions,
            missing,
        },
        defines_malloc,
        exports_malloc,
    })
}

/// One function for each address, under its best name.
fn functions(module: &OpenModule, mut names: Vec<Named>) -> Result<Vec<Function>, ElfError> {
    names.retain(|(symbol, known)| {
        known.signature.is_some() && !symbol.indirect && module.image.is_executable(symbol.address)
    });
    names.sort_by(|(a, known_a), (b, known_b)| {
        (a.address, known_a.rank, a.name.len(), &a.name).cmp(&(
            b.address,
            known_b.rank,
            b.name.len(),
            &b.name,
        ))
    });
    let mut functions: Vec<Function> = Vec::new();
    for (symbol, known) in names {
        let name = printable(symbol.name.as_bytes());
        if let Some(last) = functions
            .last_mut()
            .filter(|last| last.address == symbol.address)
        {
            last.aliases.push(name);
            continue;
        }
        let (Some(signature), Some(file_offset)) =
            (known.signature, module.image.file_offset(symbol.address))
        else {
            continue;
        };
        functions.push(Function {
            name,
            aliases: Vec::new(),
            signature,
            address: symbol.address,
            file_offset,
            length: (symbol.size > 0).then_some(symbol.size),
        });
    }
    forwarders::join(module, &mut functions)?;
    functions.sort_by(|a, b| (a.signature.kind, &a.name).cmp(&(b.signature.kind, &b.name)));
    Ok(functions)
}

/// Decides what a plain `malloc` has to do with each.
fn assign_roles(found: &mut [Candidate], modules: &[OpenModule], load_order: Option<&[usize]>) {
    let assumed: Vec<usize>;
    let order = match load_order {
        Some(order) => order,
        None => {
            let mut indices: Vec<usize> = (0..modules.len()).collect();
            let is_c_library = |index: usize| {
                let of_c = |c: &Candidate| {
                    c.allocator.module == index
                        && matches!(c.allocator.family, Family::Glibc | Family::Musl)
                };
                found.iter().any(of_c)
            };
            indices.sort_by_key(|index| (!modules[*index].is_executable, is_c_library(*index)));
            assumed = indices;
            &assumed
        }
    };
    let place = |c: &Candidate| order.iter().position(|index| *index == c.allocator.module);
    let is_static =
        load_order.is_none() && modules.iter().filter(|m| !m.symbols.is_empty()).count() == 1;
    let default = found
        .iter()
        .enumerate()
        .filter(|(_, c)| c.exports_malloc || (is_static && c.defines_malloc))
        .min_by_key(|(_, c)| place(c).unwrap_or(usize::MAX))
        .map(|(index, c)| (index, c.allocator.path.clone()));
    for (index, candidate) in found.iter_mut().enumerate() {
        if !candidate.defines_malloc {
            continue;
        }
        let within_executable =
            modules[candidate.allocator.module].is_executable && !candidate.exports_malloc;
        candidate.allocator.role = match &default {
            Some((default, _)) if *default == index => Role::Default,
            _ if within_executable => Role::WithinExecutable,
            Some((_, path)) => Role::Shadowed { by: path.clone() },
            None => Role::ByOwnNames,
        };
        if candidate.allocator.role == Role::Default && load_order.is_none() && !is_static {
            candidate.allocator.evidence.push(
                "the dynamic linker's order could not be read: the C library is taken to come last"
                    .to_owned(),
            );
        }
    }
}

/// Texts that an allocator prints when something is wrong, and so are in every build of it.
const SIGNS: [(&[u8], Family); 4] = [
    (b"<jemalloc>: ", Family::Jemalloc),
    (b"mimalloc: ", Family::Mimalloc),
    (b"tcmalloc: large alloc", Family::Tcmalloc),
    (b"malloc(): corrupted top size", Family::Glibc),
];

/// What an executable without internal symbols shows of an allocator linked into it.
fn signs(module: &OpenModule) -> Result<Vec<Unrecognised>, ElfError> {
    if !module.is_executable || module.symbols.has_static_table() {
        return Ok(Vec::new());
    }
    let constants = module.image.constants()?;
    let path = module.module.shown_path();
    Ok(SIGNS
        .iter()
        .filter(|(text, _)| memmem::find(&constants, text).is_some())
        .map(|(text, family)| Unrecognised {
            explanation: format!(
                "{path} contains the text `{}`, so {family} is linked into it; but it is stripped, \
                 and its functions cannot be located. Looked for malloc, free, mallocx, _rjem_malloc, \
                 je_malloc, mi_malloc, tc_malloc and __rust_alloc. Trace a build that keeps its \
                 symbols (Rust: `strip = \"debuginfo\"` at most; others: no `-s`).",
                printable(text)
            ),
            path: path.clone(),
            family: Some(*family),
        })
        .collect())
}
