//! From a target's protocol to a type: the one place where protocols are named.

use super::NetworkError;
use super::codecs::grpc::GrpcMaker;
use super::codecs::http1::Http1Maker;
use super::codecs::http2::Http2Maker;
use super::codecs::order::OrderMaker;
use super::codecs::redis::RedisMaker;
use super::codecs::websocket::WebSocketMaker;
use super::session::MakeSession;
use super::target::{NetworkTarget, Transport};
use super::tls::TlsClient;
use crate::scenario::Scenario;

/// Something to be done with sessions of a type that it does not know: compiled for each.
pub(super) trait WithSessions {
    type Output;

    fn with<M: MakeSession>(self, maker: M) -> Self::Output;
}

/// Hands `job` the way to make sessions of the target's protocol.
///
/// # Errors
/// Requests that cannot be made as they are described.
pub(super) fn dispatch<J: WithSessions>(
    scenario: &Scenario,
    target: &NetworkTarget,
    tls: Option<&TlsClient>,
    job: J,
) -> Result<J::Output, NetworkError> {
    let options = &scenario.request;
    Ok(match target.transport {
        Transport::Tcp | Transport::Udp => job.with(OrderMaker::new(scenario.seed, options)?),
        Transport::Http1 => job.with(Http1Maker::new(target, options)?),
        Transport::Http2 => job.with(Http2Maker::new(target, options)?),
        Transport::Grpc => job.with(GrpcMaker::prepare(target, options, tls)?),
        Transport::WebSocket => job.with(WebSocketMaker::new(target, options)?),
        Transport::Redis => job.with(RedisMaker::new(options)?),
    })
}
