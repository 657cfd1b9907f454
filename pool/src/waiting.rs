//! Waiting for an object in a task.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::free::waiting::Waiter;
use crate::free::{FreeSlots, Site};
use crate::guard::Guard;
use crate::overload::Wait;
use crate::pool::Pool;
use crate::recycle::Recycler;

/// A future's wait for an object, from [`Pool::get_async`](crate::Pool::get_async).
///
/// ```
/// # use tailcut_pool::{ByTrait, GetAsync, Pool};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tailcut_pool::BuildError> {
/// let pool = Pool::builder(String::new).capacity(1).wait().build()?;
/// let waiting: GetAsync<'_, String, ByTrait> = pool.get_async();
/// let mut text = waiting.await;
/// text.push('x');
/// # Ok(()) }
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct GetAsync<'p, T, R> {
    pool: &'p Pool<T, R, Wait>,
    free: &'p FreeSlots,
    site: Site,
    step: Step,
    /// A place in the queue once `step` is `Queued`; pinned with the future.
    waiter: Waiter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begun,
    Queued,
    Done,
}

impl<'p, T, R> GetAsync<'p, T, R> {
    pub(crate) fn new(pool: &'p Pool<T, R, Wait>, free: &'p FreeSlots, site: Site) -> Self {
        GetAsync {
            pool,
            free,
            site,
            step: Step::Begun,
            waiter: Waiter::new(),
        }
    }
}

impl<'p, T, R: Recycler<T>> Future for GetAsync<'p, T, R> {
    type Output = Guard<'p, T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Guard<'p, T>> {
        // SAFETY: nothing is moved out of `this`, and the waiter is only reached pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: the waiter is a field of the pinned future, which leaves the queue on drop.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        assert!(
            this.step != Step::Done,
            "a get was polled after it had given its object"
        );
        let object = if this.step == Step::Begun {
            let found = this.free.take(this.site);
            if found.is_none() {
                // First, so that a drop leaves the queue whatever happens in between.
                this.step = Step::Queued;
                this.free.join_queue(waiter, context.waker());
            }
            found
        } else {
            None
        };
        let object = match object {
            None => this.free.poll_queue(waiter, context.waker(), this.site),
            found => found,
        };
        match object {
            Some(object) => {
                this.step = Step::Done;
                let guard = Guard::new(object.cast(), this.free);
                Poll::Ready(this.pool.recycled(guard))
            }
            None => Poll::Pending,
        }
    }
}

impl<T, R> Drop for GetAsync<'_, T, R> {
    fn drop(&mut self) {
        if self.step == Step::Queued {
            // SAFETY: the future is pinned, since it was polled, and stays where it is until it is
            // gone.
            let waiter = unsafe { Pin::new_unchecked(&self.waiter) };
            self.free.leave_queue(waiter);
        }
    }
}

impl<T, R> fmt::Debug for GetAsync<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetAsync")
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}
