//! The one request of a run, made before it: what HTTP/2 does not allow is found here.

use std::fmt::Display;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

use super::Meaning;
use crate::network::error::NetworkError;
use crate::network::target::NetworkTarget;
use crate::scenario::RequestOptions;

/// What we call ourselves to servers.
const AGENT: &str = concat!("tailcut/", env!("CARGO_PKG_VERSION"));

/// Headers that speak of an HTTP/1.1 connection (RFC 9113, section 8.2.2), or of what is not the user's.
const FORBIDDEN: [&str; 6] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "content-length",
];

/// A request, ready to be sent any number of times.
#[derive(Debug)]
pub(in crate::network::codecs) struct Prepared {
    head: Request<()>,
    body: Option<Bytes>,
    meaning: Meaning,
}

impl Prepared {
    /// A plain request.
    pub(super) fn http(
        target: &NetworkTarget,
        request: &RequestOptions,
    ) -> Result<Self, NetworkError> {
        let foreign = [
            (request.grpc_method.is_some(), "a gRPC method"),
            (request.descriptor_set.is_some(), "a descriptor set"),
            (!request.command.is_empty(), "a Redis command"),
        ];
        if let Some((_, what)) = foreign.iter().find(|(given, _)| *given) {
            return refuse(format!("an HTTP/2 target has no use for {what}"));
        }
        let body = request.body.clone().map(Bytes::from);
        let method = match &request.method {
            None if body.is_some() => Method::POST,
            None => Method::GET,
            Some(name) => Method::from_bytes(name.as_bytes())
                .or_else(|_| refuse(format!("{name:?} is no method of HTTP, such as GET")))?,
        };
        if method == Method::CONNECT {
            return refuse("CONNECT asks for a tunnel, not for an answer".to_owned());
        }
        let (mut headers, host) = headers(&request.headers)?;
        if let Some(body) = &body {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let authority = host.map_or_else(|| authority(target), Ok)?;
        let head = head(target.tls, authority, &target.path, method, headers)?;
        Ok(Self::new(head, body, Meaning::Http))
    }

    pub(in crate::network::codecs) fn new(
        head: Request<()>,
        body: Option<Bytes>,
        meaning: Meaning,
    ) -> Self {
        Self {
            head,
            body,
            meaning,
        }
    }

    pub(super) fn head(&self) -> Request<()> {
        self.head.clone()
    }

    pub(in crate::network::codecs) fn body(&self) -> Option<Bytes> {
        self.body.clone()
    }

    pub(super) fn meaning(&self) -> Meaning {
        self.meaning
    }
}

/// A request's head.
pub(in crate::network::codecs) fn head(
    tls: bool,
    authority: Authority,
    path: &str,
    method: Method,
    headers: HeaderMap,
) -> Result<Request<()>, NetworkError> {
    let path = PathAndQuery::try_from(path)
        .or_else(|cause| refuse(format!("{path:?} is no path of a URL: {cause}")))?;
    let scheme = if tls { Scheme::HTTPS } else { Scheme::HTTP };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path)
        .build()
        .or_else(|cause| refuse(format!("these make no URL: {cause}")))?;
    let mut head = Request::new(());
    *head.method_mut() = method;
    *head.uri_mut() = uri;
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = headers;
    Ok(head)
}

/// The user's headers as HTTP/2 has them, and the value of `host` apart.
pub(in crate::network::codecs) fn headers(
    given: &[(String, String)],
) -> Result<(HeaderMap, Option<Authority>), NetworkError> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let mut agent_given = false;
    let mut host = None;
    for (name, value) in given {
        let name = HeaderName::from_bytes(name.as_bytes())
            .or_else(|_| refuse(format!("{name:?} is no name of a header")))?;
        if FORBIDDEN.contains(&name.as_str()) {
            return refuse(format!(
                "HTTP/2 requests carry no header {name} of their own"
            ));
        }
        if name.as_str() == "te" && value != "trailers" {
            return refuse(format!(
                "HTTP/2 allows the header te only as \"trailers\", not as {value:?}"
            ));
        }
        if name == HOST {
            let authority = Authority::try_from(value.as_str())
                .or_else(|cause| refuse(format!("{value:?} is no host: {cause}")))?;
            host = Some(authority);
            continue;
        }
        let value = HeaderValue::from_str(value).or_else(|_| {
            refuse(format!(
                "the header {name} cannot be {value:?}: there are control characters in it"
            ))
        })?;
        if name == USER_AGENT && !agent_given {
            agent_given = true;
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    Ok((headers, host))
}

/// What the target is called in requests: its host, and its port unless that is the usual one.
pub(in crate::network::codecs) fn authority(
    target: &NetworkTarget,
) -> Result<Authority, NetworkError> {
    let host = if target.host.contains(':') && !target.host.starts_with('[') {
        format!("[{}]", target.host)
    } else {
        target.host.clone()
    };
    let usual = if target.tls { 443 } else { 80 };
    let text = if target.port == usual {
        host
    } else {
        format!("{host}:{}", target.port)
    };
    Authority::try_from(text.as_str())
        .or_else(|cause| refuse(format!("{text:?} is no host: {cause}")))
}

fn refuse<T>(reason: impl Display) -> Result<T, NetworkError> {
    Err(NetworkError::Request(reason.to_string()))
}
