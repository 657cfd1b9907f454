//! The requests of a run, made before it as far as they are alike: what HTTP/2 does not allow is found here.
//!
//! Path, headers and body may hold the request's number, `{n}`. Where none does, a request is a copy of one
//! head and a share of one body; otherwise the numbered parts are made anew for each.

use std::fmt::Display;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

use super::Meaning;
use crate::network::codecs::http1::request;
use crate::network::codecs::options::{RequestOption, refuse_others};
use crate::network::codecs::template::Template;
use crate::network::error::NetworkError;
use crate::network::target::NetworkTarget;
use crate::scenario::RequestOptions;

const USED: [RequestOption; 3] = [
    RequestOption::Method,
    RequestOption::Headers,
    RequestOption::Body,
];

/// Headers that speak of an HTTP/1.1 connection (RFC 9113, section 8.2.2), or follow from the request.
const FORBIDDEN: [&str; 6] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "content-length",
];

/// What stands for the request's number.
const NUMBER: &str = "{n}";

/// Requests, ready to be sent any number of times.
#[derive(Debug)]
pub(in crate::network::codecs) struct Prepared {
    head: Request<()>,
    body: Option<Bytes>,
    meaning: Meaning,
    numbered: Numbered,
}

/// The parts in which the request's number stands. They are valid with any number: that was tried with
/// one, and digits are allowed everywhere.
#[derive(Debug, Default)]
struct Numbered {
    path: Option<Template>,
    headers: Vec<(HeaderName, Template)>,
    body: Option<Template>,
}

/// The user's headers, sorted out.
pub(in crate::network::codecs) struct Headers {
    /// Those that are always the same.
    pub(in crate::network::codecs) fixed: HeaderMap,
    numbered: Vec<(HeaderName, Template)>,
    /// The value of `host`, which HTTP/2 has elsewhere.
    pub(in crate::network::codecs) host: Option<Authority>,
}

impl Prepared {
    /// Plain requests.
    pub(super) fn http(
        target: &NetworkTarget,
        options: &RequestOptions,
    ) -> Result<Self, NetworkError> {
        refuse_others("HTTP/2", &USED, options)?;
        let method = Method::from_bytes(request::method(options)?.as_bytes())
            .or_else(|cause| refuse(cause.to_string()))?;
        let mut headers = headers(&options.headers)?;
        let mut path = Template::default();
        request::path(target, &mut path)?;
        let mut numbered = Numbered {
            headers: std::mem::take(&mut headers.numbered),
            ..Numbered::default()
        };
        let body = options.body.as_deref().map(|body| {
            let mut template = Template::default();
            template.numbered(body);
            let first = rendered(&template, 0);
            if first != body {
                numbered.body = Some(template);
            }
            first
        });
        if let Some(body) = &body {
            headers
                .fixed
                .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let first_path = rendered(&path, 0);
        if rendered(&path, 1) != first_path {
            numbered.path = Some(path);
        }
        let path = String::from_utf8_lossy(&first_path);
        let authority = headers.host.map_or_else(|| authority(target), Ok)?;
        let head = head(target.tls, authority, &path, method, headers.fixed)?;
        Ok(Self {
            head,
            body,
            meaning: Meaning::Http,
            numbered,
        })
    }

    /// gRPC calls, all alike.
    pub(in crate::network::codecs) fn grpc(head: Request<()>, body: Bytes) -> Self {
        Self {
            head,
            body: Some(body),
            meaning: Meaning::Grpc,
            numbered: Numbered::default(),
        }
    }

    /// Head and body of request `number`.
    pub(in crate::network::codecs) fn request(&self, number: u64) -> (Request<()>, Option<Bytes>) {
        let mut head = self.head.clone();
        let mut body = self.body.clone();
        if let Some(path) = &self.numbered.path {
            let mut parts = head.uri().clone().into_parts();
            parts.path_and_query = PathAndQuery::from_maybe_shared(rendered(path, number)).ok();
            if let Ok(uri) = Uri::from_parts(parts) {
                *head.uri_mut() = uri;
            }
        }
        for (name, value) in &self.numbered.headers {
            if let Ok(value) = HeaderValue::from_maybe_shared(rendered(value, number)) {
                head.headers_mut().append(name, value);
            }
        }
        if let Some(template) = &self.numbered.body {
            let bytes = rendered(template, number);
            head.headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            body = Some(bytes);
        }
        (head, body)
    }

    pub(super) fn meaning(&self) -> Meaning {
        self.meaning
    }
}

fn rendered(template: &Template, number: u64) -> Bytes {
    let mut bytes = Vec::new();
    template.append(number, &mut bytes);
    bytes.into()
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

/// The user's headers as HTTP/2 has them.
pub(in crate::network::codecs) fn headers(
    given: &[(String, String)],
) -> Result<Headers, NetworkError> {
    let mut headers = Headers {
        fixed: HeaderMap::new(),
        numbered: Vec::new(),
        host: None,
    };
    for (name, value) in given {
        let value = value.trim();
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
            let authority = Authority::try_from(value)
                .or_else(|cause| refuse(format!("{value:?} is no host: {cause}")))?;
            headers.host = Some(authority);
            continue;
        }
        let fixed = HeaderValue::from_str(value).or_else(|_| {
            refuse(format!(
                "the header {name} holds a line break or another control character: {value:?}"
            ))
        })?;
        if value.contains(NUMBER) {
            let mut template = Template::default();
            template.numbered(value.as_bytes());
            headers.numbered.push((name, template));
        } else {
            headers.fixed.append(name, fixed);
        }
    }
    let agent_given = headers.numbered.iter().any(|(name, _)| name == USER_AGENT);
    if !agent_given && !headers.fixed.contains_key(USER_AGENT) {
        let agent = HeaderValue::from_static(request::USER_AGENT);
        headers.fixed.insert(USER_AGENT, agent);
    }
    Ok(headers)
}

impl Headers {
    /// Refuses `{n}`, for requests that are all alike.
    pub(in crate::network::codecs) fn refuse_numbered(&self) -> Result<(), NetworkError> {
        match self.numbered.first() {
            Some((name, _)) => refuse(format!(
                "{NUMBER} is not filled in in gRPC calls, but the header {name} holds it"
            )),
            None => Ok(()),
        }
    }
}

/// What the target is called in requests: its host, and its port unless that is the usual one.
pub(in crate::network::codecs) fn authority(
    target: &NetworkTarget,
) -> Result<Authority, NetworkError> {
    let text = request::host(target);
    Authority::try_from(text.as_str())
        .or_else(|cause| refuse(format!("{text:?} is no host: {cause}")))
}

fn refuse<T>(reason: impl Display) -> Result<T, NetworkError> {
    Err(NetworkError::Request(reason.to_string()))
}
