//! The workers' threads: started together, told of connections, stopped together.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use mio::net::{TcpStream, UdpSocket};
use mio::{Poll, Waker};

use super::connection::Protocol;
use super::counts::Counts;
use super::handler::Handler;
use super::worker::{Accepted, Post, WAKE, Worker};
use super::{ServeError, ServeOptions};
use crate::engine::placement;
use crate::error::LoadError;

/// What a worker's thread ends with.
type Ended = Result<(Counts, u64), ServeError>;

/// What all workers look at.
pub(super) struct Board {
    /// Set when they are to come to their end.
    pub(super) stopping: AtomicBool,
    /// Connections that they have, or will find in their post.
    pub(super) live: AtomicU32,
}

/// All workers. If it is dropped without [`Staff::dismiss`], they are told to end just the same: the scope of
/// their threads waits for them.
pub(super) struct Staff<'scope, 'env> {
    board: &'env Board,
    colleagues: Vec<Colleague>,
    threads: Vec<ScopedJoinHandle<'scope, Ended>>,
    /// Whose turn it is to take a connection.
    next: usize,
}

/// A worker, from outside.
struct Colleague {
    post: Sender<Accepted>,
    waker: Waker,
}

impl<'scope, 'env> Staff<'scope, 'env> {
    /// Starts as many workers as asked for, and returns when all of them can serve.
    pub(super) fn hire<H: Handler>(
        scope: &'scope Scope<'scope, 'env>,
        options: &ServeOptions,
        datagrams: Vec<UdpSocket>,
        board: &'env Board,
        make: &'env (impl Fn(u32) -> H + Sync),
    ) -> Result<Staff<'scope, 'env>, ServeError> {
        let mut staff = Staff {
            board,
            colleagues: Vec::new(),
            threads: Vec::new(),
            next: 0,
        };
        let mut datagrams = datagrams.into_iter();
        let (begun, begins) = channel();
        for number in 0..options.workers {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), WAKE)?;
            let (sender, inbox) = channel();
            let post = Post {
                poll,
                inbox,
                datagrams: datagrams.next(),
                board,
                busy_poll: options.busy_poll,
            };
            let cpu = of_turn(&options.cpus, number);
            let begun = begun.clone();
            let work = move || {
                if let Some(cpu) = cpu {
                    placement::pin(cpu)?;
                }
                let worker = Worker::new(post, make(number));
                let _ = begun.send(());
                Ok(worker.run()?)
            };
            let thread = Builder::new()
                .name(format!("serve-{number}"))
                .spawn_scoped(scope, work)
                .map_err(LoadError::Spawn)?;
            staff.threads.push(thread);
            staff.colleagues.push(Colleague {
                post: sender,
                waker,
            });
        }
        drop(begun);
        if begins.iter().take(staff.threads.len()).count() < staff.threads.len() {
            // One has ended instead of beginning.
            staff.dismiss()?;
            return Err(io::Error::other("a worker ended as soon as it began").into());
        }
        Ok(staff)
    }

    /// Gives a connection to the worker whose turn it is.
    pub(super) fn hand_over(&mut self, stream: TcpStream, protocol: Protocol) -> io::Result<()> {
        let turn = self.next % self.colleagues.len();
        self.next = turn + 1;
        self.board.live.fetch_add(1, Ordering::Relaxed);
        // A worker that has died is noticed by the thread that called us; the connection is closed.
        let _ = self.colleagues[turn]
            .post
            .send(Accepted { stream, protocol });
        self.colleagues[turn].waker.wake()
    }

    /// Whether a worker has ended by itself, which none should.
    pub(super) fn has_lost_somebody(&self) -> bool {
        self.threads.iter().any(ScopedJoinHandle::is_finished)
    }

    /// Lets all workers come to their end. What they served, and how many windows they settled.
    pub(super) fn dismiss(mut self) -> Ended {
        self.tell_the_end();
        let mut all = (Counts::default(), 0);
        let mut first_error = None;
        for (number, thread) in (0..).zip(self.threads.drain(..)) {
            let ended = thread.join().unwrap_or_else(|panic| {
                Err(LoadError::Panicked {
                    worker: number,
                    message: message(&*panic),
                }
                .into())
            });
            match ended {
                Ok((counts, windows)) => {
                    all.0 += counts;
                    all.1 += windows;
                }
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(all), Err)
    }

    fn tell_the_end(&self) {
        self.board.stopping.store(true, Ordering::Relaxed);
        for colleague in &self.colleagues {
            // It fails for want of memory in the kernel at most; a worker with connections wakes up anyway.
            let _ = colleague.waker.wake();
        }
    }
}

impl Drop for Staff<'_, '_> {
    fn drop(&mut self) {
        self.tell_the_end();
    }
}

fn of_turn(cpus: &[u32], number: u32) -> Option<u32> {
    let place = (number as usize).checked_rem(cpus.len())?;
    cpus.get(place).copied()
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}
