//! Which processes listen at an address of this machine.
//!
//! `/proc/net` names each listening socket by its inode, and `/proc/PID/fd` says who holds it. Several
//! processes may: a server that forks workers, or several servers that share a port. All of them are
//! the target.
//!
//! Cost: about ten milliseconds where some hundred processes run, once per run; one `readlink` for each descriptor of each process that may
//! be looked at. Bounded by [`MOST_LINES`] sockets and [`MOST_LINKS`] descriptors.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::ResourceError;

/// Sockets of one kind that are looked at.
const MOST_LINES: usize = 1_000_000;
/// The longest line of `/proc/net/tcp6`; they have 150 bytes.
const LONGEST_LINE: u64 = 1024;
/// Descriptors that are looked at.
const MOST_LINKS: usize = 2_000_000;

/// How a server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listening {
    /// It accepts connections.
    Tcp,
    /// It is bound and receives datagrams.
    Udp,
}

/// The process that listens at `address`, or `None` where it is on another machine, in another network
/// namespace, or may not be looked at. Of several, that with the lowest number.
///
/// # Errors
/// [`ResourceError::Read`] when the kernel's list of sockets cannot be read.
pub fn find_listener(
    address: SocketAddr,
    listening: Listening,
) -> Result<Option<u32>, ResourceError> {
    Ok(find_listeners(address, listening)?.first().copied())
}

/// All processes that listen at `address`, in ascending order.
///
/// # Errors
/// As [`find_listener`].
pub fn find_listeners(
    address: SocketAddr,
    listening: Listening,
) -> Result<Vec<u32>, ResourceError> {
    let files = match listening {
        Listening::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        Listening::Udp => ["/proc/net/udp", "/proc/net/udp6"],
    };
    // A server at this very address goes before one that listens at all of them.
    let mut exact = Vec::new();
    let mut any = Vec::new();
    for file in files {
        for (local, inode) in sockets(file, listening)? {
            if local.port() != address.port() {
                continue;
            }
            if canonical(local.ip()) == canonical(address.ip()) {
                exact.push(inode);
            } else if local.ip().is_unspecified()
                && (local.is_ipv6() || address.ip().to_canonical().is_ipv4())
            {
                any.push(inode);
            }
        }
    }
    let inodes = if exact.is_empty() { any } else { exact };
    if inodes.is_empty() || !is_local(address.ip()) {
        return Ok(Vec::new());
    }
    Ok(holders(&inodes))
}

/// Whether an address is one of this machine's: a socket can be bound to it.
fn is_local(address: IpAddr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || std::net::UdpSocket::bind((address, 0)).is_ok()
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Local address and inode of the listening sockets in a file of `/proc/net`.
fn sockets(path: &str, listening: Listening) -> Result<Vec<(SocketAddr, u64)>, ResourceError> {
    let failed = |cause| ResourceError::Read {
        path: path.to_owned(),
        cause,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        // A kernel without IPv6 has no such file.
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed(cause)),
    };
    let mut lines = BufReader::new(file);
    let mut found = Vec::new();
    let mut line = String::new();
    for _ in 0..MOST_LINES {
        line.clear();
        let read = (&mut lines)
            .take(LONGEST_LINE)
            .read_line(&mut line)
            .map_err(failed)?;
        if read == 0 {
            break;
        }
        found.extend(parse(&line, listening));
    }
    Ok(found)
}

/// A line of `/proc/net/tcp`, if its socket listens.
fn parse(line: &str, listening: Listening) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?.parse().ok()?;
    // 0A listens; a UDP socket that is bound and not connected is 07.
    let wanted = match listening {
        Listening::Tcp => "0A",
        Listening::Udp => "07",
    };
    (state == wanted && inode != 0).then_some(())?;
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(parse_address(address)?, port), inode))
}

/// Words of 32 bits, each in the machine's own order of bytes, in hexadecimal.
fn parse_address(text: &str) -> Option<IpAddr> {
    if !text.is_ascii() {
        return None;
    }
    let word = |at: usize| u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok();
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into()),
        32 => {
            let mut bytes = [0u8; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// The processes that hold any of these sockets.
fn holders(inodes: &[u64]) -> Vec<u32> {
    let names: Vec<String> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let mut looked_at = 0;
    let mut found = Vec::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let number = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(number) = number else { continue };
        let links = fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        for link in links {
            looked_at += 1;
            let holds = fs::read_link(link.path())
                .is_ok_and(|to| names.iter().any(|name| to.as_path() == Path::new(name)));
            if holds {
                found.push(number);
                break;
            }
            if looked_at == MOST_LINKS {
                break;
            }
        }
        if looked_at == MOST_LINKS {
            break;
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_listener_of_this_process_is_found_at_its_address_and_at_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("it is bound");
        let found = find_listener(address, Listening::Tcp).expect("readable");
        assert_eq!(found, Some(std::process::id()));
        let other: SocketAddr = (Ipv4Addr::new(127, 0, 0, 9), address.port()).into();
        assert_eq!(
            find_listener(other, Listening::Tcp).expect("readable"),
            None
        );
        assert_eq!(
            find_listener(address, Listening::Udp).expect("readable"),
            None
        );
        // A connection is no listener, even at the same port.
        let _stream = TcpStream::connect(address).expect("it accepts");
        drop(listener);
        assert_eq!(
            find_listener(address, Listening::Tcp).expect("readable"),
            None
        );
    }

    #[test]
    fn one_that_listens_at_all_addresses_is_found_by_any_of_them() {
        let udp = UdpSocket::bind("0.0.0.0:0").expect("bindable");
        let port = udp.local_addr().expect("it is bound").port();
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        let found = find_listener(address, Listening::Udp).expect("readable");
        assert_eq!(found, Some(std::process::id()));
        // But an address of another machine is not this one's.
        let elsewhere: SocketAddr = ([192, 0, 2, 1], port).into();
        assert_eq!(
            find_listener(elsewhere, Listening::Udp).expect("readable"),
            None
        );
    }

    #[test]
    fn lines_of_the_kernel_are_read_in_both_families() {
        let v4 = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0 100 0";
        let v6 = "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 678 1 0 100 0";
        if cfg!(target_endian = "little") {
            assert_eq!(
                parse(v4, Listening::Tcp),
                Some(("127.0.0.1:8080".parse().expect("valid"), 12345))
            );
            assert_eq!(
                parse(v6, Listening::Tcp),
                Some(("[::1]:80".parse().expect("valid"), 678))
            );
        }
        assert_eq!(parse(&v4.replace(" 0A ", " 01 "), Listening::Tcp), None);
        assert_eq!(parse(v4, Listening::Udp), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(line in ".{0,200}", address in "[0-9A-F]{0,40}:[0-9A-F]{0,6}") {
            let _ = parse(&line, Listening::Tcp);
            let _ = parse(&format!("0: {address} 0:0 0A 0 0 0 0 0 7"), Listening::Tcp);
        }
    }
}
