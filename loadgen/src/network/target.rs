//! What a URL such as `tcp://127.0.0.1:7000` means.
//!
//! The scheme says everything about the protocol, so that a target is one word on a command line, in a
//! scenario and in a recording, and reads back as what it was.

use super::NetworkError;
use std::fmt;
use std::str::FromStr;
use url::Url;

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
///
/// Reads and writes itself as a URL. A port may be left out where the protocol has a usual one; a path
/// and query are allowed where the protocol has them.
///
/// ```
/// use tailcut_loadgen::network::target::{NetworkTarget, Transport};
///
/// let target: NetworkTarget = "https://shop.example/orders?fast=1".parse()?;
/// assert_eq!((target.transport, target.tls, target.port), (Transport::Http1, true, 443));
/// assert_eq!(target.to_string(), "https://shop.example:443/orders?fast=1");
/// # Ok::<_, tailcut_loadgen::network::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkTarget {
    /// The protocol.
    pub transport: Transport,
    /// Whether it runs over TLS.
    pub tls: bool,
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// HTTP, WebSocket: path and query, at least `/`. gRPC: the method, if it is given here.
    pub path: String,
}

/// Scheme, protocol, whether over TLS, usual port.
const SCHEMES: [(&str, Transport, bool, Option<u16>); 13] = [
    ("tcp", Transport::Tcp, false, None),
    ("tcps", Transport::Tcp, true, None),
    ("udp", Transport::Udp, false, None),
    ("http", Transport::Http1, false, Some(80)),
    ("https", Transport::Http1, true, Some(443)),
    ("h2", Transport::Http2, false, Some(80)),
    ("h2s", Transport::Http2, true, Some(443)),
    ("grpc", Transport::Grpc, false, Some(80)),
    ("grpcs", Transport::Grpc, true, Some(443)),
    ("ws", Transport::WebSocket, false, Some(80)),
    ("wss", Transport::WebSocket, true, Some(443)),
    ("redis", Transport::Redis, false, Some(6379)),
    ("rediss", Transport::Redis, true, Some(6379)),
];

impl Transport {
    /// Whether a URL of it may have a path.
    #[must_use]
    pub fn has_path(self) -> bool {
        matches!(
            self,
            Transport::Http1 | Transport::Http2 | Transport::Grpc | Transport::WebSocket
        )
    }
}

impl NetworkTarget {
    /// The scheme that its URL has.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        SCHEMES
            .iter()
            .find(|(_, transport, tls, _)| (*transport, *tls) == (self.transport, self.tls))
            // Datagrams have no form over TLS; one made by hand is shown as what it would do.
            .map_or("udp", |(scheme, ..)| scheme)
    }

    /// Host and port as they stand in a URL: an IPv6 address in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for NetworkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority())?;
        let needless = self.transport == Transport::Grpc && self.path == "/";
        if self.transport.has_path() && !needless {
            f.write_str(&self.path)?;
        }
        Ok(())
    }
}

impl FromStr for NetworkTarget {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<NetworkTarget, NetworkError> {
        let refuse = |reason: String| NetworkError::Target {
            text: text.to_owned(),
            reason,
        };
        // `localhost:80` would be read as the scheme `localhost`.
        let Some((scheme, _)) = text.split_once("://") else {
            return Err(refuse(format!(
                "it has no scheme; write for example tcp://127.0.0.1:7000 ({})",
                known()
            )));
        };
        let Some(&(_, transport, tls, usual)) = SCHEMES
            .iter()
            .find(|(name, ..)| name.eq_ignore_ascii_case(scheme))
        else {
            return Err(refuse(format!(
                "the scheme {scheme:?} is not known ({})",
                known()
            )));
        };
        let url = Url::parse(text).map_err(|cause| refuse(cause.to_string()))?;
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_prefix('[').unwrap_or(host);
        let host = host.strip_suffix(']').unwrap_or(host);
        if host.is_empty() {
            return Err(refuse("it names no host".to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(
                "a user name or password in it would be ignored; give what the server wants as a header"
                    .to_owned(),
            ));
        }
        if url.fragment().is_some() {
            return Err(refuse("a part behind # is never sent".to_owned()));
        }
        let port = url.port_or_known_default().or(usual).unwrap_or(0);
        if port == 0 {
            return Err(refuse(format!(
                "{scheme} has no usual port; write {scheme}://{host}:PORT"
            )));
        }
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        if !transport.has_path() && !matches!(path.as_str(), "" | "/") {
            return Err(refuse(format!("{scheme} has no path, but {path} is given")));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(NetworkTarget {
            transport,
            tls,
            host: host.to_owned(),
            port,
            path: format!("{slash}{path}"),
        })
    }
}

fn known() -> String {
    let schemes: Vec<&str> = SCHEMES.iter().map(|(scheme, ..)| *scheme).collect();
    format!("known are {}", schemes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> NetworkTarget {
        text.parse().unwrap()
    }

    #[test]
    fn every_scheme_reads_back_as_it_was_written() {
        for (scheme, transport, tls, _) in SCHEMES {
            for host in ["127.0.0.1", "[::1]", "shop.example"] {
                let text = format!("{scheme}://{host}:7001");
                let target = parsed(&text);
                assert_eq!((target.transport, target.tls), (transport, tls), "{text}");
                assert_eq!(parsed(&target.to_string()), target);
                assert_eq!(target.host, host.trim_matches(['[', ']']));
            }
        }
    }

    #[test]
    fn a_usual_port_may_be_left_out_and_an_unusual_one_may_not() {
        assert_eq!(parsed("http://a").port, 80);
        assert_eq!(parsed("wss://a/chat").port, 443);
        assert_eq!(parsed("redis://a").port, 6379);
        let message = "tcp://a".parse::<NetworkTarget>().unwrap_err().to_string();
        assert!(message.contains("tcp://a:PORT"), "{message}");
    }

    #[test]
    fn what_is_no_target_is_refused_with_what_would_be_one() {
        for (text, expected) in [
            ("localhost:80", "tcp://127.0.0.1:7000"),
            ("ftp://a", "known are tcp, tcps, udp"),
            ("tcp://:70", "host"),
            ("http://user:secret@a", "ignored"),
            ("redis://a/3", "no path"),
            ("http://a#b", "#"),
            ("http://a:99999", "port"),
            ("", "no scheme"),
        ] {
            let message = text.parse::<NetworkTarget>().unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn path_and_query_are_kept_where_the_protocol_has_them() {
        assert_eq!(parsed("http://a/b/c?d=e").path, "/b/c?d=e");
        assert_eq!(parsed("http://a?d=e").path, "/?d=e");
        assert_eq!(parsed("tcp://a:1").path, "/");
        let grpc = parsed("grpc://a:1/shop.Orders/Place");
        assert_eq!(grpc.path, "/shop.Orders/Place");
        assert_eq!(parsed("grpc://a:1").to_string(), "grpc://a:1");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_it_takes_reads_back(text in "(tcp|udp|http|h2s|ws|redis)?:?/?/?\\PC{0,40}") {
            if let Ok(target) = text.parse::<NetworkTarget>() {
                prop_assert_eq!(target.to_string().parse::<NetworkTarget>().unwrap(), target);
            }
        }
    }
}
