//! Walks of this process's own stacks, against two other unwinders: the one of libgcc (by the
//! `backtrace` crate) and `framehop`.

use super::super::modules::Modules;
use super::*;
use framehop::{ExplicitModuleSectionInfo, FrameAddress, Module, Unwinder as _};
use proptest::prelude::*;
use std::arch::asm;
use std::sync::OnceLock;

/// What the kernel side sends, and what libgcc says at the same place.
#[derive(Clone, Debug)]
struct Capture {
    registers: Registers,
    stack: Vec<u8>,
    by_libgcc: Vec<u64>,
}

const STACK_BYTES: usize = 16 << 10;

#[inline(never)]
fn capture() -> Capture {
    let (ip, sp, bp): (u64, u64, u64);
    // SAFETY: the registers are only read, into registers of the compiler's choice.
    unsafe {
        asm!("lea {0}, [rip]", "mov {1}, rsp", "mov {2}, rbp", out(reg) ip, out(reg) sp, out(reg) bp);
    }
    let top = mappings_of_stack(sp);
    let length = STACK_BYTES.min((top - sp) as usize);
    // SAFETY: the bytes from the stack pointer to the end of its mapping are mapped and readable;
    // they are copied as plain bytes while this thread does nothing else.
    let stack = unsafe { std::slice::from_raw_parts(sp as *const u8, length) }.to_vec();
    let mut by_libgcc = Vec::new();
    backtrace::trace(|frame| {
        by_libgcc.push(frame.ip() as u64);
        true
    });
    Capture {
        registers: Registers { ip, sp, bp },
        stack,
        by_libgcc,
    }
}

/// The end of the mapping that holds the stack.
fn mappings_of_stack(sp: u64) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ranges = maps
        .lines()
        .filter_map(|line| line.split_once(' ')?.0.split_once('-'));
    ranges
        .map(|(start, end)| {
            let number = |digits| u64::from_str_radix(digits, 16).unwrap();
            number(start)..number(end)
        })
        .find(|range| range.contains(&sp))
        .unwrap()
        .end
}

#[inline(never)]
fn deep(levels: usize) -> Capture {
    let mut ballast = [levels as u8; 40];
    let capture = if levels == 0 {
        capture()
    } else {
        deep(levels - 1)
    };
    std::hint::black_box(&mut ballast);
    capture
}

/// Through C code of another file: the comparison of `qsort`.
fn within_a_sort() -> Capture {
    static FOUND: OnceLock<Capture> = OnceLock::new();
    extern "C" fn compare(_: *const libc::c_void, _: *const libc::c_void) -> libc::c_int {
        FOUND.get_or_init(capture);
        0
    }
    let mut numbers = [3, 1, 2];
    // SAFETY: three elements of four bytes, and a comparison that does not look at them.
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), 3, 4, Some(compare)) };
    FOUND.get().unwrap().clone()
}

fn unwinder() -> Unwinder {
    Unwinder::new(std::process::id(), Arc::new(Modules::default())).unwrap()
}

fn walk(capture: &Capture) -> Walk {
    unwinder().unwind(capture.registers, capture.registers.sp, &capture.stack)
}

/// The frames above `capture`, which both have.
fn common<'a>(walk: &Walk, by_libgcc: &'a [u64]) -> &'a [u64] {
    let caller = walk.addresses[1];
    let at = by_libgcc
        .iter()
        .position(|ip| *ip == caller)
        .expect("libgcc has our caller");
    let end = by_libgcc
        .iter()
        .position(|ip| *ip == 0)
        .unwrap_or(by_libgcc.len());
    &by_libgcc[at..end]
}

#[test]
fn a_walk_has_the_frames_that_libgcc_finds() {
    for capture in [deep(0), deep(12), deep(60), within_a_sort()] {
        let walk = walk(&capture);
        assert_eq!(walk.addresses[1..], *common(&walk, &capture.by_libgcc));
        assert_eq!((walk.end, walk.assumed), (End::Root, 0));
        assert!(
            walk.locations
                .iter()
                .all(|place| matches!(place, Location::Module { .. }))
        );
    }
}

#[test]
fn a_walk_has_the_frames_that_framehop_finds() {
    for capture in [deep(0), deep(30), within_a_sort()] {
        assert_eq!(walk(&capture).addresses, by_framehop(&capture));
    }
}

fn by_framehop(capture: &Capture) -> Vec<u64> {
    let mut unwinder =
        framehop::UnwinderNative::<Vec<u8>, framehop::MayAllocateDuringUnwind>::new();
    let modules = Modules::default();
    for mapping in mappings(std::process::id()).unwrap() {
        let id = modules.open(std::process::id(), &mapping);
        let module = modules.get(id).unwrap();
        let Some(image) = &module.image else { continue };
        let Some(section) = image.layout.eh_frame.clone() else {
            continue;
        };
        let Some(header) = image.layout.eh_frame_hdr.clone() else {
            continue;
        };
        let Some(code) = image.layout.address_of(mapping.file_offset + 4096) else {
            continue;
        };
        let base = mapping.start + 4096 - code;
        let range =
            |part: &crate::stacks::elf::Part| part.address..part.address + part.bytes.len() as u64;
        unwinder.add_module(Module::new(
            mapping.name.clone(),
            mapping.start..mapping.end,
            base,
            ExplicitModuleSectionInfo {
                eh_frame_svma: Some(range(&section)),
                eh_frame: Some(image.bytes()[section.bytes].to_vec()),
                eh_frame_hdr_svma: Some(range(&header)),
                eh_frame_hdr: Some(image.bytes()[header.bytes].to_vec()),
                ..Default::default()
            },
        ));
    }
    let Registers { ip, sp, bp } = capture.registers;
    let memory = StackMemory::new(sp, &capture.stack);
    let mut read = |address| memory.word(address).map_err(|_| ());
    let mut cache = framehop::CacheNative::<framehop::MayAllocateDuringUnwind>::new();
    let registers = framehop::UnwindRegsNative::new(ip, sp, bp);
    let mut frames = unwinder.iter_frames(ip, registers, &mut cache, &mut read);
    let mut addresses = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        addresses.push(FrameAddress::address(frame));
    }
    addresses
}

#[test]
fn a_stack_that_is_cut_short_gives_the_inner_frames_and_says_so() {
    let capture = deep(20);
    let mut unwinder = unwinder();
    let sp = capture.registers.sp;
    let whole = unwinder.unwind(capture.registers, sp, &capture.stack);
    let mut lengths = Vec::new();
    for length in (0..capture.stack.len()).step_by(56) {
        let cut = unwinder.unwind(capture.registers, sp, &capture.stack[..length]);
        assert!(
            whole.addresses.starts_with(&cut.addresses),
            "{length} bytes"
        );
        assert_eq!(
            cut.end == End::Root,
            cut.addresses.len() == whole.addresses.len()
        );
        assert!(
            matches!(cut.end, End::Root | End::StackCut),
            "{length} bytes: {:?}",
            cut.end
        );
        lengths.push(cut.addresses.len());
    }
    assert!(lengths.is_sorted() && lengths[0] == 1);
}

#[test]
fn a_walk_is_no_longer_than_its_bound() {
    let capture = std::thread::Builder::new()
        .spawn(|| {
            #[inline(never)]
            fn small(levels: usize) -> Capture {
                let capture = if levels == 0 {
                    capture()
                } else {
                    small(levels - 1)
                };
                std::hint::black_box(levels);
                capture
            }
            small(40)
        })
        .unwrap()
        .join()
        .unwrap();
    // The same frame over and over: as deep a stack as anybody wishes, in little memory.
    let walk = walk(&capture);
    let frame = walk.addresses[20];
    let size = {
        let at = |nth: usize| {
            let words = capture
                .stack
                .chunks_exact(8)
                .map(|word| u64::from_le_bytes(word.try_into().unwrap()));
            words
                .enumerate()
                .filter(|(_, word)| *word == frame)
                .nth(nth)
                .unwrap()
                .0
        };
        (at(6) - at(5)) * 8
    };
    let first = capture
        .stack
        .chunks_exact(8)
        .position(|word| word == frame.to_le_bytes())
        .unwrap()
        * 8;
    let mut stack = capture.stack[..first + size].to_vec();
    let repeated = capture.stack[first..first + size].to_vec();
    (0..500).for_each(|_| stack.extend(&repeated));
    let deep = unwinder().unwind(capture.registers, capture.registers.sp, &stack);
    assert_eq!((deep.addresses.len(), deep.end), (MAX_FRAMES, End::TooDeep));
}

#[test]
fn a_call_of_a_wild_pointer_is_walked_from_its_caller() {
    let capture = deep(3);
    let caller = walk(&capture).addresses[1];
    // As after `call`: the return address lies at the stack pointer, and the code is nowhere.
    let mut stack = caller.to_le_bytes().to_vec();
    let caller_sp = {
        let words = capture.stack.chunks_exact(8);
        words
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
            .position(|word| word == caller)
            .unwrap()
            * 8
    };
    stack.extend(&capture.stack[caller_sp + 8..]);
    let base = capture.registers.sp + caller_sp as u64;
    let wild = Registers {
        ip: 0x10,
        sp: base,
        bp: capture.registers.bp,
    };
    let walk = unwinder().unwind(wild, base, &stack);
    assert_eq!(
        (walk.locations[0], walk.addresses[1], walk.assumed),
        (Location::Unmapped, caller, 1)
    );
}

#[test]
fn a_return_into_data_ends_the_walk_without_a_frame() {
    let capture = deep(5);
    let whole = walk(&capture);
    let mut stack = capture.stack.clone();
    for word in stack.chunks_exact_mut(8) {
        if u64::from_le_bytes((&*word).try_into().unwrap()) == whole.addresses[3] {
            word.copy_from_slice(&0x1234_5678u64.to_le_bytes());
        }
    }
    let walk = unwinder().unwind(capture.registers, capture.registers.sp, &stack);
    // `deep` calls itself from one place, so all copies of that return address are gone.
    assert_eq!(walk.addresses, whole.addresses[..2]);
    assert_eq!(walk.end, End::NoUnwindInformation);
}

thread_local! {
    static SHARED: (Capture, std::cell::RefCell<Unwinder>) =
        (deep(25), std::cell::RefCell::new(unwinder()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_stacks_and_registers_never_panic_or_run_on(
        damage in prop::collection::vec((0usize..STACK_BYTES / 8, prop_oneof![
            any::<u64>(), 0u64..4096, (0u64..STACK_BYTES as u64).prop_map(|offset| u64::MAX - offset),
        ]), 0..60),
        near in prop::collection::vec((0usize..STACK_BYTES / 8, 0u64..STACK_BYTES as u64), 0..60),
        length in 0usize..STACK_BYTES,
        replaced in prop::option::of((any::<u64>(), any::<u64>(), any::<u64>())),
        shift in -64i64..64,
    ) {
        SHARED.with(|(capture, unwinder)| {
            let mut stack = capture.stack.clone();
            let near = near.iter().map(|(at, offset)| (*at, capture.registers.sp + offset));
            for (at, word) in damage.into_iter().chain(near) {
                if let Some(place) = stack.get_mut(at * 8..at * 8 + 8) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
            }
            let registers = match replaced {
                Some((ip, sp, bp)) => Registers { ip, sp, bp },
                None => Registers { ip: capture.registers.ip.wrapping_add_signed(shift), ..capture.registers },
            };
            let length = length.min(stack.len());
            let base = capture.registers.sp;
            let walk = unwinder.borrow_mut().unwind(registers, base, &stack[..length]);
            prop_assert!((1..=MAX_FRAMES).contains(&walk.addresses.len()));
            prop_assert_eq!(walk.addresses.len(), walk.locations.len());
            prop_assert!(walk.assumed < walk.addresses.len());
            prop_assert!(walk.locations[1..].iter().all(|place| *place != Location::Unmapped));
            Ok(())
        })?;
    }
}
