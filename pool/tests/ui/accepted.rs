// What must compile: the nearest neighbours of what must not. Should the harness itself be at
// fault (the crate is not found, say), then this fails.
use std::cell::Cell;
use std::rc::Rc;
use std::sync::MutexGuard;
use tailcut_pool::{AsIs, Guard, OwnedGuard, OwnedMappedGuard, Pool, SplitGuard, Window};

fn send<T: Send>(_: T) {}
fn sync<T: Sync>(_: T) {}
fn forever<T: 'static>(_: T) {}

pub fn guards_of_objects_that_may_be_sent(pool: &Pool<Cell<u64>, AsIs>) {
    sync(pool);
    send(pool.try_get().unwrap());
    send(pool.try_get_owned().unwrap());
    send(Guard::map(pool.try_get().unwrap(), |cell| cell.get_mut()));
    send(pool.window());
}

pub fn guards_of_objects_that_may_be_shared(pool: &Pool<MutexGuard<'static, u64>, AsIs>) {
    sync(&pool.try_get().unwrap());
    sync(&pool.try_get_owned().unwrap());
}

pub fn a_guard_on_its_own_thread(pool: &Pool<Rc<u64>, AsIs>) {
    drop(pool.try_get());
    drop(pool.try_get_owned());
}

pub fn parts_on_two_threads(pool: &Pool<(u64, u64), AsIs>) {
    let (left, right) = Guard::split(pool.try_get().unwrap(), |pair| (&mut pair.0, &mut pair.1));
    std::thread::scope(|scope| {
        scope.spawn(move || drop::<SplitGuard<'_, u64>>(left));
        scope.spawn(move || drop::<SplitGuard<'_, u64>>(right));
    });
}

pub fn an_owned_guard_outlives_its_pool(pool: Pool<u64, AsIs>) {
    let guard = pool.try_get_owned().unwrap();
    drop(pool);
    forever(guard);
}

pub fn an_owned_view_of_an_object_that_lives_for_good(pool: &Pool<String, AsIs>) {
    let view: OwnedMappedGuard<str> =
        OwnedGuard::map(pool.try_get_owned().unwrap(), |text| text.as_mut_str());
    forever(view);
}

pub fn a_window_goes_before_its_pool(pool: Pool<u64, AsIs>) {
    let mut window: Window<'_, u64> = pool.window();
    window.push(pool.try_get().unwrap());
    drop(window);
    drop(pool);
}

pub fn a_wait_in_a_task(pool: &Pool<u64, AsIs, tailcut_pool::Wait>) {
    send(pool.get_async());
}

pub fn a_slot_is_filled() {
    let numbers = Pool::builder_in_place(|slot| slot.write(7_u64)).keep_as_is().capacity(2);
    drop(numbers.build::<u64>());
}
