//! Where a target is: its name resolved once, before the run, so that no name server is measured.

use super::NetworkError;
use super::target::NetworkTarget;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};

/// The address that all connections of a run go to: the first that the system gives for the name.
///
/// # Errors
/// [`NetworkError::Resolve`] if there is none.
pub(crate) fn resolve(target: &NetworkTarget) -> Result<SocketAddr, NetworkError> {
    let refuse = |cause| NetworkError::Resolve {
        host: target.host.clone(),
        cause,
    };
    let mut found = (target.host.as_str(), target.port)
        .to_socket_addrs()
        .map_err(refuse)?;
    found.next().ok_or_else(|| {
        refuse(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ))
    })
}

/// Whether `address` is this machine: the kernel would send to it from the same address.
pub(super) fn is_local(address: SocketAddr) -> bool {
    if address.ip().is_loopback() {
        return true;
    }
    let any: SocketAddr = if address.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    // Connecting a datagram socket sends nothing: it only asks for a route.
    UdpSocket::bind(any)
        .and_then(|socket| {
            socket.connect(address)?;
            socket.local_addr()
        })
        .is_ok_and(|own| own.ip() == address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_in_both_families_and_elsewhere_is_not() {
        assert!(is_local(([127, 0, 0, 1], 9).into()));
        assert!(is_local("[::1]:9".parse().unwrap()));
        // A network that is reserved for documentation.
        assert!(!is_local(([192, 0, 2, 1], 9).into()));
    }

    #[test]
    fn an_address_needs_no_name_server() {
        for (text, expected) in [
            ("tcp://127.0.0.1:70", "127.0.0.1:70"),
            ("tcp://[::1]:70", "[::1]:70"),
        ] {
            let address = resolve(&text.parse().unwrap()).unwrap();
            assert_eq!(address, expected.parse().unwrap());
        }
    }
}
