//! gRPC: unary calls over HTTP/2, with a message made once from JSON.
//!
//! What a method takes is learnt before the run, from a file of descriptors or from the server itself
//! (`reflection`); the JSON then becomes protobuf (`message`), and every call sends the same bytes. During
//! the run a call is a request of [`super::http2`], and costs what that costs; answers are not decoded,
//! only their status is read (`status`).
//!
//! Limits: unary methods only. `{n}` is not filled in, and refused. No compression. Calls carry no
//! `grpc-timeout` of their own (give it as a header).

mod message;
mod reflection;
mod schema;
pub(super) mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::{HeaderMap, Method};
use prost_reflect::MethodDescriptor;

use self::reflection::Reflected;
use self::schema::MethodName;
use super::http2::{self, Http2, Prepared};
use super::options::{RequestOption, refuse_others};
use crate::network::error::NetworkError;
use crate::network::session::MakeSession;
use crate::network::target::NetworkTarget;
use crate::network::tls::TlsClient;
use crate::scenario::RequestOptions;

const USED: [RequestOption; 4] = [
    RequestOption::GrpcMethod,
    RequestOption::DescriptorSet,
    RequestOption::Headers,
    RequestOption::Body,
];

/// Makes the sessions of `grpc://` and `grpcs://` targets.
#[derive(Debug, Clone)]
pub struct GrpcMaker {
    prepared: Arc<Prepared>,
}

impl GrpcMaker {
    /// Prepares the one call that all sessions make. A target over TLS needs `tls`.
    ///
    /// Without a descriptor set it asks the server by reflection, over a connection of its own, for at most
    /// 10 s; blocks for that long. Not to be called from within an async runtime. A method whose message is
    /// empty can be called even where there is no reflection.
    ///
    /// # Errors
    /// A service or method that does not exist (those that do are named) or streams; JSON that is not the
    /// method's message; a descriptor set that cannot be read; a server that cannot be reached; options of
    /// other transports.
    pub fn prepare(
        target: &NetworkTarget,
        request: &RequestOptions,
        tls: Option<&TlsClient>,
    ) -> Result<Self, NetworkError> {
        refuse_others("gRPC", &USED, request)?;
        let name = MethodName::parse(request.grpc_method.as_deref().unwrap_or_default())?;
        let headers = http2::headers(&request.headers)?;
        headers.refuse_numbered()?;
        let (mut headers, host) = (headers.fixed, headers.host);
        let authority = host.map_or_else(|| http2::authority(target), Ok)?;
        let method = match &request.descriptor_set {
            Some(file) => Some(schema::find(&schema::from_file(file)?, &name)?),
            None => match reflection::ask(target, &authority, &headers, tls, &name)? {
                Reflected::Schema(pool) => Some(schema::find(&pool, &name)?),
                Reflected::NotOffered if request.body.is_none() => None,
                Reflected::NotOffered => {
                    return Err(NetworkError::Request(
                        "the server does not offer reflection (grpc.reflection.v1 or v1alpha), so nothing \
                         says what the message is: give a descriptor set, made by `protoc --include_imports \
                         --descriptor_set_out=FILE NAME.proto`"
                            .to_owned(),
                    ));
                }
            },
        };
        if let Some(method) = &method {
            refuse_streams(method)?;
        }
        let body = message::framed(
            method.as_ref().map(MethodDescriptor::input),
            request.body.as_deref(),
        )?;
        set_protocol(&mut headers);
        let head = http2::head(target.tls, authority, &name.path(), Method::POST, headers)?;
        Ok(Self {
            prepared: Arc::new(Prepared::grpc(head, body)),
        })
    }
}

impl MakeSession for GrpcMaker {
    type Session = Http2;

    fn make(&self) -> Http2 {
        Http2::new(Arc::clone(&self.prepared))
    }
}

fn refuse_streams(method: &MethodDescriptor) -> Result<(), NetworkError> {
    let streams = match (method.is_client_streaming(), method.is_server_streaming()) {
        (false, false) => return Ok(()),
        (true, false) => "a stream of requests",
        (false, true) => "a stream of replies",
        (true, true) => "streams of requests and replies",
    };
    Err(NetworkError::Request(format!(
        "{} is {streams}; only methods with one request and one reply (unary) can be loaded",
        method.full_name()
    )))
}

/// The headers that make a request a call; they are not the user's to choose.
fn set_protocol(headers: &mut HeaderMap) {
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/grpc+proto"),
    );
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.remove(HeaderName::from_static("grpc-encoding"));
}
