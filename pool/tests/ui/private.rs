// What cannot be made or implemented from outside.
use tailcut_pool::{Filled, Guard, Maker, OwnedGuard};

fn cloned<T: Clone>(_: T) {}

struct Mine;

impl Maker<u64> for Mine {} //~ E0277

pub fn a_proof_out_of_nothing<'s>() -> Filled<'s, u64> {
    Filled {} //~ -
}

pub fn guards_that_are_copied(guard: Guard<'_, u64>, owned: OwnedGuard<u64>) {
    cloned(guard); //~ E0277
    cloned(owned); //~ E0277
}
