//! A connection's socket: non-blocking, of either transport.

use super::target::Transport;
use mio::net::{TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;

/// How much a datagram socket may hold that has not been read: a burst of answers must not be lost here.
const DATAGRAM_BUFFER: usize = 4 << 20;

/// See the module's head.
pub(super) enum Socket {
    /// A stream of bytes.
    Stream(TcpStream),
    /// Datagrams from and to one peer.
    Datagrams(UdpSocket),
}

impl Socket {
    /// Begins to connect. A stream stands when [`Socket::stands`] says so, datagrams at once.
    pub(super) fn connect(transport: Transport, address: SocketAddr) -> io::Result<Socket> {
        if transport == Transport::Udp {
            let any: SocketAddr = if address.is_ipv4() {
                ([0, 0, 0, 0], 0).into()
            } else {
                ([0_u16; 8], 0).into()
            };
            let socket = UdpSocket::bind(any)?;
            // As much as the system allows.
            let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(DATAGRAM_BUFFER);
            socket.connect(address)?;
            return Ok(Socket::Datagrams(socket));
        }
        let stream = TcpStream::connect(address)?;
        // Requests are gathered here, not in the kernel.
        stream.set_nodelay(true)?;
        Ok(Socket::Stream(stream))
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Socket::Stream(stream) => registry.register(stream, token, interest),
            Socket::Datagrams(socket) => registry.register(socket, token, interest),
        }
    }

    /// Whether the connection stands; asked when the socket is said to be writable.
    pub(super) fn stands(&self) -> io::Result<bool> {
        let Socket::Stream(stream) = self else {
            return Ok(true);
        };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads bytes of the stream, or one datagram.
    #[inline(always)]
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Stream(stream) => stream.read(into),
            Socket::Datagrams(socket) => socket.recv(into),
        }
    }

    /// Writes bytes to the stream, or one datagram.
    #[inline(always)]
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Stream(stream) => stream.write(bytes),
            Socket::Datagrams(socket) => socket.send(bytes),
        }
    }
}

/// What errors of a socket are counted by.
pub(super) fn kind_of(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "reset",
        io::ErrorKind::BrokenPipe => "closed",
        io::ErrorKind::ConnectionAborted => "aborted",
        io::ErrorKind::TimedOut => "connection timed out",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "unreachable",
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => "out of local ports",
        _ => match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => "out of descriptors",
            Some(libc::EMSGSIZE) => "too large for a datagram",
            _ => "socket error",
        },
    }
}

/// An error of connecting, with what to do where that is known.
pub(super) fn advice(error: &io::Error) -> String {
    match kind_of(error) {
        "connection refused" => {
            format!("{error}; nothing listens there: start the server, or correct host and port")
        }
        "out of local ports" => format!(
            "{error}; too many connections from this address, or their ports rest (TIME_WAIT): use \
             fewer connections, or widen net.ipv4.ip_local_port_range"
        ),
        "out of descriptors" => format!("{error}; raise `ulimit -n`"),
        _ => error.to_string(),
    }
}
