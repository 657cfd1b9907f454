//! HTTP/2, by the client of the `h2` crate.

use super::*;
use ::http::{Request, Version};
use bytes::Bytes;
use h2::client::SendRequest;

fn start() -> Server {
    Server::start(Service::Pool, |options| {
        options.h2 = Some(ServeOptions::ANY_LOCAL_PORT);
    })
}

/// Runs `job` with a connection.
fn with_client<T>(server: &Server, job: impl AsyncFnOnce(SendRequest<Bytes>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let address = server.addresses.h2.unwrap();
    runtime.block_on(async move {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let driving = tokio::spawn(connection);
        let done = job(client).await;
        driving.abort();
        done
    })
}

/// Sends a request; what comes back is awaited separately, so that several can be under way.
async fn ask(
    client: &mut SendRequest<Bytes>,
    method: &str,
    path: &str,
    body: Option<Vec<u8>>,
) -> impl Future<Output = (u16, Vec<u8>)> + use<> {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://x{path}"))
        .version(Version::HTTP_2)
        .body(())
        .unwrap();
    let mut client = client.clone().ready().await.unwrap();
    let (response, mut sending) = client.send_request(request, body.is_none()).unwrap();
    if let Some(body) = body {
        sending.send_data(body.into(), true).unwrap();
    }
    async {
        let response = response.await.unwrap();
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        while let Some(chunk) = body.data().await {
            bytes.extend(chunk.unwrap());
        }
        (status, bytes)
    }
}

#[test]
fn orders_under_way_at_the_same_time_are_each_answered_on_their_stream() {
    let corpus = Corpus::generate(3);
    let server = start();
    with_client(&server, async |mut client| {
        let mut under_way = Vec::new();
        for id in 0..200 {
            let body = order(&corpus, id);
            under_way.push(ask(&mut client, "POST", "/orders", Some(body)).await);
        }
        for (answer, id) in under_way.into_iter().zip(0..) {
            let (status, body) = answer.await;
            let answer = reply::decode(&body.try_into().unwrap());
            assert_eq!((status, answer), (200, Ok((id, Fate::Accepted))));
        }
    });
    let counts = server.stop().counts;
    assert_eq!(
        (counts.orders, counts.http_requests, counts.connections),
        (200, 200, 1)
    );
}

#[test]
fn the_routes_and_refusals_are_those_of_http_1() {
    let server = start();
    with_client(&server, async |mut client| {
        let alive = ask(&mut client, "GET", "/", None).await.await;
        assert_eq!(alive, (200, b"ok\n".to_vec()));
        let head = ask(&mut client, "HEAD", "/", None).await.await;
        assert_eq!(head, (200, Vec::new()));
        assert_eq!(ask(&mut client, "GET", "/orders", None).await.await.0, 405);
        assert_eq!(ask(&mut client, "GET", "/no", None).await.await.0, 404);
        let garbage = Some(b"not an order".to_vec());
        assert_eq!(
            ask(&mut client, "POST", "/orders", garbage).await.await.0,
            400
        );
        let large = Some(vec![0; 5_000]);
        assert_eq!(
            ask(&mut client, "POST", "/orders", large).await.await.0,
            413
        );
        // And the connection goes on.
        assert_eq!(ask(&mut client, "GET", "/", None).await.await.0, 200);
    });
}

#[test]
fn another_protocol_is_hung_up_on_and_counted() {
    let server = start();
    let mut client = connect(server.addresses.h2.unwrap());
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    assert_eq!(server.stop().counts.garbled, 1);
}

#[test]
fn a_stopped_server_says_so_to_its_clients_and_ends() {
    let server = start();
    with_client(&server, async |mut client| {
        assert_eq!(ask(&mut client, "GET", "/", None).await.await.0, 200);
        server.ask_to_stop();
        // It takes no more requests soon.
        let refused = async {
            while let Ok(mut ready) = client.clone().ready().await {
                let request = Request::get("http://x/").body(()).unwrap();
                let Ok((response, _)) = ready.send_request(request, true) else {
                    break;
                };
                if response.await.is_err() {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), refused)
            .await
            .unwrap();
    });
    assert!(server.stop().counts.http_requests >= 1);
}
