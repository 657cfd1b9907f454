//! HTTP/1.1.

use super::*;
use std::net::Shutdown;

fn client(server: &Server) -> TcpStream {
    connect(server.addresses.http.unwrap())
}

fn start(service: Service) -> Server {
    Server::start(service, |options| {
        options.http = Some(ServeOptions::ANY_LOCAL_PORT);
    })
}

/// Everything that comes until the server closes, after sending `bytes`.
fn all_answers(server: &Server, bytes: &[u8]) -> String {
    let mut client = client(server);
    client.write_all(bytes).unwrap();
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).unwrap();
    String::from_utf8_lossy(&answers).into_owned()
}

fn post(order: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        order.len()
    )
    .into_bytes();
    bytes.extend(order);
    bytes
}

const LAST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Status and body of the next answer.
fn read_response(client: &mut TcpStream) -> (u16, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    client.read_exact(&mut body).unwrap();
    (status, body)
}

#[test]
fn an_order_is_answered_with_a_status_and_the_same_bytes_as_over_tcp() {
    let corpus = Corpus::generate(3);
    let server = start(Service::Pool);
    let mut client = client(&server);
    let mut statuses = Vec::new();
    // One connection, kept; one account, until its limit is reached.
    for id in 0..100 {
        let mut bytes = order(&corpus, 5);
        bytes[8..16].copy_from_slice(&u64::to_le_bytes(id));
        client.write_all(&post(&bytes)).unwrap();
        let (status, body) = read_response(&mut client);
        let fate = match status {
            200 => Fate::Accepted,
            422 => Fate::Refused,
            other => panic!("status {other}"),
        };
        assert_eq!(reply::decode(&body.try_into().unwrap()), Ok((id, fate)));
        statuses.push(status);
    }
    assert!(statuses.contains(&200) && statuses.contains(&422));
    client
        .write_all(&post(b"not an order, but 16 bytes"))
        .unwrap();
    assert_eq!(read_response(&mut client).0, 400);
    client.write_all(LAST).unwrap();
    assert_eq!(read_response(&mut client), (200, b"ok\n".to_vec()));
    let counts = server.stop().counts;
    assert_eq!(
        (counts.http_requests, counts.orders, counts.malformed),
        (102, 101, 1)
    );
    assert_eq!((counts.connections, counts.garbled), (1, 0));
}

#[test]
fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
    let corpus = Corpus::generate(3);
    let server = start(Service::Noop);
    let mut bytes = Vec::new();
    for id in 0..3_000 {
        bytes.extend(post(&order(&corpus, id)));
        bytes.extend(b"\r\nGET /?n=1 HTTP/1.1\r\nhost: x\r\nAccept: */*\r\n\r\n");
    }
    let mut client = client(&server);
    let mut writer = client.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        let mut rest = &bytes[..];
        let mut length = 1;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(length.min(rest.len()));
            writer.write_all(now).unwrap();
            rest = later;
            length = length * 7 % 4_999 + 1;
        }
    });
    for id in 0..3_000 {
        let (status, body) = read_response(&mut client);
        assert_eq!(status, 200);
        assert_eq!(
            reply::decode(&body.try_into().unwrap()),
            Ok((id, Fate::Accepted))
        );
        assert_eq!(read_response(&mut client), (200, b"ok\n".to_vec()));
    }
    sending.join().unwrap();
}

#[test]
fn a_head_that_comes_byte_by_byte_is_read() {
    let server = start(Service::Noop);
    let mut client = client(&server);
    for byte in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" {
        client.write_all(&[*byte]).unwrap();
        std::thread::yield_now();
    }
    assert_eq!(read_response(&mut client).0, 200);
}

#[test]
fn the_connection_is_kept_or_closed_as_the_version_and_the_client_say() {
    let server = start(Service::Noop);
    for (request, status_line, persistence) in [
        ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "close"),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Foo , CLOSE\r\n\r\n",
            "HTTP/1.1 200",
            "close",
        ),
    ] {
        let answer = all_answers(&server, request.as_bytes());
        assert!(answer.starts_with(status_line), "{answer}");
        assert!(
            answer.contains(&format!("Connection: {persistence}\r\n")),
            "{answer}"
        );
    }
    let mut client = client(&server);
    client
        .write_all(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n")
        .unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2);
    assert!(answers.contains("Connection: keep-alive\r\n"), "{answers}");
}

#[test]
fn what_is_not_there_or_not_meant_so_is_said_and_the_connection_goes_on() {
    let server = start(Service::Noop);
    let mut bytes = b"DELETE /orders HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    bytes.extend(b"POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    bytes.extend(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    bytes.extend(LAST);
    let answers = all_answers(&server, &bytes);
    let statuses: Vec<&str> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(statuses, ["405", "404", "200", "200"]);
    assert!(answers.contains("Allow: POST\r\n"));
    // A HEAD has a length, but no body.
    assert_eq!(answers.matches("ok\n").count(), 1);
}

#[test]
fn a_client_that_waits_to_be_told_to_send_its_body_is_told() {
    let corpus = Corpus::generate(3);
    let server = start(Service::Pool);
    let mut client = client(&server);
    let bytes = order(&corpus, 9);
    let head = format!(
        "POST /orders HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    );
    client.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_response(&mut client), (100, Vec::new()));
    client.write_all(&bytes).unwrap();
    assert_eq!(read_response(&mut client).0, 200);
}

#[test]
fn what_cannot_be_followed_is_refused_by_name_and_the_connection_ends() {
    let server = start(Service::Noop);
    let long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "y".repeat(9_000)
    );
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(70));
    let cases: &[(&str, &str)] = &[
        ("\0\x01\x02\r\n\r\n", "400"),
        ("GET / HTTP/2.0\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"),
        (
            "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "400",
        ),
        (
            "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
            "400",
        ),
        (
            "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n",
            "413",
        ),
        (
            "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
            "413",
        ),
        (
            "POST /orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            "411",
        ),
        (&long, "431"),
        (&many, "431"),
    ];
    for (request, status) in cases {
        // What stands behind it is not answered.
        let mut bytes = request.as_bytes().to_vec();
        bytes.extend(LAST);
        let answers = all_answers(&server, &bytes);
        assert_eq!(
            answers.matches("HTTP/1.1 ").count(),
            1,
            "{request}: {answers}"
        );
        assert!(
            answers.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answers}"
        );
        assert!(answers.contains("Connection: close\r\n"));
    }
    assert_eq!(server.stop().counts.garbled, cases.len() as u64);
}

#[test]
fn an_endless_head_is_refused_without_being_kept() {
    let server = start(Service::Noop);
    let mut client = client(&server);
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        .unwrap();
    // The server may have hung up already.
    for _ in 0..100 {
        if client.write_all(&[b'y'; 1_000]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 431 "));
}
