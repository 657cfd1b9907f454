//! From a target's protocol to a type: the one place where protocols are named.

use super::NetworkError;
use super::codecs::order::OrderMaker;
use super::session::MakeSession;
use super::target::{NetworkTarget, Transport};
use crate::scenario::Scenario;

/// Something to be done with sessions of a type that it does not know: compiled for each.
pub(super) trait WithSessions {
    type Output;

    fn with<M: MakeSession>(self, maker: M) -> Self::Output;
}

/// Hands `job` the way to make sessions of the target's protocol.
///
/// # Errors
/// A protocol that is not built in, requests that cannot be made.
pub(super) fn dispatch<J: WithSessions>(
    scenario: &Scenario,
    target: &NetworkTarget,
    job: J,
) -> Result<J::Output, NetworkError> {
    match target.transport {
        Transport::Tcp | Transport::Udp if !target.tls => {
            Ok(job.with(OrderMaker::new(scenario.seed)))
        }
        _ => Err(NetworkError::Request(format!(
            "the protocol of {target} is not built in"
        ))),
    }
}
