//! The calling thread: listens, and deals connections out to the workers in turn.
//!
//! It sleeps but for connections, and every [`LOOK`] it looks at the caller's flag and whether a worker has
//! died.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::binary::Orders;
use super::connection::Protocol;
use super::handler::{Handler, WithHandlers};
use super::http1::Http1;
use super::staff::{Board, Staff};
use super::{Addresses, ServeError, ServeOptions, ServeOutcome, sockets};

const LOOK: Duration = Duration::from_millis(20);

/// Serving, in whatever form.
pub(super) struct Job<'a, F> {
    pub(super) options: &'a ServeOptions,
    pub(super) ready: F,
    pub(super) stop: &'a AtomicBool,
}

impl<F: FnOnce(&Addresses)> WithHandlers for Job<'_, F> {
    type Output = Result<ServeOutcome, ServeError>;

    fn with<H: Handler>(self, make: impl Fn(u32) -> H + Sync) -> Self::Output {
        let options = self.options;
        sockets::raise_descriptor_limit();
        let mut acceptor = Acceptor::listen(options)?;
        let (datagrams, udp) = match options.udp {
            Some(address) => {
                let (sockets, address) = sockets::datagram_sockets(address, options.workers)?;
                (sockets, Some(address))
            }
            None => (Vec::new(), None),
        };
        acceptor.addresses.udp = udp;
        let board = Board {
            stopping: AtomicBool::new(false),
            live: AtomicU32::new(0),
        };
        std::thread::scope(|scope| {
            let mut staff = Staff::hire(scope, options, datagrams, &board, &make)?;
            (self.ready)(&acceptor.addresses);
            acceptor.attend(self.stop, &mut staff, &board, options.most_connections)?;
            let turned_away = acceptor.turned_away;
            // Clients that come now are told so at once, instead of waiting to be accepted.
            drop(acceptor);
            let (counts, settled_windows) = staff.dismiss()?;
            Ok(ServeOutcome {
                counts,
                turned_away,
                settled_windows,
            })
        })
    }
}

/// What comes in by a listener.
#[derive(Debug, Clone, Copy)]
enum Door {
    Orders,
    Http1,
    Http2,
}

struct Acceptor {
    poll: Poll,
    doors: Vec<(Door, TcpListener)>,
    addresses: Addresses,
    turned_away: u64,
    /// Given up for a moment to turn a client away when no descriptor is left: it would wait for ever.
    spare: Option<File>,
}

impl Acceptor {
    /// Listens for all streams that are asked for.
    fn listen(options: &ServeOptions) -> Result<Acceptor, ServeError> {
        let mut acceptor = Acceptor {
            poll: Poll::new()?,
            doors: Vec::new(),
            addresses: Addresses::default(),
            turned_away: 0,
            spare: File::open("/dev/null").ok(),
        };
        acceptor.addresses.tcp = acceptor.open("tcp", Door::Orders, options.tcp)?;
        acceptor.addresses.http = acceptor.open("http", Door::Http1, options.http)?;
        acceptor.addresses.h2 = acceptor.open("h2", Door::Http2, options.h2)?;
        Ok(acceptor)
    }

    fn open(
        &mut self,
        scheme: &'static str,
        door: Door,
        address: Option<std::net::SocketAddr>,
    ) -> Result<Option<std::net::SocketAddr>, ServeError> {
        let Some(address) = address else {
            return Ok(None);
        };
        let (mut listener, address) = sockets::listen(scheme, address)?;
        self.poll.registry().register(
            &mut listener,
            Token(self.doors.len()),
            Interest::READABLE,
        )?;
        self.doors.push((door, listener));
        Ok(Some(address))
    }

    /// Until `stop` is set, or a worker has died.
    fn attend(
        &mut self,
        stop: &AtomicBool,
        staff: &mut Staff<'_, '_>,
        board: &Board,
        most: u32,
    ) -> io::Result<()> {
        let mut events = Events::with_capacity(8);
        while !stop.load(Ordering::Relaxed) && !staff.has_lost_somebody() {
            match self.poll.poll(&mut events, Some(LOOK)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                let place = event.token().0;
                while let Some(stream) = self.accept(place) {
                    if board.live.load(Ordering::Relaxed) >= most {
                        self.turned_away += 1;
                        continue;
                    }
                    let _ = stream.set_nodelay(true);
                    let protocol = match self.doors[place].0 {
                        Door::Orders => Protocol::Orders(Orders::default()),
                        Door::Http1 => Protocol::Http1(Http1::default()),
                        Door::Http2 => {
                            staff.hand_over_http2(stream);
                            continue;
                        }
                    };
                    staff.hand_over(stream, protocol)?;
                }
            }
        }
        Ok(())
    }

    /// The next connection, until there is none.
    fn accept(&mut self, place: usize) -> Option<TcpStream> {
        loop {
            match self.doors[place].1.accept() {
                Ok((stream, _)) => return Some(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => match error.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE) => self.turn_away(place)?,
                    // A client that was gone before it was accepted.
                    Some(libc::ECONNABORTED | libc::EINTR | libc::EPERM) => {}
                    // The network's errors come through accept(2) too. The next event tries again.
                    _ => return None,
                },
            }
        }
    }

    /// Closes a connection that there is no descriptor for; `None` if not even that can be done.
    #[cold]
    fn turn_away(&mut self, place: usize) -> Option<()> {
        drop(self.spare.take()?);
        let accepted = self.doors[place].1.accept();
        self.turned_away += u64::from(accepted.is_ok());
        drop(accepted);
        self.spare = File::open("/dev/null").ok();
        Some(())
    }
}
