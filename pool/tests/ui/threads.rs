// Which thread may have what: `Send` and `Sync` follow from the object's type.
use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;
use tailcut_pool::{AsIs, Guard, GetAsync, OwnedGuard, Pool, Wait};

fn send<T: Send>(_: T) {}
fn sync<T: Sync>(_: T) {}

type Bound = MutexGuard<'static, u64>; // may be shared, but not sent

pub fn a_pool_of_objects_bound_to_their_thread(pool: Pool<Rc<u64>, AsIs>) {
    sync(&pool); //~ E0277
    send(pool); //~ E0277
}

pub fn a_guard_of_an_object_bound_to_its_thread(pool: &Pool<Bound, AsIs>) {
    let guard = pool.try_get().unwrap();
    sync(&guard);
    send(guard); //~ E0277
}

pub fn an_owned_guard_of_an_object_bound_to_its_thread(pool: &Pool<Bound, AsIs>) {
    let guard = pool.try_get_owned().unwrap();
    sync(&guard);
    send(guard); //~ E0277
}

pub fn a_guard_of_an_object_for_one_thread_at_a_time(pool: &Pool<Cell<u64>, AsIs>) {
    let guard = pool.try_get().unwrap();
    sync(&guard); //~ E0277
    let owned = pool.own(guard);
    sync(&owned); //~ E0277
    send(owned);
}

// Giving back may touch the whole object, so no view may carry it to a thread where it must not go.
pub fn a_view_of_an_object_bound_to_its_thread(pool: &Pool<(u64, Bound), AsIs>) {
    let guard = pool.try_get().unwrap();
    let _ = Guard::map(guard, |pair| &mut pair.0); //~ E0277
    let guard = pool.try_get().unwrap();
    let _ = Guard::split(guard, |pair| (&mut pair.0, &mut pair.1)); //~ E0277
    let owned = pool.try_get_owned().unwrap();
    let _ = OwnedGuard::map(owned, |pair| &mut pair.0); //~ E0277
}

pub fn a_view_that_is_bound_to_its_thread(pool: &Pool<u64, AsIs>) {
    let view = Guard::map(pool.try_get().unwrap(), |number| number as &mut dyn std::any::Any);
    send(view); //~ E0277
    let owned = pool.try_get_owned().unwrap();
    send(OwnedGuard::map(owned, |number| number as &mut dyn std::any::Any)); //~ E0277
}

pub fn parts_that_are_bound_to_their_thread(pool: &Pool<(Cell<u64>, u64), AsIs>) {
    let guard = pool.try_get().unwrap();
    let (cell, number) = Guard::split(guard, |pair| (&mut pair.0, &mut pair.1));
    sync(&cell); //~ E0277
    sync(&number);
}

pub fn a_window_of_objects_bound_to_their_thread(pool: &Pool<Rc<u64>, AsIs>) {
    send(pool.window()); //~ E0277
}

pub fn a_wait_for_an_object_bound_to_its_thread(wait: GetAsync<'_, Rc<u64>, AsIs>) {
    send(wait); //~ E0277
}

pub fn a_pool_whose_strategy_is_for_one_thread<F: Fn(&mut u64) + Send>(
    pool: &Pool<u64, tailcut_pool::With<F>, Wait>,
) {
    sync(pool); //~ E0277
}

pub fn a_maker_that_is_bound_to_its_thread(shared: Rc<u64>) {
    let _ = Pool::builder(move || *shared).keep_as_is().capacity(1).build(); //~ E0277
}
