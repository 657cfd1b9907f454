//! Gives back what a pool grew to and no longer needs, from a thread of its own.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::pool::Pool;

/// Calls [`Pool::decay`] every `period` until the pool or the returned handle is dropped.
///
/// The thread holds the pool weakly: it does not keep it alive. A service with a timer of its own
/// calls [`Pool::decay`] there instead.
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
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = thread::Builder::new()
        .name("tailcut-decay".to_owned())
        .spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(period) {
                match pool.upgrade() {
                    Some(pool) => drop(pool.decay()),
                    None => return,
                }
            }
        })?;
    Ok(Decay {
        stop: Some(stop),
        thread: Some(thread),
    })
}

/// A running decay: ends when dropped.
#[derive(Debug)]
#[must_use = "the decay ends when this is dropped"]
pub struct Decay {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Decay {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // If the pool's last owner is the decay thread itself, it must not wait for itself.
            if thread.thread().id() != thread::current().id() {
                // A destructor that panicked in there has been reported by the panic hook.
                let _ = thread.join();
            }
        }
    }
}
