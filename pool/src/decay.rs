//! Gives back what a pool grew to and no longer needs, from a thread of its own.

use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::periodic::Periodic;
use crate::pool::Pool;

/// Calls [`Pool::decay`] every `period` until the pool or the returned handle is dropped.
///
/// The thread holds the pool weakly: it does not keep it alive. A service with a timer of its own
/// calls [`Pool::decay`] there instead. A child made by `fork` has no such thread, and must begin its
/// own.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// use tailcut_pool::{Pool, decay};
///
/// let pool = Arc::new(Pool::builder(|| [0_u8; 256]).keep_as_is().capacity(100).grow_to(10_000).build()?);
/// let decay = decay::every(Duration::from_secs(1), &pool)?;
/// # drop(decay);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The system starts no thread.
pub fn every<T, R, O>(period: Duration, pool: &Arc<Pool<T, R, O>>) -> std::io::Result<Decay>
where
    T: Send + 'static,
    R: Send + Sync + 'static,
    O: Send + Sync + 'static,
{
    let pool: Weak<Pool<T, R, O>> = Arc::downgrade(pool);
    let work = move || match pool.upgrade() {
        Some(pool) => {
            pool.decay();
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    };
    Ok(Decay {
        _running: Periodic::spawn("tailcut-decay", period, work)?,
    })
}

/// A running decay: ends when dropped.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # use tailcut_pool::{Pool, decay};
/// let pool = Arc::new(Pool::builder(|| 0_u64).capacity(8).grow_to(80).build()?);
/// let running: decay::Decay = decay::every(Duration::from_secs(1), &pool)?;
/// drop(running); // no decay from here on
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the decay ends when this is dropped"]
pub struct Decay {
    _running: Periodic,
}
