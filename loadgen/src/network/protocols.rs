//! From a target's protocol to a type: the one place where protocols are named.
//!
//! The event loop is compiled once for each protocol whose own cost is near that of a call through a table
//! (orders, HTTP/1.1), and once for all others, and for all over TLS.

use super::NetworkError;
use super::codecs::http1::Http1Maker;
use super::codecs::order::OrderMaker;
use super::codecs::redis::RedisMaker;
use super::codecs::websocket::WebSocketMaker;
use super::secured::SecuredMaker;
use super::session::{MakeSession, Session};
use super::target::{NetworkTarget, Transport};
use super::tls::TlsClient;
use crate::scenario::Scenario;

/// Something to be done with sessions of a type that it does not know: compiled for each.
pub(super) trait WithSessions {
    type Output;

    fn with<M: MakeSession>(self, maker: M) -> Self::Output;
}

/// Sessions of any protocol, called through a table.
struct AnyMaker(Box<dyn Fn() -> Box<dyn Session> + Send + Sync>);

impl AnyMaker {
    fn of<M: MakeSession + 'static>(maker: M) -> AnyMaker {
        AnyMaker(Box::new(move || Box::new(maker.make())))
    }
}

impl MakeSession for AnyMaker {
    type Session = Box<dyn Session>;

    fn make(&self) -> Box<dyn Session> {
        (self.0)()
    }
}

/// Hands `job` the way to make sessions of the target's protocol.
///
/// # Errors
/// Requests that cannot be made, certificates that cannot be read.
pub(super) fn dispatch<J: WithSessions>(
    scenario: &Scenario,
    target: &NetworkTarget,
    job: J,
) -> Result<J::Output, NetworkError> {
    let options = &scenario.request;
    match (target.transport, target.tls) {
        (Transport::Tcp | Transport::Udp, false) => Ok(job.with(OrderMaker::new(scenario.seed))),
        (Transport::Http1, false) => Ok(job.with(Http1Maker::new(target, options)?)),
        (transport, _) => Ok(job.with(match transport {
            Transport::Tcp | Transport::Udp => {
                any(scenario, target, OrderMaker::new(scenario.seed))?
            }
            Transport::Http1 => any(scenario, target, Http1Maker::new(target, options)?)?,
            Transport::WebSocket => any(scenario, target, WebSocketMaker::new(target, options)?)?,
            Transport::Redis => any(scenario, target, RedisMaker::new(options)?)?,
            Transport::Http2 | Transport::Grpc => {
                return Err(NetworkError::Request(format!(
                    "the protocol of {target} is not built in"
                )));
            }
        })),
    }
}

/// The same sessions, over TLS if the target wants it.
fn any<M: MakeSession + 'static>(
    scenario: &Scenario,
    target: &NetworkTarget,
    maker: M,
) -> Result<AnyMaker, NetworkError>
where
    M::Session: 'static,
{
    if !target.tls {
        return Ok(AnyMaker::of(maker));
    }
    let client = TlsClient::new(target, &scenario.tls)?;
    Ok(AnyMaker::of(SecuredMaker::new(maker, client)?))
}
