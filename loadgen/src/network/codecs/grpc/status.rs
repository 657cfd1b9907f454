//! What came of a call: the header or trailer `grpc-status`, by the names of the gRPC specification.

use http::header::{CONTENT_TYPE, HeaderMap};

use crate::network::session::Answer;

/// A message's prefix: compressed or not, and its length.
pub(super) const PREFIX: usize = 5;

/// What the headers alone say of a call: nothing yet when its status comes in trailers.
pub(in crate::network::codecs) fn of_headers(headers: &HeaderMap) -> Option<Answer> {
    let is_grpc = headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    if !is_grpc {
        return Some(Answer::Failed("not gRPC".into()));
    }
    // A call that failed at once may have its status here ("trailers only").
    headers
        .contains_key("grpc-status")
        .then(|| of_trailers(Some(headers), 0))
}

/// What the trailers say of a call whose reply had so many bytes.
pub(in crate::network::codecs) fn of_trailers(trailers: Option<&HeaderMap>, body: usize) -> Answer {
    let status = trailers.and_then(|trailers| trailers.get("grpc-status"));
    match status.map(http::HeaderValue::as_bytes) {
        Some(b"0") if body >= PREFIX => Answer::Ok,
        // Done, yet without the one reply that a unary call has.
        Some(b"0") => Answer::Failed("bad reply".into()),
        Some(code) => Answer::Failed(kind(code).into()),
        None => Answer::Failed("grpc without status".into()),
    }
}

fn kind(code: &[u8]) -> &'static str {
    match code {
        b"1" => "grpc CANCELLED",
        b"3" => "grpc INVALID_ARGUMENT",
        b"4" => "grpc DEADLINE_EXCEEDED",
        b"5" => "grpc NOT_FOUND",
        b"6" => "grpc ALREADY_EXISTS",
        b"7" => "grpc PERMISSION_DENIED",
        b"8" => "grpc RESOURCE_EXHAUSTED",
        b"9" => "grpc FAILED_PRECONDITION",
        b"10" => "grpc ABORTED",
        b"11" => "grpc OUT_OF_RANGE",
        b"12" => "grpc UNIMPLEMENTED",
        b"13" => "grpc INTERNAL",
        b"14" => "grpc UNAVAILABLE",
        b"15" => "grpc DATA_LOSS",
        b"16" => "grpc UNAUTHENTICATED",
        // 2, and by the specification all that are not known.
        _ => "grpc UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.insert(*name, http::HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn a_call_is_done_when_its_status_is_0_and_a_reply_came() {
        let done = headers(&[("grpc-status", "0")]);
        assert_eq!(of_trailers(Some(&done), 5), Answer::Ok);
        assert_eq!(
            of_trailers(Some(&done), 0),
            Answer::Failed("bad reply".into())
        );
        assert_eq!(
            of_trailers(None, 5),
            Answer::Failed("grpc without status".into())
        );
    }

    #[test]
    fn a_failure_is_named_as_the_specification_does_whether_in_headers_or_trailers() {
        let failed = headers(&[("content-type", "application/grpc"), ("grpc-status", "14")]);
        let expected = Answer::Failed("grpc UNAVAILABLE".into());
        assert_eq!(of_headers(&failed), Some(expected.clone()));
        assert_eq!(of_trailers(Some(&failed), 0), expected);
        let unheard_of = headers(&[("grpc-status", "99")]);
        assert_eq!(
            of_trailers(Some(&unheard_of), 0),
            Answer::Failed("grpc UNKNOWN".into())
        );
    }

    #[test]
    fn an_answer_that_is_no_grpc_at_all_is_a_failure_of_its_own_kind() {
        let page = headers(&[("content-type", "text/html")]);
        let expected = Some(Answer::Failed("not gRPC".into()));
        assert_eq!(of_headers(&page), expected);
        assert_eq!(of_headers(&HeaderMap::new()), expected);
        let reply = headers(&[("content-type", "application/grpc+proto")]);
        assert_eq!(of_headers(&reply), None);
    }
}
