//! A Go program, known from its file: its version, functions, types, and the runtime's data.
//!
//! ELF symbols are not relied upon, since most Go programs are stripped of them (`-ldflags=-s`). What
//! the runtime needs for itself cannot be stripped, and serves instead:
//!
//! | what | from | also in stripped programs |
//! |---|---|---|
//! | version, module, settings | `build_info` | yes |
//! | functions: address, end, name | `function_table` | yes |
//! | where code and types begin | `module_data` | yes |
//! | names of types | `types` | yes |
//! | places of fields in the runtime's data | `layout`: DWARF | no; a few by a table of versions |
//! | addresses of the runtime's data | symbols | no |
//!
//! **Two functions of one name.** Go functions pass arguments in registers, Go's assembler on the
//! stack; where one side calls the other, the linker makes a small wrapper with the same name
//! (in the symbol table one of them is called `f.abi0`; the table of functions names both `f`).
//! [`GoProgram::function`] gives the one that does the work, by the mark that the linker leaves on
//! wrappers, and where none is marked the longer one.
//!
//! **Versions.** Tried from Go 1.19 to 1.27; older forms back to Go 1.16 by the runtime's sources. Of a newer
//! one, functions and plans work as long as the table of functions keeps its form; what depends on
//! the runtime's data then needs DWARF.
//!
//! **Hostile input.** The file is somebody else's: each length and place is checked, and a part that
//! does not fit is an error that names it.
//!
//! Cost: build information and the table of functions are read, some ms for 10 MB of it.

mod allocation;
mod build_info;
mod contents;
mod function_table;
mod functions;
mod layout;
mod module_data;
mod relocations;
mod survey;
mod types;
mod version;

pub use allocation::{AllocationEntry, AllocationKind};
pub use build_info::BuildInfo;
pub use function_table::TableForm;
pub use functions::GoFunction;
pub use layout::{HistogramPlace, HistogramShape, RuntimeLayout};
pub(in crate::binary) use survey::survey;
pub use survey::{GoAllocationPlan, GoFunctionPlan, SurveyedGo};
pub use version::{GoVersion, NEWEST_KNOWN, Release};

use super::allocators::OpenModule;
use super::elf::{ElfError, Image};
use super::process::{Module, Process, ProcessError};
use super::sites::{Code, HitCosts, KernelRules, Plan, Purpose, SiteError};
use super::symbols::Symbols;
use contents::Contents;
use function_table::{FunctionTable, LONGEST_TABLE};
use module_data::ModuleData;
use std::path::Path;

/// Why a Go program cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GoError {
    /// The file cannot be used.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// The process cannot be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A part of it does not follow its form.
    #[error("damaged Go program: {part}: {reason}")]
    Damaged {
        /// Which part.
        part: &'static str,
        /// What is wrong with it, for a reader.
        reason: String,
    },
    /// It is a Go program, but where its functions are is not known.
    #[error("a Go program ({version}) whose functions cannot be located: {reason}")]
    NoFunctions {
        /// The version that it says it has.
        version: String,
        /// Why, for a reader.
        reason: String,
    },
    /// Places in the runtime's data are not known.
    #[error("where the Go runtime keeps its data is not known: {0}")]
    NoLayout(String),
}

/// The symbols of the runtime that are looked up, where a program has symbols.
const SYMBOLS: [&str; 8] = [
    "runtime.pclntab",
    "runtime.firstmoduledata",
    "runtime.text",
    "runtime.buildVersion",
    "runtime.sched",
    "runtime.memstats",
    "runtime.work",
    "runtime.gomaxprocs",
];

/// More places that begin like a table of functions are not tried: each is read up to its segment's end.
const MOST_CANDIDATES: usize = 4;

/// A Go program, as its file describes it.
#[derive(Debug)]
pub struct GoProgram {
    contents: Contents,
    version: GoVersion,
    build: BuildInfo,
    table: FunctionTable,
    /// Where Go's code begins.
    text_start: u64,
    module_data: Result<ModuleData, String>,
    /// The addresses of [`SYMBOLS`].
    symbols: Vec<Option<u64>>,
    has_symbol_table: bool,
    /// The number of the kind of function that wrappers are; 0 where none are marked.
    wrapper_kind: u8,
    /// What is added to a virtual address to get the one in the process.
    bias: u64,
}

impl GoProgram {
    /// Reads `module` of a process as a Go program. None if it is none.
    ///
    /// # Errors
    ///
    /// It is one, but damaged, or of a form that we do not know.
    pub fn read(module: &OpenModule) -> Result<Option<Self>, GoError> {
        let symbols = module.symbols.addresses_of(&SYMBOLS);
        // An image of its own: names and code are asked for as long as the process is traced.
        let path = &module.module.openable;
        let image = match module.without_sections {
            None => Image::open(path)?,
            Some(_) => Image::open_by_segments(path)?,
        };
        let bias = bias_of(&module.module, &image);
        Self::of_image(image, symbols, module.symbols.has_static_table(), bias)
    }

    /// Reads the program that the process `pid` executes, or else the first library in it that Go
    /// built. None if there is none.
    ///
    /// # Errors
    ///
    /// The process cannot be looked at, or its Go program is damaged or of an unknown form.
    pub fn of_process(pid: u32) -> Result<Option<Self>, GoError> {
        let process = Process::open(pid)?;
        let modules = process.modules()?.files;
        for module in modules {
            let Ok(module) = OpenModule::open(module, false) else {
                continue;
            };
            if let Some(program) = Self::read(&module)? {
                return Ok(Some(program));
            }
        }
        Ok(None)
    }

    /// Reads a file that no process executes: addresses in the process are those of the file. None
    /// if it is no Go program.
    ///
    /// # Errors
    ///
    /// The file cannot be used, or it is a Go program, but damaged or of an unknown form.
    pub fn of_file(path: &Path) -> Result<Option<Self>, GoError> {
        let image = Image::open(path).or_else(|_| Image::open_by_segments(path))?;
        let symbols = Symbols::read(&image)?;
        let addresses = symbols.addresses_of(&SYMBOLS);
        Self::of_image(image, addresses, symbols.has_static_table(), 0)
    }

    fn of_image(
        image: Image,
        symbols: Vec<Option<u64>>,
        has_symbol_table: bool,
        bias: u64,
    ) -> Result<Option<Self>, GoError> {
        let contents = Contents::new(image);
        let [pclntab, firstmoduledata, text, build_version, ..] = symbols[..] else {
            return Ok(None);
        };
        let said = build_info::read(&contents)?;
        let Some(table) = find_table(&contents, pclntab, said.is_some())? else {
            return match said {
                Some((version, _)) => Err(GoError::NoFunctions {
                    version: version.text,
                    reason: "no table of functions in a known form".to_owned(),
                }),
                None => Ok(None),
            };
        };
        let (version, build) = said.unwrap_or_else(|| {
            let text = build_version.and_then(|at| contents.string(at, 256));
            let version = text.filter(|text| !text.is_empty());
            (
                version.map_or_else(GoVersion::unknown, |text| GoVersion::parse(&text)),
                BuildInfo::default(),
            )
        });
        let module_data = module_data::find(&contents, &table, firstmoduledata, &version);
        let text_start = match (&module_data, table.text_start, text) {
            (Ok(module), _, _) => module.text,
            (Err(_), Some(start), _) | (Err(_), None, Some(start)) => start,
            (Err(_), None, None) if !table.is_relative() => 0,
            (Err(reason), None, None) => {
                return Err(GoError::NoFunctions {
                    version: version.text,
                    reason: format!("where its code begins is not known, since {reason}"),
                });
            }
        };
        let kinds = table.entries().map(|entry| entry.kind);
        Ok(Some(GoProgram {
            wrapper_kind: kinds.max().unwrap_or(0),
            contents,
            version,
            build,
            table,
            text_start,
            module_data,
            symbols,
            has_symbol_table,
            bias,
        }))
    }

    /// The version of Go that it was built with.
    #[must_use]
    pub fn version(&self) -> &GoVersion {
        &self.version
    }

    /// What it says about its build.
    #[must_use]
    pub fn build(&self) -> &BuildInfo {
        &self.build
    }

    /// The form of its table of functions.
    #[must_use]
    pub fn table_form(&self) -> TableForm {
        self.table.form
    }

    /// How many functions it has, of all packages.
    #[must_use]
    pub fn function_count(&self) -> usize {
        self.table.len()
    }

    /// Whether the kernel places it at any address, so that addresses in the process differ from those
    /// in the file.
    #[must_use]
    pub fn is_position_independent(&self) -> bool {
        self.contents.image.is_position_independent()
    }

    /// Whether it has a symbol table besides its table of functions.
    #[must_use]
    pub fn has_symbol_table(&self) -> bool {
        self.has_symbol_table
    }

    /// Whether functions of Go pass arguments in registers, and r14 holds the running `g`: from
    /// Go 1.17 on x86-64.
    #[must_use]
    pub fn passes_registers(&self) -> bool {
        match self.table.form {
            TableForm::Go12 => false,
            TableForm::Go116 => self.version.at_least(1, 17),
            TableForm::Go118 | TableForm::Go120 => true,
        }
    }

    /// The address in the process of what has this virtual address in the file.
    #[must_use]
    pub fn address_in_process(&self, virtual_address: u64) -> u64 {
        virtual_address.wrapping_add(self.bias)
    }

    /// The virtual address in the file of what is at this address in the process.
    #[must_use]
    pub fn virtual_address(&self, address_in_process: u64) -> u64 {
        address_in_process.wrapping_sub(self.bias)
    }

    /// The name of the type whose description is at `address` in the process, such as
    /// `main.OrderRequest`. None if no type of the file is described there.
    #[must_use]
    pub fn type_name(&self, address: u64) -> Option<String> {
        let module = self.module_data.as_ref().ok()?;
        types::name(
            &self.contents,
            module,
            self.table.form,
            &self.version,
            self.virtual_address(address),
        )
    }

    /// The cheapest way to probe `function` so that its integer arguments `wanted` (from 0, in
    /// Go's order of registers) are seen; its end by probes at its ways out, never by a return probe.
    ///
    /// # Errors
    ///
    /// Its code cannot be decoded, its arguments are not in registers, or no instruction fits.
    pub fn plan(
        &self,
        function: &GoFunction,
        wanted: &[u8],
        purpose: Purpose,
        rules: KernelRules,
        costs: &HitCosts,
    ) -> Result<Plan, SiteError> {
        let code = Code::read_go(
            &self.contents.image,
            &function.name,
            function.address,
            function.end,
            function.convention,
        )?;
        code.plan(wanted, purpose, rules, costs)
    }

    fn symbol(&self, name: &str) -> Option<u64> {
        let place = SYMBOLS.iter().position(|symbol| *symbol == name)?;
        self.symbols.get(place).copied().flatten()
    }
}

/// The table of functions: in its section, at its symbol, or searched for. None if there is none.
fn find_table(
    contents: &Contents,
    symbol: Option<u64>,
    is_go: bool,
) -> Result<Option<FunctionTable>, GoError> {
    let sections = [".gopclntab", ".data.rel.ro.gopclntab"];
    let named = sections
        .iter()
        .find_map(|name| contents.image.section(name))
        .map(|section| (section.address, section.length));
    let mut failure = None;
    let known = named
        .into_iter()
        .chain(symbol.map(|at| (at, LONGEST_TABLE)));
    for (address, length) in known {
        let Some(bytes) = contents.up_to(address, length.min(LONGEST_TABLE)) else {
            continue;
        };
        match FunctionTable::parse(bytes, address) {
            Ok(table) => return Ok(Some(table)),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    // Without sections and symbols only a program that says it is Go is searched: it takes a while.
    if is_go {
        for form in TableForm::ALL {
            let begin = FunctionTable::begin(form, &contents.image);
            for address in contents.places_of(&begin, 8, MOST_CANDIDATES) {
                let bytes = contents.up_to(address, LONGEST_TABLE);
                let table = bytes.and_then(|bytes| FunctionTable::parse(bytes, address).ok());
                if table.is_some() {
                    return Ok(table);
                }
            }
        }
    }
    failure.map_or(Ok(None), Err)
}

/// What is added to the virtual addresses of `image` in the process that has it mapped as `module`.
fn bias_of(module: &Module, image: &Image) -> u64 {
    if !image.is_position_independent() {
        return 0;
    }
    let biases = module.mappings.iter().find_map(|mapping| {
        let segment = image
            .segments()
            .iter()
            .find(|segment| segment.executable && mapping.executable)?;
        // A mapping begins at a page, a segment may begin within it.
        let into_file = mapping.file_offset.wrapping_sub(segment.file_offset);
        let virtual_address = segment.address.wrapping_add(into_file);
        Some(mapping.start.wrapping_sub(virtual_address))
    });
    biases.unwrap_or(0)
}
