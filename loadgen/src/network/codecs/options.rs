//! Options that a transport has no use for are refused: somebody meant something by them.

use crate::network::error::NetworkError;
use crate::scenario::RequestOptions;

/// One of the options that requests are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestOption {
    Method,
    Headers,
    Body,
    GrpcMethod,
    DescriptorSet,
    Command,
}

impl RequestOption {
    const ALL: [RequestOption; 6] = [
        RequestOption::Method,
        RequestOption::Headers,
        RequestOption::Body,
        RequestOption::GrpcMethod,
        RequestOption::DescriptorSet,
        RequestOption::Command,
    ];

    fn name(self) -> &'static str {
        match self {
            RequestOption::Method => "a method",
            RequestOption::Headers => "headers",
            RequestOption::Body => "a body",
            RequestOption::GrpcMethod => "a gRPC method",
            RequestOption::DescriptorSet => "a descriptor set",
            RequestOption::Command => "a Redis command",
        }
    }

    fn is_set(self, options: &RequestOptions) -> bool {
        match self {
            RequestOption::Method => options.method.is_some(),
            RequestOption::Headers => !options.headers.is_empty(),
            RequestOption::Body => options.body.is_some(),
            RequestOption::GrpcMethod => options.grpc_method.is_some(),
            RequestOption::DescriptorSet => options.descriptor_set.is_some(),
            RequestOption::Command => !options.command.is_empty(),
        }
    }
}

/// Refuses every option that is set and is not in `used`; `protocol` names who has no use for it.
pub(crate) fn refuse_others(
    protocol: &str,
    used: &[RequestOption],
    options: &RequestOptions,
) -> Result<(), NetworkError> {
    let stray = RequestOption::ALL
        .into_iter()
        .find(|option| option.is_set(options) && !used.contains(option));
    let Some(stray) = stray else {
        return Ok(());
    };
    if used.is_empty() {
        return Err(NetworkError::Request(format!(
            "{protocol} requests have no use for {}: nothing about them can be chosen but the seed",
            stray.name()
        )));
    }
    let used: Vec<_> = used.iter().map(|option| option.name()).collect();
    Err(NetworkError::Request(format!(
        "{protocol} requests have no use for {}: they are made from {}",
        stray.name(),
        used.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_of_another_protocol_is_refused_by_name() {
        let options = RequestOptions {
            command: vec!["PING".to_owned()],
            ..RequestOptions::default()
        };
        let used = [RequestOption::Method, RequestOption::Body];
        let refused = refuse_others("HTTP", &used, &options).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "HTTP requests have no use for a Redis command: they are made from a method, a body"
        );
        refuse_others("Redis", &[RequestOption::Command], &options).unwrap();
    }
}
