//! The workers' threads: started together, told of connections, stopped together.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use mio::net::{TcpStream, UdpSocket};
use mio::{Poll, Waker};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::connection::Protocol;
use super::counts::Counts;
use super::handler::Handler;
use super::worker::{Accepted, Post, WAKE, Worker};
use super::{ServeError, ServeOptions, http2};
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
    turns: Turns,
    /// Where HTTP/2 connections go.
    http2: Vec<UnboundedSender<std::net::TcpStream>>,
    http2_turns: Turns,
}

/// Whose turn it is.
#[derive(Debug, Default)]
struct Turns {
    last: usize,
}

impl Turns {
    fn next(&mut self, of: usize) -> usize {
        self.last = (self.last + 1) % of.max(1);
        self.last
    }
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
            turns: Turns::default(),
            http2: Vec::new(),
            http2_turns: Turns::default(),
        };
        let mut datagrams = datagrams.into_iter();
        let (begun, begins) = channel();
        for number in 0..options.workers {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), WAKE)?;
            let (post, inbox) = channel();
            let equipment = Post {
                poll,
                inbox,
                datagrams: datagrams.next(),
                board,
                busy_poll: options.busy_poll,
            };
            let begun = begun.clone();
            staff.start(scope, options, number, move || {
                let worker = Worker::new(equipment, make(number));
                let _ = begun.send(());
                drop(begun);
                worker.run()
            })?;
            staff.colleagues.push(Colleague { post, waker });
        }
        let http2_workers = options.services() - options.workers;
        for number in options.workers..options.workers + http2_workers {
            let (post, inbox) = unbounded_channel();
            let begun = begun.clone();
            staff.start(scope, options, number, move || {
                let handler = make(number);
                let _ = begun.send(());
                drop(begun);
                http2::run(inbox, handler, &board.live)
            })?;
            staff.http2.push(post);
        }
        drop(begun);
        // It ends when each has begun, or has ended instead.
        if begins.iter().count() < staff.threads.len() {
            staff.dismiss()?;
            return Err(io::Error::other("a worker ended as soon as it began").into());
        }
        Ok(staff)
    }

    /// A thread for one worker, on its processor.
    fn start(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        options: &ServeOptions,
        number: u32,
        work: impl FnOnce() -> io::Result<(Counts, u64)> + Send + 'scope,
    ) -> Result<(), ServeError> {
        let cpu = of_turn(&options.cpus, number);
        let pinned = move || {
            if let Some(cpu) = cpu {
                placement::pin(cpu)?;
            }
            Ok(work()?)
        };
        let thread = Builder::new()
            .name(format!("serve-{number}"))
            .spawn_scoped(scope, pinned)
            .map_err(LoadError::Spawn)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Gives a connection to the worker whose turn it is.
    pub(super) fn hand_over(&mut self, stream: TcpStream, protocol: Protocol) -> io::Result<()> {
        let turn = self.turns.next(self.colleagues.len());
        self.board.live.fetch_add(1, Ordering::Relaxed);
        // A worker that has died is noticed by the thread that called us; the connection is closed.
        let _ = self.colleagues[turn]
            .post
            .send(Accepted { stream, protocol });
        self.colleagues[turn].waker.wake()
    }

    /// The same for an HTTP/2 connection.
    pub(super) fn hand_over_http2(&mut self, stream: TcpStream) {
        let turn = self.http2_turns.next(self.http2.len());
        if let Some(post) = self.http2.get(turn)
            && post.send(stream.into()).is_ok()
        {
            self.board.live.fetch_add(1, Ordering::Relaxed);
        }
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

    fn tell_the_end(&mut self) {
        // The end of their post is the end for these.
        self.http2.clear();
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
