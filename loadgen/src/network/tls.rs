//! TLS between socket and session, by `rustls`: bytes in, bytes out, no socket.
//!
//! One [`TlsClient`] serves a run: it decides once whose certificates are trusted. Each connection has a
//! [`TlsChannel`], which turns what a session writes into what the wire carries, and back.
//!
//! Sessions are never resumed: every connection pays for a whole handshake, so that connect times can be
//! compared, and workers share no cache. Client certificates are not supported.
//!
//! Cost (`examples/decode.rs`, 2-core EPYC guest): a handshake takes 0.1 ms of this side's time, without the
//! judging of certificates. Afterwards each record (up to 16 KiB, whatever one call to
//! [`TlsChannel::encrypt`] got) costs an allocation by `rustls` and the cipher: 210 ns for 67 bytes out, 340 for
//! 849 in. Between records a channel keeps 6 KB.

mod reasons;
#[cfg(test)]
mod tests;
mod trust;

use std::io::{BufRead, Write};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use crate::network::error::NetworkError;
use crate::network::target::{NetworkTarget, Transport};
use crate::scenario::TlsOptions;

/// How the connections of a run are secured.
#[derive(Debug, Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// For messages.
    target: Arc<str>,
    /// The protocol that the server must agree to.
    required: Option<&'static [u8]>,
}

impl TlsClient {
    /// Reads the trusted certificates and decides what is offered to `target`: TLS 1.2 and 1.3, and by
    /// ALPN the target's protocol (`http/1.1` for HTTP/1.1 and WebSocket; `h2` for HTTP/2 and gRPC, which the
    /// server must agree to).
    ///
    /// # Errors
    /// [`NetworkError::File`]: the file of certificates cannot be read. [`NetworkError::Tls`]: no certificates
    /// are trusted at all, or the server's name is none.
    pub fn new(target: &NetworkTarget, options: &TlsOptions) -> Result<TlsClient, NetworkError> {
        let address: Arc<str> = format!("{}:{}", target.host, target.port).into();
        let wrong = |reason: String| NetworkError::Tls {
            target: address.to_string(),
            reason,
        };
        let name = options.server_name.as_ref().unwrap_or(&target.host);
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            wrong(format!(
                "{name:?} is no name that a certificate can bear: give a host name or an address"
            ))
        })?;
        let (alpn, required): (Option<&[u8]>, _) = match target.transport {
            Transport::Http1 | Transport::WebSocket => (Some(b"http/1.1"), None),
            Transport::Http2 | Transport::Grpc => (Some(b"h2"), Some(&b"h2"[..])),
            Transport::Tcp | Transport::Udp | Transport::Redis => (None, None),
        };
        let mut config = trust::config(options, wrong)?;
        config.resumption = Resumption::disabled();
        config.alpn_protocols.extend(alpn.map(<[u8]>::to_vec));
        Ok(TlsClient {
            config: Arc::new(config),
            name,
            target: address,
            required,
        })
    }

    /// A channel for a new connection. Its greeting is fetched by [`TlsChannel::start`].
    ///
    /// # Errors
    /// [`NetworkError::Tls`], where `rustls` cannot make one.
    pub fn connect(&self) -> Result<TlsChannel, NetworkError> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let mut connection = connection.map_err(|error| self.wrong(&error))?;
        // All that is encrypted is taken out at once: the caller's buffer is the one that is bounded.
        connection.set_buffer_limit(None);
        Ok(TlsChannel {
            connection,
            client: self.clone(),
            is_checked: false,
            peer_closed: false,
        })
    }

    /// The same for who has a socket of its own: what to connect with, and the name that the server's
    /// certificate must bear.
    pub(crate) fn for_sockets(&self) -> (Arc<ClientConfig>, ServerName<'static>) {
        (Arc::clone(&self.config), self.name.clone())
    }

    /// Why TLS failed, in words that say what to do.
    pub(crate) fn wrong(&self, error: &rustls::Error) -> NetworkError {
        NetworkError::Tls {
            target: self.target.to_string(),
            reason: reasons::of(error, &self.name.to_str()),
        }
    }
}

/// One connection's cipher.
///
/// `wire` is what the socket carries, `plain` what the session reads and writes. Both outputs are appended
/// to.
#[derive(Debug)]
pub struct TlsChannel {
    connection: ClientConnection,
    client: TlsClient,
    /// The handshake is over and its outcome was looked at.
    is_checked: bool,
    peer_closed: bool,
}

impl TlsChannel {
    /// Appends the greeting, with which a connection begins.
    pub fn start(&mut self, wire_out: &mut Vec<u8>) {
        self.flush(wire_out);
    }

    /// Whether the handshake is still under way: nothing of the session's is sent until it is over.
    #[must_use]
    pub fn wants_handshake(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the peer has said that it sends no more (`close_notify`). Where a connection ends without
    /// it, what was read may be cut short.
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// The protocol that both sides agreed on by ALPN, after the handshake.
    #[must_use]
    pub fn protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Version and cipher, after the handshake: `TLSv1_3 TLS13_AES_256_GCM_SHA384`.
    #[must_use]
    pub fn description(&self) -> Option<String> {
        let version = self.connection.protocol_version()?;
        let suite = self.connection.negotiated_cipher_suite()?.suite();
        Some(format!("{version:?} {suite:?}"))
    }

    /// Appends `plain` as records. What is given during the handshake is kept and comes out of
    /// [`TlsChannel::decrypt`] when it is over.
    ///
    /// # Errors
    /// [`NetworkError::Tls`] where `rustls` refuses; not known to happen.
    pub fn encrypt(&mut self, plain: &[u8], wire_out: &mut Vec<u8>) -> Result<(), NetworkError> {
        let written = self.connection.writer().write_all(plain);
        self.flush(wire_out);
        written.map_err(|error| {
            self.client
                .wrong(&rustls::Error::General(error.to_string()))
        })
    }

    /// Takes in all of `wire`, whole records or not, and appends what it holds for the session to
    /// `plain_out`, and what the protocol itself answers (the handshake, alerts) to `wire_out`: to be sent also
    /// after an error, so that the peer knows. What follows the peer's `close_notify` is ignored.
    ///
    /// # Errors
    /// [`NetworkError::Tls`]: a certificate that is not trusted, a peer that does not speak TLS or
    /// none that we do, bytes that were changed on their way; the reason says what to do. Never panics,
    /// whatever the bytes are.
    pub fn decrypt(
        &mut self,
        wire: &[u8],
        plain_out: &mut Vec<u8>,
        wire_out: &mut Vec<u8>,
    ) -> Result<(), NetworkError> {
        let mut wire = wire;
        while !wire.is_empty() && !self.peer_closed {
            let taken = wire.len();
            let outcome = self.take_in(&mut wire);
            self.flush(wire_out);
            outcome.map_err(|error| self.client.wrong(&error))?;
            self.take_plain(plain_out);
            if wire.len() == taken {
                break;
            }
        }
        self.check_protocol()
    }

    /// Appends the alert that says that nothing more is sent; to be written before the socket is closed.
    pub fn close_notify(&mut self, wire_out: &mut Vec<u8>) {
        self.connection.send_close_notify();
        self.flush(wire_out);
    }

    /// Takes in as much of `wire` as goes at once.
    fn take_in(&mut self, wire: &mut &[u8]) -> Result<(), rustls::Error> {
        let read = self.connection.read_tls(wire);
        read.map_err(|error| rustls::Error::General(error.to_string()))?;
        let state = self.connection.process_new_packets()?;
        self.peer_closed |= state.peer_has_closed();
        Ok(())
    }

    fn flush(&mut self, wire_out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            // Writing to a vector does not fail, and what `rustls` would write never is nothing.
            if !matches!(self.connection.write_tls(wire_out), Ok(1..)) {
                return;
            }
        }
    }

    fn take_plain(&mut self, plain_out: &mut Vec<u8>) {
        let mut reader = self.connection.reader();
        // It ends with an error where nothing is left, or the peer has closed.
        while let Ok(chunk) = reader.fill_buf() {
            let length = chunk.len();
            if length == 0 {
                return;
            }
            plain_out.extend_from_slice(chunk);
            reader.consume(length);
        }
    }

    /// Once the handshake is over: whether the server agreed to the only protocol that we speak.
    fn check_protocol(&mut self) -> Result<(), NetworkError> {
        if self.is_checked || self.wants_handshake() {
            return Ok(());
        }
        self.is_checked = true;
        match self.client.required {
            Some(required) if self.connection.alpn_protocol() != Some(required) => {
                Err(NetworkError::Tls {
                    target: self.client.target.to_string(),
                    reason: reasons::no_protocol(),
                })
            }
            _ => Ok(()),
        }
    }
}
