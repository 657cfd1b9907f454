//! What an HTTP request gets, of whatever version: the one place that knows methods, paths and statuses.

use super::binary;
use super::counts::Counts;
use super::handler::Handler;
use crate::order::reply::{self, Fate, REPLY};
use crate::order::wire::client_id;

/// The largest body that is read; an order is far smaller.
pub(super) const MOST_BODY: usize = 4 << 10;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// `POST /orders`.
    Order,
    /// `GET /` or `HEAD /`.
    Alive,
    /// A path that is there, by a method that it does not know; these it does.
    WrongMethod(&'static str),
    /// Anything else.
    Unknown,
}

impl Route {
    /// Of a method and a request target: a path with or without a query, or a whole URL.
    pub(super) fn find(method: &str, target: &str) -> Route {
        let path = match target.split_once("://") {
            Some((_, behind)) if !target.starts_with('/') => {
                behind.find('/').map_or("/", |slash| &behind[slash..])
            }
            _ => target,
        };
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        match (path, method) {
            ("/orders", "POST") => Route::Order,
            ("/orders", _) => Route::WrongMethod("POST"),
            ("/", "GET" | "HEAD") => Route::Alive,
            ("/", _) => Route::WrongMethod("GET, HEAD"),
            _ => Route::Unknown,
        }
    }
}

/// An answer, apart from how a version writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: Status,
    pub(super) content: Content,
    /// The value of `Allow`.
    pub(super) allow: Option<&'static str>,
}

/// Number and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status(pub(super) u16, pub(super) &'static str);

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// What became of an order.
    Answer([u8; REPLY]),
    /// A line for people.
    Text(&'static str),
}

impl Content {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Content::Answer(bytes) => bytes,
            Content::Text(text) => text.as_bytes(),
        }
    }

    pub(super) fn media_type(&self) -> &'static str {
        match self {
            Content::Answer(_) => "application/octet-stream",
            Content::Text(_) => "text/plain",
        }
    }
}

impl Reply {
    pub(super) const fn text(status: Status, text: &'static str) -> Reply {
        Reply {
            status,
            content: Content::Text(text),
            allow: None,
        }
    }

    /// The answer to a request whose body is there.
    #[inline]
    pub(super) fn to<H: Handler>(
        route: Route,
        body: &[u8],
        handler: &mut H,
        counts: &mut Counts,
    ) -> Reply {
        counts.http_requests += 1;
        match route {
            Route::Order => {
                let fate = binary::fate(body, handler, counts);
                let status = match fate {
                    Fate::Accepted => OK,
                    Fate::Refused => Status(422, "Unprocessable Content"),
                    Fate::Malformed => BAD_REQUEST,
                };
                Reply {
                    status,
                    content: Content::Answer(reply::encode(client_id(body), fate)),
                    allow: None,
                }
            }
            Route::Alive => Reply::text(OK, "ok\n"),
            Route::WrongMethod(allowed) => Reply {
                allow: Some(allowed),
                ..Reply::text(
                    Status(405, "Method Not Allowed"),
                    "POST /orders, or GET /\n",
                )
            },
            Route::Unknown => Reply::text(Status(404, "Not Found"), "POST /orders, or GET /\n"),
        }
    }
}

const OK: Status = Status(200, "OK");
pub(super) const BAD_REQUEST: Status = Status(400, "Bad Request");

/// A body that is larger than any order.
pub(super) const TOO_LARGE: Reply = Reply::text(
    Status(413, "Content Too Large"),
    "a body has at most 4096 bytes\n",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_routed_by_its_path_alone_whatever_form_its_target_has() {
        for target in [
            "/orders",
            "/orders?n=1",
            "http://host:80/orders",
            "http://host/orders?x=/",
        ] {
            assert_eq!(Route::find("POST", target), Route::Order, "{target}");
        }
        for target in [
            "/",
            "/?",
            "http://host",
            "http://host/",
            "/?to=http://x/orders",
        ] {
            assert_eq!(Route::find("GET", target), Route::Alive, "{target}");
        }
        for target in ["/order", "orders", "", "*", "//"] {
            assert_eq!(Route::find("POST", target), Route::Unknown, "{target:?}");
        }
        assert_eq!(Route::find("GET", "/orders"), Route::WrongMethod("POST"));
        assert_eq!(Route::find("POST", "/"), Route::WrongMethod("GET, HEAD"));
    }
}
