//! What a worker counts while it serves.

use std::ops::AddAssign;

/// What was served. Each worker counts for itself, in plain numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Orders that were answered, whatever the answer.
    pub orders: u64,
    /// Of these, refused by the service's rules, or for want of room.
    pub refused: u64,
    /// Of these, bytes that were no order.
    pub malformed: u64,
    /// HTTP requests, those without an order included.
    pub http_requests: u64,
    /// Datagrams read.
    pub datagrams: u64,
    /// Answers to datagrams that the system did not take.
    pub datagrams_unsent: u64,
    /// Connections served.
    pub connections: u64,
    /// Of these, closed by the server, because the bytes were of no protocol that it speaks.
    pub garbled: u64,
    /// Of these, ended by an error: mostly by a client's reset.
    pub lost: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        // Named one by one, so that a new field cannot be forgotten.
        let Counts {
            orders,
            refused,
            malformed,
            http_requests,
            datagrams,
            datagrams_unsent,
            connections,
            garbled,
            lost,
            bytes_in,
            bytes_out,
        } = other;
        self.orders += orders;
        self.refused += refused;
        self.malformed += malformed;
        self.http_requests += http_requests;
        self.datagrams += datagrams;
        self.datagrams_unsent += datagrams_unsent;
        self.connections += connections;
        self.garbled += garbled;
        self.lost += lost;
        self.bytes_in += bytes_in;
        self.bytes_out += bytes_out;
    }
}
