//! What a URL such as `tcp://127.0.0.1:7000` means.

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Orders in the compact binary form, over TCP: `tcp`, with TLS `tcps`.
    Tcp,
    /// The same in datagrams: `udp`.
    Udp,
    /// HTTP/1.1: `http`, `https`.
    Http1,
    /// HTTP/2: `h2` (without TLS, prior knowledge), `h2s`.
    Http2,
    /// gRPC, one unary call a request: `grpc`, `grpcs`.
    Grpc,
    /// One message, one message back: `ws`, `wss`.
    WebSocket,
    /// A Redis command: `redis`, `rediss`.
    Redis,
}

/// A server, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkTarget {
    /// The protocol.
    pub transport: Transport,
    /// Whether it runs over TLS.
    pub tls: bool,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// HTTP, WebSocket: path and query, at least `/`.
    pub path: String,
}
