//! Asking a server what it serves: `grpc.reflection.v1`, or `v1alpha` where that is all it offers.
//!
//! This happens once, before the run, over a connection of its own, so it may be as slow and as
//! comfortable as `tonic` on a `tokio` of one thread. The two versions of the protocol differ in their name
//! alone, hence the messages of one serve for both.
//!
//! What a server may make us hold is limited: files of 64 MiB together, 10,000 of them, within 10 s.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Uri};
use hyper_util::rt::TokioIo;
use prost::Message;
use prost_reflect::DescriptorPool;
use prost_reflect::prost_types::FileDescriptorProto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::codegen::Service;
use tonic::codegen::tokio_stream;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::schema::{self, MAX_BYTES, MethodName};
use crate::network::error::NetworkError;
use crate::network::target::NetworkTarget;
use crate::network::tls::TlsClient;

/// From newest to oldest.
const VERSIONS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

const TIME: Duration = Duration::from_secs(10);
const MAX_FILES: usize = 10_000;

/// What a server said of itself.
#[derive(Debug)]
pub(super) enum Reflected {
    /// The wanted service with all that it needs.
    Schema(DescriptorPool),
    /// It has no reflection.
    NotOffered,
}

/// Asks `target` for the service of `name`.
pub(super) fn ask(
    target: &NetworkTarget,
    authority: &Authority,
    headers: &HeaderMap,
    tls: Option<&TlsClient>,
    name: &MethodName,
) -> Result<Reflected, NetworkError> {
    if target.tls && tls.is_none() {
        return Err(NetworkError::Request(
            "the schema of a target over TLS cannot be asked for without a way to trust it"
                .to_owned(),
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(NetworkError::EventLoop)?;
    runtime.block_on(async {
        let asking = async {
            let channel = connect(target, authority, tls).await?;
            let mut server = Server {
                channel: tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_BYTES),
                path: PathAndQuery::from_static(VERSIONS[0]),
                headers,
            };
            server.schema(&name.service).await
        };
        tokio::time::timeout(TIME, asking)
            .await
            .unwrap_or_else(|_| {
                Err(refused(format!(
                    "no answer within {} s; a descriptor set makes asking unnecessary",
                    TIME.as_secs()
                )))
            })
    })
}

/// A server with reflection.
struct Server<'a> {
    channel: tonic::client::Grpc<Channel>,
    path: PathAndQuery,
    headers: &'a HeaderMap,
}

impl Server<'_> {
    async fn schema(&mut self, service: &str) -> Result<Reflected, NetworkError> {
        let symbol = MessageRequest::FileContainingSymbol(service.to_owned());
        let mut asked = self.query(symbol.clone()).await;
        if is_missing(&asked) {
            self.path = PathAndQuery::from_static(VERSIONS[1]);
            asked = self.query(symbol).await;
        }
        if is_missing(&asked) {
            return Ok(Reflected::NotOffered);
        }
        let Some(files) = files_of(asked)? else {
            return Err(schema::no_service(service, &self.services().await?));
        };
        self.complete(files).await.map(Reflected::Schema)
    }

    /// Asks for what the files import, until nothing is missing.
    async fn complete(&mut self, files: Vec<Vec<u8>>) -> Result<DescriptorPool, NetworkError> {
        let known = DescriptorPool::global();
        let mut have = BTreeMap::new();
        let mut missing = BTreeSet::new();
        let mut bytes = 0;
        let mut fresh = files;
        loop {
            for encoded in fresh.drain(..) {
                bytes += encoded.len();
                if bytes > MAX_BYTES || have.len() >= MAX_FILES {
                    return Err(refused("its schema is larger than 64 MiB or 10,000 files"));
                }
                let file = FileDescriptorProto::decode(encoded.as_slice())
                    .map_err(|cause| refused(format!("a file that is no descriptor: {cause}")))?;
                missing.remove(file.name());
                for import in &file.dependency {
                    if !have.contains_key(import.as_str()) {
                        missing.insert(import.clone());
                    }
                }
                have.insert(file.name().to_owned(), file);
            }
            missing.retain(|name| !have.contains_key(name));
            let Some(name) = missing.pop_first() else {
                break;
            };
            let asked = self
                .query(MessageRequest::FileByFilename(name.clone()))
                .await;
            match files_of(asked)? {
                Some(files) => fresh = files,
                // Many servers leave out the well-known types, and we know those.
                None => match known.get_file_by_name(&name) {
                    Some(file) => fresh = vec![file.encode_to_vec()],
                    None => {
                        return Err(refused(format!(
                            "its schema imports {name:?}, but the server does not have that file"
                        )));
                    }
                },
            }
            // What the server gave may be another file; it is not asked for twice.
            if fresh.is_empty() {
                return Err(refused(format!("nothing for the file {name:?}")));
            }
        }
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_protos(have.into_values())
            .map_err(|cause| refused(format!("a schema that does not fit together: {cause}")))?;
        Ok(pool)
    }

    async fn services(&mut self) -> Result<Vec<String>, NetworkError> {
        match self
            .query(MessageRequest::ListServices(String::new()))
            .await
        {
            Ok(MessageResponse::ListServicesResponse(list)) => {
                Ok(list.service.into_iter().map(|one| one.name).collect())
            }
            Ok(_) => Err(refused("no list of services where one was asked for")),
            Err(status) => Err(failed(&status)),
        }
    }

    /// One question, one answer, on a stream of its own: all servers can do that.
    async fn query(&mut self, question: MessageRequest) -> Result<MessageResponse, Status> {
        self.channel
            .ready()
            .await
            .map_err(|cause| Status::unavailable(cause.to_string()))?;
        let question = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        let mut request = Request::new(tokio_stream::once(question));
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        let codec: ProstCodec<ServerReflectionRequest, ServerReflectionResponse> =
            ProstCodec::default();
        let answer = self
            .channel
            .streaming(request, self.path.clone(), codec)
            .await?
            .into_inner()
            .message()
            .await?;
        answer
            .and_then(|answer| answer.message_response)
            .ok_or_else(|| Status::internal("an empty answer"))
    }
}

/// Whether there is no such service as the one that was asked.
fn is_missing(asked: &Result<MessageResponse, Status>) -> bool {
    matches!(asked, Err(status) if status.code() == Code::Unimplemented)
}

/// The files of an answer; nothing when the server knows none.
fn files_of(asked: Result<MessageResponse, Status>) -> Result<Option<Vec<Vec<u8>>>, NetworkError> {
    match asked {
        Ok(MessageResponse::FileDescriptorResponse(files)) => Ok(Some(files.file_descriptor_proto)),
        Ok(MessageResponse::ErrorResponse(error)) if error.error_code == Code::NotFound as i32 => {
            Ok(None)
        }
        Ok(MessageResponse::ErrorResponse(error)) => Err(refused(error.error_message)),
        Ok(_) => Err(refused("another answer than files")),
        // Some servers fail the call instead of answering.
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(failed(&status)),
    }
}

fn failed(status: &Status) -> NetworkError {
    refused(format!("{:?}: {}", status.code(), status.message()))
}

fn refused(reason: impl std::fmt::Display) -> NetworkError {
    NetworkError::Request(format!(
        "the server was asked for its schema by reflection: {reason}"
    ))
}

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A future that makes a connection.
type Connecting = Pin<Box<dyn Future<Output = io::Result<TokioIo<Box<dyn Stream>>>> + Send>>;

/// Connects to one place, whatever the URL: `tonic`'s own connector knows no TLS settings like ours.
struct Connector {
    host: String,
    port: u16,
    tls: Option<TlsClient>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Connecting {
        let (host, port, tls) = (self.host.clone(), self.port, self.tls.clone());
        Box::pin(async move {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let tcp = TcpStream::connect((host, port)).await?;
            tcp.set_nodelay(true)?;
            let stream: Box<dyn Stream> = match tls {
                None => Box::new(tcp),
                Some(tls) => {
                    let (config, name) = tls.for_sockets();
                    let connector = tokio_rustls::TlsConnector::from(config);
                    Box::new(connector.connect(name, tcp).await?)
                }
            };
            Ok(TokioIo::new(stream))
        })
    }
}

async fn connect(
    target: &NetworkTarget,
    authority: &Authority,
    tls: Option<&TlsClient>,
) -> Result<Channel, NetworkError> {
    let connect_error = |cause: &(dyn Error + 'static)| match (tls, tls_error(cause)) {
        (Some(tls), Some(error)) => tls.wrong(error),
        _ => NetworkError::Connect {
            target: authority.to_string(),
            cause: root_of(cause),
        },
    };
    // TLS is the connector's: an endpoint that says https would want its own.
    let mut endpoint = Endpoint::from_shared(format!("http://{authority}"))
        .map_err(|cause| connect_error(&cause))?;
    if target.tls
        && let Ok(origin) = Uri::try_from(format!("https://{authority}"))
    {
        endpoint = endpoint.origin(origin);
    }
    let connector = Connector {
        host: target.host.clone(),
        port: target.port,
        tls: tls.filter(|_| target.tls).cloned(),
    };
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|cause| connect_error(&cause))
}

/// The error of TLS that is the cause of `error`, if one is.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut error = Some(error);
    while let Some(one) = error {
        let inner = one
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref());
        if inner.is_some() {
            return inner;
        }
        error = one.source();
    }
    None
}

/// The innermost cause: those around it only say that connecting failed.
fn root_of(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}
