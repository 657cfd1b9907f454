//! The protocol of [`rseq`](super::rseq) between a local sequence and a thief, as a loom model.
//!
//! Loom cannot see assembly, so the steps are written out again, in the order of that module's
//! head, over loom's atomics. The kernel's part is a mutex: a sequence commits only if it was not
//! restarted since it began, and the fence restarts the one that is under way. Loads and stores
//! are acquire and release, which is what x86 gives plain ones.

use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};

/// The order of a sequence's two first reads.
#[derive(Clone, Copy)]
enum Reads {
    GateThenWord,
    WordThenGate,
}

/// What the kernel knows of the one sequence that can run on this CPU.
#[derive(Default)]
struct Sequence {
    running: bool,
    restart: bool,
}

struct Area {
    word: AtomicU64,
    floor: AtomicU32,
    objects: [AtomicU32; 2],
    sequence: Mutex<Sequence>,
}

const SHUT_FLOOR: u32 = u32::MAX;

impl Area {
    fn holding_two() -> Self {
        Area {
            word: AtomicU64::new(2),
            floor: AtomicU32::new(0),
            objects: [AtomicU32::new(10), AtomicU32::new(11)],
            sequence: Mutex::new(Sequence::default()),
        }
    }

    /// Local steps 1 to 4. `None` is the slow path: empty or shut.
    fn pop(&self, reads: Reads) -> Option<u32> {
        loop {
            *self.sequence.lock().unwrap() = Sequence {
                running: true,
                restart: false,
            };
            let (floor, word);
            match reads {
                Reads::GateThenWord => {
                    floor = self.floor.load(Ordering::Acquire);
                    word = self.word.load(Ordering::Acquire);
                }
                Reads::WordThenGate => {
                    word = self.word.load(Ordering::Acquire);
                    floor = self.floor.load(Ordering::Acquire);
                }
            }
            let refused = word <= u64::from(floor);
            let object = if refused {
                0
            } else {
                self.objects[word as usize - 1].load(Ordering::Acquire)
            };
            let mut sequence = self.sequence.lock().unwrap();
            if sequence.restart {
                continue;
            }
            sequence.running = false;
            if refused {
                return None;
            }
            self.word.store(word - 1, Ordering::Release);
            return Some(object);
        }
    }

    /// Remote steps 2 to 5: takes the top object.
    fn steal(&self) -> Option<u32> {
        self.floor.store(SHUT_FLOOR, Ordering::Release);
        {
            let mut sequence = self.sequence.lock().unwrap();
            sequence.restart = sequence.running;
        }
        let word = self.word.load(Ordering::Acquire);
        let taken = (word > 0).then(|| {
            let object = self.objects[word as usize - 1].load(Ordering::Acquire);
            self.word.store(word - 1, Ordering::Release);
            object
        });
        self.floor.store(0, Ordering::Release);
        taken
    }
}

fn a_thief_beside_two_pops(reads: Reads) {
    loom::model(move || {
        let area = Arc::new(Area::holding_two());
        let thief = {
            let area = Arc::clone(&area);
            loom::thread::spawn(move || area.steal())
        };
        let mut taken: Vec<u32> = [area.pop(reads), area.pop(reads)]
            .into_iter()
            .flatten()
            .collect();
        taken.extend(thief.join().unwrap());
        taken.extend(std::iter::from_fn(|| area.pop(reads)));
        taken.sort_unstable();
        assert_eq!(taken, [10, 11]);
    });
}

#[test]
fn a_thief_and_a_sequence_never_take_the_same_object() {
    a_thief_beside_two_pops(Reads::GateThenWord);
}

/// The model can fail: with the reads swapped it finds an object taken twice.
#[test]
#[should_panic(expected = "assertion")]
fn reading_the_word_before_the_gate_would_take_an_object_twice() {
    a_thief_beside_two_pops(Reads::WordThenGate);
}
