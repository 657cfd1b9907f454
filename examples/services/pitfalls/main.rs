//! The ways in which a pool disappoints, each reproduced on this machine, with its cure.
//!
//! A pool that is used wrongly is slower than the allocator, or wrong. Each function below makes
//! one such mistake, measures it beside the right use, and returns a line of the table:
//!
//! ```text
//! cargo run --release -p tailcut-examples --example pitfalls
//! ```
//!
//! It takes less than a second. Times of a busy machine, or of a debug build, mean little.
//! Linux only, because one pitfall needs threads that stay on their cores.

mod cores;
mod load;

use std::alloc::System;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use tailcut_pool::meter::{self, Metered};
use tailcut_pool::{KeepVec, Pool, Recycler};

/// Counts what a request allocates.
#[global_allocator]
static ALLOCATOR: Metered<System> = Metered::new(System);

/// One line of the table.
struct Pitfall {
    what: &'static str,
    figure: String,
    cure: &'static str,
}

fn main() -> Result<()> {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(110)
        .set_header(["pitfall", "on this machine", "cure"]);
    for Pitfall { what, figure, cure } in all()? {
        table.add_row([what, &figure, cure]);
    }
    println!("{table}");
    if cfg!(debug_assertions) {
        println!("a debug build: its times mean nothing (--release)");
    }
    Ok(())
}

fn all() -> Result<[Pitfall; 6]> {
    Ok([
        cold_first_get()?,
        dirty_put()?,
        cores::put_on_another_core()?,
        return_one_by_one()?,
        load::too_small()?,
        recycling_that_frees()?,
    ])
}

/// Memory that was never touched costs a page fault per page, and the request that touches it
/// first pays. A pool touches its objects when it is built; one that grows on demand makes the
/// others in some request's time.
fn cold_first_get() -> Result<Pitfall> {
    const PAGE: usize = 4096;
    const PAGES: usize = 64;
    let (mut made_at_build, mut made_at_get) = (vec![], vec![]);
    for _ in 0..9 {
        let buffers = Pool::<[u8; PAGES * PAGE]>::builder_in_place(|slot| slot.fill_with(|_| 0))
            .keep_as_is()
            .capacity(1)
            .grow_to(2)
            .build()?;
        let first_use = || -> Result<_> {
            let start = Instant::now();
            let mut buffer = buffers.get()?;
            buffer.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
            black_box(&mut buffer[..]);
            Ok((start.elapsed(), buffer))
        };
        let (time, _held) = first_use()?;
        made_at_build.push(time);
        made_at_get.push(first_use()?.0);
    }
    Ok(Pitfall {
        what: "cold first get: a pool that grows on demand, buffers of 256 KiB",
        figure: format!(
            "{:.1?} if the get makes it, {:.1?} if the build did",
            median(made_at_get),
            median(made_at_build)
        ),
        cure: "capacity for the peak, so that the build makes and touches all; or resize() ahead of the load",
    })
}

type Card = [u8; 16];
const CARD: Card = *b"4929123456781234";

/// An object goes back as its user left it. What happens then, and when, is the recycler's work:
/// by default when the object is next **taken**, so that until then its contents stay in memory.
fn dirty_put() -> Result<Pitfall> {
    let cards = || Pool::builder(Card::default).capacity(1);
    let kept = shown_to_the_next_user(&cards().keep_as_is().build()?)?;
    let recycled = shown_to_the_next_user(&cards().build()?)?;
    let (lazy, eager) = (left_in_memory(false)?, left_in_memory(true)?);
    Ok(Pitfall {
        what: "dirty put: an object that still holds its last user's data",
        figure: format!(
            "of a card's {} digits the next user reads {kept} with keep_as_is, {recycled} if recycled; \
             in the free object there are {lazy} left, {eager} with on_return",
            CARD.len()
        ),
        cure: "recycle every field (recycle_fields! lets you forget none); for secrets on_return, or wipe_on_return (feature zeroize)",
    })
}

/// How many digits of the last user's card the next one sees.
fn shown_to_the_next_user<R: Recycler<Card>>(cards: &Pool<Card, R>) -> Result<usize> {
    *cards.try_get()? = CARD;
    Ok(digits(&*cards.try_get()?))
}

/// How many digits a free object holds: its recycler looks, which comes before the next user.
fn left_in_memory(cleaned_on_return: bool) -> Result<usize> {
    let found = Arc::new(AtomicUsize::new(0));
    let tell = Arc::clone(&found);
    let mut builder =
        Pool::builder(Card::default)
            .capacity(1)
            .recycle_with(move |card: &mut Card| {
                tell.store(digits(card), Ordering::Relaxed);
                card.fill(0);
            });
    if cleaned_on_return {
        builder = builder.on_return(|card: &mut Card| card.fill(0));
    }
    shown_to_the_next_user(&builder.build()?)?;
    Ok(found.load(Ordering::Relaxed))
}

fn digits(card: &Card) -> usize {
    card.iter().filter(|byte| byte.is_ascii_digit()).count()
}

/// Many objects that end together, each given back by itself: a pause of the pool's own making.
fn return_one_by_one() -> Result<Pitfall> {
    const WINDOW: usize = 120_000;
    let pool = Pool::builder(|| [0_u8; 256])
        .keep_as_is()
        .capacity(WINDOW)
        .build()?;
    let (mut one_by_one, mut at_once) = (vec![], vec![]);
    for _ in 0..5 {
        let held = (0..WINDOW).map(|_| pool.try_get());
        let held = held.collect::<Result<Vec<_>, _>>()?;
        one_by_one.push(timed(|| drop(held)));
        let mut window = pool.window();
        for _ in 0..WINDOW {
            window.push(pool.try_get()?);
        }
        at_once.push(timed(|| window.release()));
    }
    Ok(Pitfall {
        what: "bulk return: 120,000 objects that end together",
        figure: format!(
            "{:.1?} one by one, {:.1?} by Window::release",
            median(one_by_one),
            median(at_once)
        ),
        cure: "push them to a Window as they are taken, and release it",
    })
}

const LINE: &str = "eight words of a request that is parsed";

/// Emptying a `Vec<String>` frees its strings, and each request allocates them again.
fn recycling_that_frees() -> Result<Pitfall> {
    let cleared = Pool::builder(Vec::<String>::new).capacity(1).build()?;
    let kept = Pool::builder(KeepVec::<String>::new).capacity(1).build()?;
    let cleared = allocations(|| {
        let mut words = cleared.try_get()?;
        words.extend(LINE.split(' ').map(str::to_owned));
        Ok(())
    })?;
    let kept = allocations(|| {
        let mut words = kept.try_get()?;
        LINE.split(' ').for_each(|word| words.push().push_str(word));
        Ok(())
    })?;
    Ok(Pitfall {
        what: "recycling that frees: a pooled list of strings",
        figure: format!(
            "allocations per request: {cleared} with Vec<String>, {kept} with KeepVec<String>"
        ),
        cure: "KeepVec, or one buffer and offsets; meter::assert_no_alloc in a test keeps it so",
    })
}

/// What a request allocates once its object has served some others.
fn allocations(request: impl Fn() -> Result<()>) -> Result<u64> {
    for _ in 0..10 {
        request()?;
    }
    let before = meter::counts();
    request()?;
    Ok((meter::counts() - before).allocations)
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pitfall_can_be_shown() {
        for pitfall in all().unwrap() {
            assert!(
                pitfall.figure.contains(|c: char| c.is_ascii_digit()),
                "{}",
                pitfall.what
            );
        }
    }

    #[test]
    fn only_on_return_leaves_nothing_of_the_last_user_in_memory() {
        let as_is = Pool::builder(Card::default)
            .capacity(1)
            .keep_as_is()
            .build()
            .unwrap();
        assert_eq!(shown_to_the_next_user(&as_is).unwrap(), CARD.len());
        let recycled = Pool::builder(Card::default).capacity(1).build().unwrap();
        assert_eq!(shown_to_the_next_user(&recycled).unwrap(), 0);
        assert_eq!(left_in_memory(false).unwrap(), CARD.len());
        assert_eq!(left_in_memory(true).unwrap(), 0);
    }
}
