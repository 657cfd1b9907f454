//! A tonic service behind hyper, with and without reflection, with and without TLS.

use std::convert::Infallible;
use std::sync::Mutex;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tonic_reflection::server::Builder;

use super::*;
use crate::network::codecs::http2::tests::loopback::{Loopback, answers, serve_echo};
use crate::network::session::Answer;
use crate::scenario::TlsOptions;

/// Which reflection a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offers {
    V1,
    V1Alpha,
    Nothing,
}

/// What a server was asked to place.
type Placed = Arc<Mutex<Vec<Order>>>;

#[derive(Clone)]
struct Place(Placed);

impl Service<Request<Order>> for Place {
    type Response = Response<Receipt>;
    type Error = Status;
    type Future = BoxFuture<Response<Receipt>, Status>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Status>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Order>) -> Self::Future {
        let placed = Arc::clone(&self.0);
        Box::pin(async move {
            let order = request.into_inner();
            if order.id == "down" {
                return Err(Status::unavailable("the shop is closed"));
            }
            let id = order.id.clone();
            placed.lock().unwrap().push(order);
            Ok(Response::new(Receipt { id }))
        })
    }
}

async fn answer(
    request: http::Request<Incoming>,
    offers: Offers,
    placed: Placed,
) -> Result<http::Response<Body>, Infallible> {
    // Without the well-known types, as many servers have it.
    let builder =
        Builder::configure().register_file_descriptor_set(FileDescriptorSet { file: files() });
    match (request.uri().path(), offers) {
        ("/shop.Orders/Place", _) => {
            let codec: ProstCodec<Receipt, Order> = ProstCodec::default();
            Ok(tonic::server::Grpc::new(codec)
                .unary(Place(placed), request)
                .await)
        }
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Offers::V1) => {
            builder.build_v1().unwrap().call(request).await
        }
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Offers::V1Alpha) => {
            builder.build_v1alpha().unwrap().call(request).await
        }
        _ => Ok(Status::unimplemented("").into_http()),
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, offers: Offers, placed: Placed) {
    let answer = service_fn(move |request| answer(request, offers, Arc::clone(&placed)));
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

fn server(offers: Offers) -> (Loopback, NetworkTarget, Placed) {
    let placed = Placed::default();
    let kept = Arc::clone(&placed);
    let server = Loopback::new(move |stream| serve(stream, offers, Arc::clone(&placed)));
    let target = at(&server);
    (server, target, kept)
}

fn at(server: &Loopback) -> NetworkTarget {
    NetworkTarget {
        port: server.address.port(),
        ..target()
    }
}

#[test]
fn a_server_that_tells_its_schema_gets_calls_made_from_json() {
    for offers in [Offers::V1, Offers::V1Alpha] {
        let (server, target, placed) = server(offers);
        let request = call("shop.Orders/Place", Some(JSON));
        let maker = GrpcMaker::prepare(&target, &request, None).unwrap();
        let answers = answers(server.address, &mut maker.make(), 300);
        assert_eq!(answers, vec![Answer::Ok; 300]);
        assert_eq!(*placed.lock().unwrap(), vec![order(); 300]);
    }
}

#[test]
fn a_call_that_fails_is_counted_by_its_status() {
    let (server, target, _) = server(Offers::V1);
    let request = call("shop.Orders/Place", Some(r#"{"id": "down"}"#));
    let maker = GrpcMaker::prepare(&target, &request, None).unwrap();
    let answers = answers(server.address, &mut maker.make(), 3);
    assert_eq!(answers, vec![Answer::Failed("grpc UNAVAILABLE".into()); 3]);
}

#[test]
fn what_a_server_does_not_have_is_refused_with_what_it_has() {
    let (_server, target, _) = server(Offers::V1);
    let cases = [
        ("shop.Order/Place", "did you mean \"shop.Orders\"?"),
        ("shop.Orders/Plce", "did you mean \"Place\"?"),
    ];
    for (method, expected) in cases {
        let refused = GrpcMaker::prepare(&target, &call(method, None), None).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
}

#[test]
fn without_reflection_only_an_empty_message_can_be_sent() {
    let (server, target, placed) = server(Offers::Nothing);
    let request = call("shop.Orders/Place", Some(JSON));
    let refused = GrpcMaker::prepare(&target, &request, None).unwrap_err();
    assert!(refused.to_string().contains("descriptor set"), "{refused}");

    let maker = GrpcMaker::prepare(&target, &call("shop.Orders/Place", None), None).unwrap();
    assert_eq!(answers(server.address, &mut maker.make(), 1), [Answer::Ok]);
    assert_eq!(*placed.lock().unwrap(), [Order::default()]);
    let maker = GrpcMaker::prepare(&target, &call("shop.Orders/Cancel", None), None).unwrap();
    assert_eq!(
        answers(server.address, &mut maker.make(), 1),
        [Answer::Failed("grpc UNIMPLEMENTED".into())]
    );
}

#[test]
fn a_server_that_is_not_there_or_speaks_no_grpc_is_named() {
    let refused = GrpcMaker::prepare(&target(), &call("shop.Orders/Place", Some("{}")), None);
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("127.0.0.1:1") && text.contains("refused"),
        "{text}"
    );

    let server = Loopback::new(serve_echo);
    let request = call("shop.Orders/Place", Some("{}"));
    let refused = GrpcMaker::prepare(&at(&server), &request, None).unwrap_err();
    assert!(refused.to_string().contains("reflection"), "{refused}");
}

#[test]
fn a_server_is_asked_for_its_schema_over_tls_too() {
    let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut settings = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    settings.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(settings));
    let server = Loopback::new(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, Offers::V1, Placed::default()).await;
            }
        }
    });

    let target = NetworkTarget {
        tls: true,
        ..at(&server)
    };
    let dir = tempfile::tempdir().unwrap();
    let authority = dir.path().join("ca.pem");
    std::fs::write(&authority, made.cert.pem()).unwrap();
    let asked = |server_name: &str| {
        let options = TlsOptions {
            certificate_authority: Some(authority.clone()),
            server_name: Some(server_name.to_owned()),
            ..TlsOptions::default()
        };
        let tls = TlsClient::new(&target, &options).unwrap();
        let request = call("shop.Orders/Place", Some(JSON));
        GrpcMaker::prepare(&target, &request, Some(&tls))
    };
    asked("shop.example").unwrap();
    let refused = asked("other.example").unwrap_err().to_string();
    assert!(refused.contains("--server-name"), "{refused}");
}
