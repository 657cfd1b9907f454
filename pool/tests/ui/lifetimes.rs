// What may outlive what: borrows end before their pool does.
use tailcut_pool::{AsIs, Guard, OwnedGuard, Pool, Wait};

type Numbers = Pool<u64, AsIs>;

fn forever<T: 'static>(_: T) {}

pub fn a_guard_after_its_pool(pool: Numbers) {
    let guard = pool.try_get();
    drop(pool); //~ E0505
    drop(guard);
}

pub fn a_guard_that_leaves_its_pool_behind(pool: Numbers) {
    forever(pool.try_get()); //~ E0597
}

pub fn a_view_after_its_pool(pool: Numbers) {
    let view = Guard::map(pool.try_get().unwrap(), |number| number);
    drop(pool); //~ E0505
    drop(view);
}

pub fn a_part_after_its_pool(pool: Pool<(u64, u64), AsIs>) {
    let guard = pool.try_get().unwrap();
    let (left, right) = Guard::split(guard, |pair| (&mut pair.0, &mut pair.1));
    drop(left);
    drop(pool); //~ E0505
    drop(right);
}

pub fn two_parts_that_overlap(pool: &Pool<(u64, u64), AsIs>) {
    let guard = pool.try_get().unwrap();
    let _ = Guard::split(guard, |pair| (&mut pair.0, &mut pair.0)); //~ E0499
}

pub fn a_view_that_escapes_by_the_back_door(pool: &Numbers) {
    let mut kept: Option<&mut u64> = None;
    let _ = Guard::map(pool.try_get().unwrap(), |number| {
        kept = Some(number); //~ E0521
        Box::leak(Box::new(0))
    });
    drop(kept);
}

pub fn a_window_after_its_pool(pool: Numbers) {
    let window = pool.window();
    drop(pool); //~ E0505
    drop(window);
}

pub fn a_window_keeps_guards_of_a_pool_that_goes(long: &Numbers) {
    let mut window = long.window();
    {
        let short = Pool::builder(|| 0).keep_as_is().capacity(1).build().unwrap();
        window.push(short.try_get().unwrap()); //~ E0597
    }
    window.release();
}

pub fn an_object_after_its_guard(pool: &Numbers) {
    let mut guard = pool.try_get().unwrap();
    let object: &mut u64 = &mut guard;
    drop(guard); //~ E0505
    *object = 1;
}

pub fn a_wait_after_its_pool(pool: Pool<u64, AsIs, Wait>) {
    let wait = pool.get_async();
    drop(pool); //~ E0505
    drop(wait);
}

pub fn an_owned_guard_of_a_borrowing_object() {
    let text = String::from("short");
    let pool = Pool::builder(|| "").keep_as_is().capacity(1).build().unwrap();
    let mut guard = pool.try_get_owned().unwrap();
    *guard = &text; //~ E0597
    drop(pool);
    forever(guard);
}

pub fn an_owned_view_forgets_no_lifetime<'a>(pool: &Pool<&'a str, AsIs>) {
    let owned = pool.try_get_owned().unwrap();
    let _ = OwnedGuard::map(owned, |text| text); //~ E0521
}

pub fn a_pool_does_not_pass_for_one_of_shorter_lived_objects<'a>(
    pool: &'a Pool<&'static str, AsIs>,
) -> &'a Pool<&'a str, AsIs> {
    pool //~ -
}
