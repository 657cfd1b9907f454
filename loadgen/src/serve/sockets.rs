//! Listening, and how many clients the system lets a process have.

use std::io;
use std::net::SocketAddr;

use mio::net::{TcpListener, UdpSocket};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use super::ServeError;

/// Connections that wait to be accepted; the system's own limit (`net.core.somaxconn`) is lower.
const BACKLOG: i32 = 65_535;
/// Datagrams that wait to be read, in bytes; the system's own limit (`net.core.rmem_max`) may be lower.
const DATAGRAM_BUFFER: usize = 8 << 20;

/// Listens for streams at `address`.
pub(super) fn listen(
    scheme: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), ServeError> {
    let listen = || {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        // Connections of an earlier server that are not quite over must not keep this one from the port;
        // a server that still listens does.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into());
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listen().map_err(|cause| refused(scheme, address, cause))
}

/// As many sockets as there are workers, all at `address`: the kernel gives each sender's datagrams to
/// always the same one.
pub(super) fn datagram_sockets(
    address: SocketAddr,
    workers: u32,
) -> Result<(Vec<UdpSocket>, SocketAddr), ServeError> {
    let bind = || {
        // The first one finds out whether the port is free, and shares it only after that.
        let first = datagram_socket(address, false)?;
        let shared = first.local_addr()?.as_socket().unwrap_or(address);
        first.set_reuse_port(true)?;
        let mut sockets = vec![UdpSocket::from_std(first.into())];
        for _ in 1..workers {
            sockets.push(UdpSocket::from_std(datagram_socket(shared, true)?.into()));
        }
        Ok((sockets, shared))
    };
    bind().map_err(|cause| refused("udp", address, cause))
}

fn datagram_socket(address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM.nonblocking().cloexec(),
        Some(Protocol::UDP),
    )?;
    socket.set_recv_buffer_size(DATAGRAM_BUFFER)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn refused(scheme: &'static str, address: SocketAddr, cause: io::Error) -> ServeError {
    let hint = match cause.kind() {
        io::ErrorKind::AddrInUse => "; another process listens there: give port 0 for a free one",
        io::ErrorKind::PermissionDenied => "; ports below 1024 are root's: give a higher one",
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        _ => "",
    };
    ServeError::Listen {
        scheme,
        address,
        cause,
        hint,
    }
}

/// Lets this process have as many files as it may: each client is one.
pub(super) fn raise_descriptor_limit() {
    // Best effort: where it cannot be raised, clients beyond it are turned away and counted.
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
