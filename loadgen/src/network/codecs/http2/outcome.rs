//! What an answer means: its status, its trailers, or how it failed.
//!
//! Kinds of errors are few and their names fixed, since errors are counted by them.

use http::{HeaderMap, StatusCode};

use crate::network::codecs::answers::of_status;
use crate::network::codecs::grpc;
use crate::network::session::Answer;

/// What the requests of a connection are, thus what their answers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network::codecs) enum Meaning {
    /// Plain requests: a status of 400 or more is a failure.
    Http,
    /// gRPC calls: the trailer `grpc-status` says it.
    Grpc,
}

/// What is known of an answer so far.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Whatever follows.
    Settled(Answer),
    /// A gRPC answer whose status comes in trailers; so many bytes of its message have come.
    Awaiting { body: usize },
}

impl Meaning {
    /// What an answer's headers say.
    pub(super) fn of_headers(self, status: StatusCode, headers: &HeaderMap) -> Verdict {
        let refused = match self {
            Self::Http => status.as_u16() >= 400,
            Self::Grpc => status != StatusCode::OK,
        };
        if refused {
            return Verdict::Settled(of_status(status.as_u16()));
        }
        match self {
            Self::Http => Verdict::Settled(Answer::Ok),
            Self::Grpc => grpc::status::of_headers(headers)
                .map_or(Verdict::Awaiting { body: 0 }, Verdict::Settled),
        }
    }
}

impl Verdict {
    /// So many bytes of the body have come.
    pub(super) fn add_body(&mut self, bytes: usize) {
        if let Self::Awaiting { body } = self {
            *body = body.saturating_add(bytes);
        }
    }

    /// What the whole answer says.
    pub(super) fn at_end(&mut self, trailers: Option<&HeaderMap>) -> Answer {
        match self {
            // Said once, so nothing is cloned.
            Self::Settled(answer) => std::mem::replace(answer, Answer::Ok),
            Self::Awaiting { body } => grpc::status::of_trailers(trailers, *body),
        }
    }
}

/// What a failed stream means for its request; nothing when the whole connection has failed.
pub(super) fn of_error(error: &h2::Error) -> Option<Answer> {
    if error.is_reset() {
        // One that we sent ourselves: its answer was malformed, but the connection goes on.
        let kind = if error.is_remote() {
            reset_kind(error.reason())
        } else {
            "bad reply"
        };
        return Some(Answer::Failed(kind.into()));
    }
    // The server says that it never began with this one.
    (error.is_go_away() && error.is_remote()).then(|| Answer::Failed("go away".into()))
}

/// Whether a reset only says that the rest of the request is not wanted: the answer was complete (RFC 9113,
/// section 8.1).
pub(super) fn is_harmless(error: &h2::Error) -> bool {
    error.is_reset() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
}

fn reset_kind(reason: Option<h2::Reason>) -> &'static str {
    use h2::Reason;
    match reason {
        Some(Reason::NO_ERROR) => "stream reset NO_ERROR",
        Some(Reason::PROTOCOL_ERROR) => "stream reset PROTOCOL_ERROR",
        Some(Reason::INTERNAL_ERROR) => "stream reset INTERNAL_ERROR",
        Some(Reason::FLOW_CONTROL_ERROR) => "stream reset FLOW_CONTROL_ERROR",
        Some(Reason::STREAM_CLOSED) => "stream reset STREAM_CLOSED",
        Some(Reason::FRAME_SIZE_ERROR) => "stream reset FRAME_SIZE_ERROR",
        Some(Reason::REFUSED_STREAM) => "stream reset REFUSED_STREAM",
        Some(Reason::CANCEL) => "stream reset CANCEL",
        Some(Reason::COMPRESSION_ERROR) => "stream reset COMPRESSION_ERROR",
        Some(Reason::ENHANCE_YOUR_CALM) => "stream reset ENHANCE_YOUR_CALM",
        Some(Reason::INADEQUATE_SECURITY) => "stream reset INADEQUATE_SECURITY",
        Some(Reason::HTTP_1_1_REQUIRED) => "stream reset HTTP_1_1_REQUIRED",
        _ => "stream reset",
    }
}
