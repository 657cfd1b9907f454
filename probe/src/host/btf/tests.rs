//! Types made by hand, mutated ones, and those of the running kernel.

use super::*;
use proptest::prelude::*;

/// Puts BTF together, type by type.
struct Builder {
    types: Vec<u32>,
    strings: Vec<u8>,
    count: u32,
}

const INTEGER: u32 = 1;
const POINTER: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const TYPEDEF: u32 = 8;
const CONST: u32 = 10;
const FUNCTION: u32 = 12;
const PROTOTYPE: u32 = 13;
const FLAG: u32 = 1 << 31;

impl Builder {
    fn new() -> Self {
        Self {
            types: Vec::new(),
            strings: vec![0],
            count: 0,
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    /// Adds a type; `parts` are the words after the first three. Returns its number.
    fn add(&mut self, kind: u32, name: &str, count: u32, size_or_type: u32, parts: &[u32]) -> u32 {
        let name = self.string(name);
        let info = (kind & !FLAG) << 24 | kind & FLAG | count;
        self.types.extend([name, info, size_or_type]);
        self.types.extend(parts);
        self.count += 1;
        self.count
    }

    fn structure(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        self.composite(STRUCT, name, size, members)
    }

    fn composite(&mut self, kind: u32, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let parts: Vec<u32> = members
            .iter()
            .flat_map(|&(name, of_type, offset)| [self.string(name), of_type, offset])
            .collect();
        self.add(kind, name, members.len() as u32, size, &parts)
    }

    fn prototype(&mut self, parameters: &[(&str, u32)]) -> u32 {
        let parts: Vec<u32> = parameters
            .iter()
            .flat_map(|&(name, of_type)| [self.string(name), of_type])
            .collect();
        self.add(PROTOTYPE, "", parameters.len() as u32, 0, &parts)
    }

    fn bytes(&self) -> Vec<u8> {
        let types = self.types.len() as u32 * 4;
        let mut bytes = Vec::new();
        bytes.extend(0xeb9f_u16.to_ne_bytes());
        bytes.extend([1, 0]); // version, flags
        for word in [24, 0, types, types, self.strings.len() as u32] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in &self.types {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(&self.strings);
        bytes
    }

    fn read(&self) -> Btf {
        Btf::parse(self.bytes()).unwrap()
    }
}

/// A small kernel: a task, a map of memory with anonymous parts, a tracepoint, a function.
fn small_kernel() -> Builder {
    let mut builder = Builder::new();
    let int = builder.add(INTEGER, "int", 0, 4, &[0x0100_0020]);
    let pid = builder.add(TYPEDEF, "pid_t", 0, int, &[]);
    let character = builder.add(INTEGER, "char", 0, 1, &[8]);
    let name = builder.add(ARRAY, "", 0, 0, &[character, int, 16]);
    let lock = builder.structure("semaphore", 8, &[("count", int, 0), ("owner", pid, 32)]);
    let either = builder.composite(UNION, "", 8, &[("mmap_lock", lock, 0), ("other", int, 0)]);
    let inner = builder.structure("", 16, &[("users", int, 0), ("", either, 64)]);
    let memory = builder.structure("mm_struct", 24, &[("", inner, 64)]);
    let to_memory = builder.add(POINTER, "", 0, memory, &[]);
    let task = builder.structure(
        "task_struct",
        40,
        &[
            ("tgid", pid, 32),
            ("mm", to_memory, 64),
            ("comm", name, 128),
        ],
    );
    builder.composite(
        STRUCT | FLAG,
        "bits",
        8,
        &[("one", int, 1 << 24), ("whole", int, 32)],
    );
    let constant = builder.add(CONST, "", 0, task, &[]);
    let to_task = builder.add(POINTER, "", 0, constant, &[]);
    let to_void = builder.add(POINTER, "", 0, 0, &[]);
    let bare = builder.prototype(&[("", to_void), ("", to_task), ("", pid)]);
    let to_bare = builder.add(POINTER, "", 0, bare, &[]);
    builder.add(TYPEDEF, "btf_trace_waking", 0, to_bare, &[]);
    let named = builder.prototype(&[("__data", to_void), ("task", to_task), ("by", pid)]);
    builder.add(FUNCTION, "__traceiter_waking", 0, named, &[]);
    builder
}

#[test]
fn a_field_is_found_with_its_offset_and_size() {
    let btf = small_kernel().read();
    let field = |offset, size| Some(Field { offset, size });
    assert_eq!(btf.field("task_struct", "tgid"), field(4, 4));
    assert_eq!(btf.field("task_struct", "mm"), field(8, 8));
    assert_eq!(btf.field("task_struct", "comm"), field(16, 16));
    assert_eq!(btf.struct_size("task_struct"), Some(40));
}

#[test]
fn a_field_inside_anonymous_parts_counts_from_the_outermost_structure() {
    let btf = small_kernel().read();
    assert_eq!(btf.field_offset("mm_struct", "users"), Some(8));
    assert_eq!(btf.field_offset("mm_struct", "mmap_lock"), Some(16));
    assert_eq!(btf.field_offset("mm_struct", "other"), Some(16));
}

#[test]
fn a_path_with_dots_goes_into_named_parts() {
    let btf = small_kernel().read();
    assert_eq!(btf.field_offset("mm_struct", "mmap_lock.owner"), Some(20));
    assert_eq!(btf.field_offset("mm_struct", "mmap_lock.nothing"), None);
    assert_eq!(btf.field_offset("task_struct", "tgid.deeper"), None);
}

#[test]
fn what_is_not_there_is_not_found() {
    let btf = small_kernel().read();
    assert_eq!(btf.field("task_struct", "tg"), None);
    assert_eq!(btf.field("task_struct", ""), None);
    assert_eq!(btf.field("task", "tgid"), None);
    assert_eq!(btf.field("", "tgid"), None);
    assert_eq!(btf.struct_size("pid_t"), None);
    assert_eq!(btf.raw_tracepoint_arguments("sleeping"), None);
    assert!(!btf.has_function("task_struct"));
}

#[test]
fn a_bit_field_has_no_offset_in_bytes_but_its_neighbours_have() {
    let btf = small_kernel().read();
    assert_eq!(btf.field_offset("bits", "one"), None);
    assert_eq!(btf.field_offset("bits", "whole"), Some(4));
}

#[test]
fn structures_of_one_name_that_disagree_give_no_offset() {
    let mut builder = small_kernel();
    let int = 1;
    builder.structure("task_struct", 40, &[("tgid", int, 64), ("new", int, 0)]);
    let btf = builder.read();
    assert_eq!(btf.field("task_struct", "tgid"), None);
    assert_eq!(btf.field_offset("task_struct", "new"), Some(0));
    assert_eq!(btf.struct_size("task_struct"), Some(40));
}

#[test]
fn a_tracepoint_has_arguments_with_names_and_types() {
    let btf = small_kernel().read();
    let arguments = btf.raw_tracepoint_arguments("waking").unwrap();
    let shown: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["const struct task_struct *task", "pid_t by"]);
    assert!(btf.has_function("__traceiter_waking"));
}

#[test]
fn types_beyond_the_first_stride_are_found_by_number() {
    let mut builder = small_kernel();
    for number in 0..500 {
        builder.add(INTEGER, &format!("filler_{number}"), 0, 4, &[0]);
    }
    let wide = builder.add(INTEGER, "wide", 0, 8, &[0]);
    builder.structure("late", 16, &[("first", 1, 0), ("last", wide, 64)]);
    let late = builder.read().field("late", "last");
    assert_eq!(late, Some(Field { offset: 8, size: 8 }));
}

#[test]
fn a_structure_that_contains_itself_ends_in_none() {
    let mut builder = Builder::new();
    // Each member is an anonymous part, which is the structure itself.
    let members: Vec<(&str, u32, u32)> = (0..64).map(|_| ("", 1, 0)).collect();
    builder.structure("", 8, &members);
    let fan: Vec<(&str, u32, u32)> = (0..64).map(|_| ("", 1, 0)).collect();
    builder.structure("fan", 8, &fan);
    builder.add(TYPEDEF, "circle", 0, 3, &[]);
    builder.structure("circular", 8, &[("", 3, 0), ("field", 3, 0)]);
    let btf = builder.read();
    assert_eq!(btf.field("fan", "nothing"), None);
    assert_eq!(btf.field("circular", "field"), None);
}

#[test]
fn what_is_not_btf_is_refused_with_the_reason() {
    let reason = |bytes: &[u8]| Btf::parse(bytes).unwrap_err().to_string();
    assert!(reason(&[]).contains("cut off"));
    assert!(reason(b"\x7fELF\x02\x01\x01\0").contains("not BTF"));
    let mut bytes = small_kernel().bytes();
    let end = bytes.len() - 1;
    assert!(reason(&bytes[..end]).contains("strings"));
    bytes[24 + 7] = 0x1f; // the kind of the first type
    assert!(reason(&bytes).contains("unknown kind 31"));
}

proptest! {
    #[test]
    fn mutated_types_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = small_kernel().bytes();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        if let Ok(btf) = Btf::parse(bytes) {
            btf.field("task_struct", "comm");
            btf.field("mm_struct", "mmap_lock.owner");
            btf.field("bits", "whole");
            btf.struct_size("mm_struct");
            btf.raw_tracepoint_arguments("waking");
            btf.has_function("__traceiter_waking");
        }
    }
}

#[test]
fn the_running_kernels_types_make_sense() {
    let btf = match Btf::of_kernel() {
        Ok(btf) => btf,
        Err(reason) => return crate::host::testing::skip(&reason.to_string()),
    };
    let task = |field| btf.field("task_struct", field).unwrap();
    assert_eq!(task("tgid").offset, task("pid").offset + 4);
    assert_eq!((task("pid").size, task("comm").size), (4, 16));
    assert_eq!((task("mm").size, task("stack").size), (8, 8));
    let size = btf.struct_size("task_struct").unwrap();
    assert!(task("comm").offset + 16 <= size);
    assert!(btf.field_offset("mm_struct", "mmap_lock").unwrap() > 0);
    let switch = btf.raw_tracepoint_arguments("sched_switch").unwrap();
    let tasks: Vec<&str> = switch
        .iter()
        .filter(|argument| argument.of_type == "struct task_struct *")
        .map(|argument| argument.name.as_str())
        .collect();
    assert_eq!(tasks, ["prev", "next"]);
    assert!(btf.has_function("handle_mm_fault"));
    assert!(!btf.has_function("no_such_function_in_any_kernel"));
}
