// A slot's proof cannot be had but by filling that very slot.
use std::cell::RefCell;
use tailcut_pool::{Filled, Pool, Slot};

pub fn one_proof_for_another_slot() {
    let kept: RefCell<Option<Slot<'_, u64>>> = RefCell::new(None);
    drop(Pool::builder_in_place(move |slot: Slot<'_, u64>| {
        match kept.replace(Some(slot)) { //~ E0521
            Some(other) => other.write(1),
            None => panic!("the first one"),
        }
    }));
}

pub fn one_proof_twice(slot: Slot<'_, u64>) -> [Filled<'_, u64>; 2] {
    let filled = slot.write(1);
    [filled, filled] //~ E0382
}

pub fn a_slot_after_its_proof(mut slot: Slot<'_, u64>) -> *mut u64 {
    let _proof = slot.write(1);
    slot.as_mut_ptr() //~ E0382
}

pub fn a_proof_of_a_shorter_time<'long: 'short, 'short>(
    filled: Filled<'long, u64>,
) -> Filled<'short, u64> {
    filled //~ -
}

pub fn a_proof_of_a_longer_time<'long: 'short, 'short>(
    filled: Filled<'short, u64>,
) -> Filled<'long, u64> {
    filled //~ -
}
