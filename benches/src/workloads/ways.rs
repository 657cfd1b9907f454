//! What each way of using the pool costs beside the plain one: get, touch, put, on one thread.
//!
//! Own rows only, each with a pool of its own that differs from the plain one in one thing. The
//! objects are of 256 bytes everywhere; a figure is per object, also where many are taken before
//! the first goes back. Such a row is to be compared with the row `... in turn` that holds as many.

use std::hint::black_box;
use std::time::Instant;

use tailcut_pool::{AsIs, Builder, Checks, Guard, Maker, MappedGuard, Path, Pool, Recycler};

use super::one_thread::pairs;
use crate::rows::{TailcutPortable, TailcutRseq};
use crate::source::{Kind, Object, Plan, Source};
use crate::workload::{Figure, Row, Run, Workload};

const CAPACITY: usize = 4096;
const PLAN: Plan = Plan {
    capacity: CAPACITY,
    in_use: 1,
};
/// What a window gathers before it is released: a whole number of batches, as all but its last
/// few objects are in a window of any size.
const WINDOW: usize = 1024;

/// The workload.
#[must_use]
pub fn workload(name: &'static str) -> Workload {
    Workload {
        name,
        title: "Ways of use: what each costs beside plain get + put, one thread, 256 bytes"
            .to_owned(),
        unit: "object",
        units: 1.0,
        figure: Figure::Whole,
        round_ms: 2.0,
        fewest: 2 * WINDOW as u64,
        cores: 1,
        pinned: true,
        rows: Box::new(|_| rows()),
    }
}

fn rows() -> Vec<Row> {
    let mut all = vec![
        Row::new(TailcutRseq::<256>::new(PLAN), pairs),
        Row::new(TailcutPortable::<256>::new(PLAN), pairs),
    ];
    all.extend(many_at_once());
    all.extend(guards());
    all.extend(pools());
    all
}

/// The plain pool, and objects that are held together.
fn many_at_once() -> [Row; 4] {
    [
        way("array of 32", plain(), 32, |pool, byte| {
            let mut held = pool.try_get_array::<32>().expect(ENOUGH);
            held.iter_mut().for_each(|object| write(object, byte));
            pool.put_all(held);
        }),
        Row {
            note: Some(
                "taken one by one and dropped one by one, as an array is without bulk calls",
            ),
            ..way("32 in turn", plain(), 32, |pool, byte| {
                let held: [_; 32] = std::array::from_fn(|_| {
                    let mut object = pool.try_get().expect(ENOUGH);
                    write(&mut object, byte);
                    object
                });
                drop(held);
            })
        },
        Row {
            note: Some("taken one by one, pushed, released at once"),
            ..way("window of 1024", plain(), WINDOW, |pool, byte| {
                let mut window = pool.window();
                for _ in 0..WINDOW {
                    let mut object = pool.try_get().expect(ENOUGH);
                    write(&mut object, byte);
                    window.push(object);
                }
                window.release();
            })
        },
        Row {
            note: Some("kept in a vector of guards, dropped one by one"),
            ..way("1024 in turn", plain(), WINDOW, |pool, byte| {
                let mut held = Vec::with_capacity(WINDOW);
                for _ in 0..WINDOW {
                    let mut object = pool.try_get().expect(ENOUGH);
                    write(&mut object, byte);
                    held.push(object);
                }
                drop(held);
            })
        },
    ]
}

/// The plain pool, and other guards.
fn guards() -> [Row; 3] {
    [
        way("owned guard", plain(), 1, |pool, byte| {
            write(&mut pool.try_get_owned().expect(ENOUGH), byte);
        }),
        way("map to dyn", plain(), 1, |pool, byte| {
            let object = pool.try_get().expect(ENOUGH);
            let mut view: MappedGuard<'_, dyn Touch> =
                Guard::map(object, |object| object as &mut dyn Touch);
            // So that the compiler does not know which type it is.
            black_box(&mut view).touch(byte);
        }),
        way("split in two", plain(), 1, |pool, byte| {
            let object = pool.try_get().expect(ENOUGH);
            let (mut head, tail) = Guard::split(object, |object| object.0.split_at_mut(128));
            head[0] = byte as u8;
            black_box((&mut head, &tail));
        }),
    ]
}

/// Plain gets and puts, and other pools.
fn pools() -> [Row; 6] {
    [
        way("get, Wait", built(plainly().wait()), 1, |pool, byte| {
            write(&mut pool.get(), byte);
        }),
        way(
            "get, Grow",
            built(plainly().grow_to(2 * CAPACITY)),
            1,
            |pool, byte| write(&mut pool.get().expect(ENOUGH), byte),
        ),
        way("recycle_with clear", listed(), 1, |pool, byte| {
            let mut object = pool.try_get().expect(ENOUGH);
            object.rest[0] = byte as u8;
            black_box(&mut *object);
        }),
        Row {
            note: Some("writes one byte of the object when it is given back"),
            ..plain_use(
                "on_return",
                plainly().on_return(|object: &mut Object<256>| object.0[0] = 0),
            )
        },
        plain_use("sample_lifetimes 1024", plainly().sample_lifetimes(1024)),
        plain_use("checked", plainly().checked(Checks::new())),
    ]
}

const ENOUGH: &str = "the capacity suffices";

fn plainly() -> Builder<fn() -> Object<256>, AsIs> {
    let make: fn() -> Object<256> = Object::default;
    Pool::builder(make).capacity(CAPACITY).keep_as_is()
}

fn plain() -> Result<Pool<Object<256>, AsIs>, String> {
    built(plainly())
}

/// As large as the others, with a list that is cleared.
struct Listed {
    items: Vec<u64>,
    rest: [u8; 256 - size_of::<Vec<u64>>()],
}

fn listed() -> Result<Pool<Listed, impl Recycler<Listed>>, String> {
    let make = || Listed {
        items: Vec::with_capacity(8),
        rest: [0; _],
    };
    let builder = Pool::builder(make).capacity(CAPACITY);
    built(builder.recycle_with(|object: &mut Listed| object.items.clear()))
}

/// The pool, if it takes the path that the reference row takes.
fn built<T, F, R, O>(builder: Builder<F, R, O>) -> Result<Pool<T, R, O>, String>
where
    F: Maker<T> + Send + 'static,
    R: Recycler<T>,
{
    let pool = builder.build().map_err(|error| error.to_string())?;
    match pool.path() {
        Path::Rseq => Ok(pool),
        other => Err(format!("this machine takes the path: {other}")),
    }
}

/// Get, touch, put from another pool.
fn plain_use(name: &'static str, builder: Builder<fn() -> Object<256>, AsIs>) -> Row {
    way(name, built(builder), 1, |pool, byte| {
        write(&mut pool.try_get().expect(ENOUGH), byte);
    })
}

/// The row of a step that uses so many objects.
fn way<P: 'static>(
    name: &'static str,
    pool: Result<P, String>,
    objects: usize,
    mut step: impl FnMut(&P, u64) + 'static,
) -> Row {
    let run = pool.map(|pool| -> Run {
        Box::new(move |repetitions| {
            let steps = repetitions.div_ceil(objects as u64);
            let start = Instant::now();
            (0..steps).for_each(|byte| step(&pool, byte));
            let nanoseconds = start.elapsed().as_nanos() as f64;
            Ok(nanoseconds * repetitions as f64 / (steps * objects as u64) as f64)
        })
    });
    Row::named(name, Kind::Tailcut, run)
}

/// As [`touch`](crate::source::touch), for what is no source.
#[inline(always)]
fn write(object: &mut Object<256>, byte: u64) {
    object.0[0] = byte as u8;
    black_box(object.start());
}

trait Touch {
    fn touch(&mut self, byte: u64);
}

impl Touch for Object<256> {
    fn touch(&mut self, byte: u64) {
        write(self, byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_uses_objects_of_the_same_size() {
        assert_eq!(size_of::<Listed>(), size_of::<Object<256>>());
    }

    #[test]
    fn every_way_gives_back_what_it_took_and_the_reference_is_among_them() {
        let mut names = vec![];
        for row in rows() {
            names.push(row.name);
            // Far more objects than a pool has.
            match row.run {
                Ok(mut run) => assert!(run(10 * CAPACITY as u64).unwrap() > 0.0, "{}", row.name),
                Err(why) => assert!(why.contains("path"), "{}: {why}", row.name),
            }
        }
        assert!(names.contains(&crate::rows::REFERENCE));
    }
}
