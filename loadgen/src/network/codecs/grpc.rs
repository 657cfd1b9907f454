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
use super::http2::{self, Http2Session, Meaning, Prepared};
use crate::network::error::NetworkError;
use crate::network::session::MakeSession;
use crate::network::target::NetworkTarget;
use crate::scenario::RequestOptions;

/// How a server is asked over TLS for its schema, before the run.
#[derive(Debug, Clone)]
pub struct ReflectionTls {
    /// Must offer [`http2::ALPN`].
    pub config: Arc<rustls::ClientConfig>,
    /// The name that the certificate must bear.
    pub server_name: rustls::pki_types::ServerName<'static>,
}

/// Makes the sessions of `grpc://` and `grpcs://` targets.
#[derive(Debug, Clone)]
pub struct Grpc {
    prepared: Arc<Prepared>,
}

impl Grpc {
    /// Prepares the one call that all sessions make.
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
        tls: Option<&ReflectionTls>,
    ) -> Result<Self, NetworkError> {
        refuse_foreign(request)?;
        let name = method_name(target, request)?;
        let (mut headers, host) = http2::headers(&request.headers)?;
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
            prepared: Arc::new(Prepared::new(head, Some(body), Meaning::Grpc)),
        })
    }
}

impl MakeSession for Grpc {
    type Session = Http2Session;

    fn make(&self) -> Http2Session {
        Http2Session::new(Arc::clone(&self.prepared))
    }
}

/// The method is given by itself or as the path of the target.
fn method_name(
    target: &NetworkTarget,
    request: &RequestOptions,
) -> Result<MethodName, NetworkError> {
    let in_path = Some(target.path.trim_start_matches('/')).filter(|path| !path.is_empty());
    match (&request.grpc_method, in_path) {
        (Some(_), Some(path)) => Err(NetworkError::Request(format!(
            "a gRPC method is given, and {path:?} in the target: only one of them can be called"
        ))),
        (Some(text), None) => MethodName::parse(text),
        (None, Some(path)) => MethodName::parse(path),
        (None, None) => Err(NetworkError::Request(
            "a gRPC target needs a method, written package.Service/Method".to_owned(),
        )),
    }
}

fn refuse_foreign(request: &RequestOptions) -> Result<(), NetworkError> {
    let foreign = [
        (request.method.is_some(), "a method of HTTP: calls are POST"),
        (!request.command.is_empty(), "a Redis command"),
    ];
    match foreign.iter().find(|(given, _)| *given) {
        Some((_, what)) => Err(NetworkError::Request(format!(
            "a gRPC target has no use for {what}"
        ))),
        None => Ok(()),
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
