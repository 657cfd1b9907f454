//! Objects that travel between cores.

use std::hint::black_box;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use tailcut_pool::{Guard, Pool};

use crate::{Pitfall, median};

/// An object that was written on another core comes back line by line from that core's cache, and
/// by way of the depot instead of the own core's magazine.
pub fn put_on_another_core() -> Result<Pitfall> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut cores = (0..CpuSet::count()).filter(|&core| allowed.is_set(core) == Ok(true));
    let figure = match (cores.next(), cores.next()) {
        (Some(here), Some(there)) => format!(
            "{:.1} ns per get and write after a put on another core, {:.1} ns on the same core",
            get_and_write(here, there)?,
            get_and_write(here, here)?
        ),
        _ => "not shown: it takes two cores".to_owned(),
    };
    Ok(Pitfall {
        what: "get and put on different cores: objects of 256 bytes that both cores write",
        figure,
        cure: "finish a request where it began; if it must move on, send on what is needed and put the object back here",
    })
}

/// Nanoseconds per object to get and write it on one core, when another thread wrote it last and
/// put it back, on a core that may be the same.
fn get_and_write(taker_core: usize, putter_core: usize) -> Result<f64> {
    const PASSED: usize = 1000;
    let write = |object: &mut [u8; 256]| black_box(object).fill(1);
    let pool = Pool::builder(|| [0_u8; 256])
        .keep_as_is()
        .capacity(PASSED)
        .build()?;
    let (to_putter, from_taker) = mpsc::sync_channel::<Vec<Guard<'_, [u8; 256]>>>(1);
    let (to_taker, from_putter) = mpsc::sync_channel(1);
    let times = thread::scope(|scope| {
        scope.spawn(move || -> Result<()> {
            stay_on(putter_core)?;
            for mut held in from_taker {
                held.drain(..).for_each(|mut object| write(&mut object));
                if to_taker.send(held).is_err() {
                    break; // The taker has all it wanted.
                }
            }
            Ok(())
        });
        let taker = scope.spawn(|| -> Result<Vec<Duration>> {
            stay_on(taker_core)?;
            // Both ends belong to this thread, so that the putter's loop ends with it.
            let (to_putter, from_putter) = (to_putter, from_putter);
            let mut held = Vec::with_capacity(PASSED);
            let mut times = vec![];
            for _ in 0..51 {
                let start = Instant::now();
                for _ in 0..PASSED {
                    let mut object = pool.try_get()?;
                    write(&mut object);
                    held.push(object);
                }
                times.push(start.elapsed());
                to_putter.send(held).ok().context("the putter ended")?;
                held = from_putter.recv()?;
            }
            Ok(times)
        });
        taker.join().expect("the taker does not panic")
    })?;
    Ok(median(times).as_nanos() as f64 / PASSED as f64)
}

fn stay_on(core: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &only)?)
}
