//! Orders in datagrams: one or several to each, their answers in one datagram back.
//!
//! An answer is shorter than the order that it answers, so nobody can have a server send more to a forged
//! address than was sent to it.

use std::io::ErrorKind;

use mio::net::UdpSocket;

use super::binary;
use super::connection::Bench;
use super::handler::Handler;

/// Datagrams answered before others have their turn.
const MOST_AT_ONCE: u32 = 64;

/// Answers what is there. Whether there may be more.
#[inline]
pub(super) fn receive<H: Handler>(socket: &UdpSocket, bench: &mut Bench<H>) -> bool {
    let (handler, counts, input, output) = bench.parts();
    for _ in 0..MOST_AT_ONCE {
        let (length, sender) = match socket.recv_from(input) {
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            // An answer to somebody who was gone comes back as an error here: of one datagram, not of
            // the socket.
            Err(_) => continue,
        };
        counts.datagrams += 1;
        counts.bytes_in += length as u64;
        output.clear();
        binary::datagram(&input[..length], handler, output, counts);
        if output.is_empty() {
            continue;
        }
        match socket.send_to(output, sender) {
            Ok(sent) => counts.bytes_out += sent as u64,
            Err(_) => counts.datagrams_unsent += 1,
        }
    }
    true
}
