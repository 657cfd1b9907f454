//! The bytes of an HTTP/1.1 request, made from a target and options, or refused.
//!
//! What would change where a request ends (`Content-Length`, `Transfer-Encoding`) or what the connection
//! is (`Upgrade`, CONNECT) cannot be given by hand: a mistake there would make every later reply
//! nonsense.

use crate::network::codecs::options::{RequestOption, refuse_others};
use crate::network::codecs::template::Template;
use crate::network::error::NetworkError;
use crate::network::target::NetworkTarget;
use crate::scenario::RequestOptions;

/// A request that is sent again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub bytes: Template,
    /// Whether replies have no body whatever their head says: to HEAD.
    pub bodiless: bool,
}

/// What tailcut calls itself to servers.
pub(crate) const USER_AGENT: &str = concat!("tailcut/", env!("CARGO_PKG_VERSION"));

const USED: [RequestOption; 3] = [
    RequestOption::Method,
    RequestOption::Headers,
    RequestOption::Body,
];

impl Request {
    /// The request that `options` describe.
    pub(crate) fn new(
        target: &NetworkTarget,
        options: &RequestOptions,
    ) -> Result<Request, NetworkError> {
        refuse_others("HTTP", &USED, options)?;
        let method = method(options)?;
        let mut bytes = Template::default();
        bytes.text(method.as_bytes()).text(b" ");
        path(target, &mut bytes)?;
        bytes.text(b" HTTP/1.1\r\n");
        headers(target, &options.headers, &OURS, &mut bytes)?;
        let body = options.body.as_deref().unwrap_or_default();
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            bytes
                .text(b"Content-Length: ")
                .length_of(body)
                .text(b"\r\n");
        }
        bytes.text(b"\r\n").numbered(body);
        let bodiless = method == "HEAD";
        Ok(Request { bytes, bodiless })
    }
}

/// GET, or POST where there is a body, or what is given.
pub(crate) fn method(options: &RequestOptions) -> Result<&str, NetworkError> {
    let Some(method) = options.method.as_deref() else {
        return Ok(if options.body.is_some() {
            "POST"
        } else {
            "GET"
        });
    };
    if !is_token(method) {
        return Err(NetworkError::Request(format!(
            "{method:?} is no HTTP method: one is a word such as GET or POST"
        )));
    }
    if method.eq_ignore_ascii_case("CONNECT") {
        return Err(NetworkError::Request(
            "CONNECT opens a tunnel, which is no load: use GET, POST or another method".to_owned(),
        ));
    }
    Ok(method)
}

/// Headers that follow from the request itself, and why they cannot be given.
const OURS: [(&str, &str); 3] = [
    ("Content-Length", "it follows from the body"),
    (
        "Transfer-Encoding",
        "bodies are sent whole, with their length",
    ),
    ("Upgrade", "it would end HTTP on the connection"),
];

/// Appends the target's path and query, in which `{n}` may stand.
pub(crate) fn path(target: &NetworkTarget, bytes: &mut Template) -> Result<(), NetworkError> {
    // URLs may not hold braces in their path, so libraries that read them write `{n}` like this.
    let path = target.path.replace("%7Bn%7D", "{n}");
    if !path.starts_with('/') || path.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(NetworkError::Request(format!(
            "{path:?} is no path: it begins with / and writes everything but visible ASCII as %XX"
        )));
    }
    bytes.numbered(path.as_bytes());
    Ok(())
}

/// Appends `Host`, `User-Agent` and the given headers, in which `{n}` may stand. `refused` are names that
/// cannot be given, with the reason.
pub(crate) fn headers(
    target: &NetworkTarget,
    given: &[(String, String)],
    refused: &[(&str, &str)],
    bytes: &mut Template,
) -> Result<(), NetworkError> {
    let is_given = |name: &str| {
        given
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    if !is_given("Host") {
        line("Host", &host(target), bytes)?;
    }
    if !is_given("User-Agent") {
        line("User-Agent", USER_AGENT, bytes)?;
    }
    for (name, value) in given {
        if let Some((_, reason)) = refused
            .iter()
            .find(|(ours, _)| ours.eq_ignore_ascii_case(name))
        {
            return Err(NetworkError::Request(format!(
                "the header {name} cannot be given: {reason}"
            )));
        }
        line(name, value, bytes)?;
    }
    Ok(())
}

fn line(name: &str, value: &str, bytes: &mut Template) -> Result<(), NetworkError> {
    if !is_token(name) {
        return Err(NetworkError::Request(format!(
            "{name:?} is no name of a header: it may hold letters, digits and - only"
        )));
    }
    if value
        .bytes()
        .any(|byte| byte.is_ascii_control() && byte != b'\t')
    {
        return Err(NetworkError::Request(format!(
            "the header {name} holds a line break or another control character: {value:?}"
        )));
    }
    bytes
        .text(name.as_bytes())
        .text(b": ")
        .numbered(value.trim().as_bytes())
        .text(b"\r\n");
    Ok(())
}

/// The target as a `Host` header says it: without the port where it is the scheme's own.
pub(crate) fn host(target: &NetworkTarget) -> String {
    let host = if target.host.contains(':') && !target.host.starts_with('[') {
        format!("[{}]", target.host)
    } else {
        target.host.clone()
    };
    let usual = if target.tls { 443 } else { 80 };
    if target.port == usual {
        host
    } else {
        format!("{host}:{}", target.port)
    }
}

/// RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
