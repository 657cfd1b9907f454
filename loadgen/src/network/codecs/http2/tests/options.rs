//! What requests are made of.

use super::*;

fn with_headers(headers: &[(&str, &str)]) -> RequestOptions {
    RequestOptions {
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..RequestOptions::default()
    }
}

/// What a server sees of a request.
fn seen(request: &RequestOptions) -> http::request::Parts {
    let mut server = Server::new(|builder| builder);
    let mut session = connected(request, &mut server);
    let mut out = Vec::new();
    send(&mut session, &mut out);
    talk(&mut session, &mut server, out).unwrap();
    server.requests.remove(0).head
}

#[test]
fn the_requests_number_is_filled_in_wherever_it_is_asked_for() {
    let mut target = target();
    target.path = "/orders/{n}?again=%7Bn%7D".to_owned();
    let request = RequestOptions {
        body: Some(b"order {n}".to_vec()),
        ..with_headers(&[("x-request", "r{n}")])
    };
    let prepared = Prepared::http(&target, &request).unwrap();
    for number in [0, 7, 1234] {
        let (head, body) = prepared.request(number);
        let expected = format!("/orders/{number}?again={number}");
        assert_eq!(head.uri().path_and_query().unwrap().as_str(), expected);
        assert_eq!(head.headers()["x-request"], format!("r{number}"));
        let body = body.unwrap();
        assert_eq!(body, format!("order {number}"));
        assert_eq!(head.headers()["content-length"], body.len().to_string());
    }
}

fn refusal(request: &RequestOptions) -> String {
    Http2Maker::new(&target(), request).unwrap_err().to_string()
}

#[test]
fn a_request_is_get_and_with_a_body_post() {
    let seen_plain = seen(&RequestOptions::default());
    assert_eq!(seen_plain.method, "GET");
    assert_eq!(seen_plain.uri, "http://shop.example:8080/orders?x=1");
    assert!(!seen_plain.headers.contains_key("content-length"));
    let seen_body = seen(&with_body(3));
    assert_eq!(seen_body.method, "POST");
    assert_eq!(seen_body.headers["content-length"], "3");
    let put = RequestOptions {
        method: Some("PUT".to_owned()),
        ..with_body(3)
    };
    assert_eq!(seen(&put).method, "PUT");
}

#[test]
fn headers_are_sent_as_given_and_host_names_the_server() {
    let seen = seen(&with_headers(&[
        ("X-Tenant", "7"),
        ("Host", "other.example"),
        ("User-Agent", "curious"),
        ("x-tenant", "8"),
    ]));
    assert_eq!(seen.uri.authority().unwrap(), "other.example");
    assert!(!seen.headers.contains_key("host"));
    let tenants: Vec<_> = seen.headers.get_all("x-tenant").iter().collect();
    assert_eq!(tenants, ["7", "8"]);
    let agents: Vec<_> = seen.headers.get_all("user-agent").iter().collect();
    assert_eq!(agents, ["curious"]);
}

#[test]
fn the_usual_port_is_left_out_and_an_ipv6_address_is_bracketed() {
    let mut target = target();
    target.port = 80;
    assert_eq!(authority(&target).unwrap(), "shop.example");
    target.tls = true;
    assert_eq!(authority(&target).unwrap(), "shop.example:80");
    target.port = 443;
    target.host = "::1".to_owned();
    assert_eq!(authority(&target).unwrap(), "[::1]");
}

#[test]
fn what_http2_does_not_allow_is_refused_by_name() {
    for name in ["Connection", "Transfer-Encoding", "Content-Length"] {
        let text = refusal(&with_headers(&[(name, "close")]));
        assert!(text.contains(&name.to_lowercase()), "{text}");
    }
    assert!(refusal(&with_headers(&[("te", "gzip")])).contains("trailers"));
    assert!(refusal(&with_headers(&[("a b", "c")])).contains("\"a b\""));
    assert!(refusal(&with_headers(&[("a", "b\nc")])).contains("control"));
    let method = |name: &str| RequestOptions {
        method: Some(name.to_owned()),
        ..RequestOptions::default()
    };
    assert!(refusal(&method("G E T")).contains("\"G E T\""));
    assert!(refusal(&method("CONNECT")).contains("tunnel"));
}

#[test]
fn options_of_other_transports_are_refused() {
    let grpc = RequestOptions {
        grpc_method: Some("a.B/C".to_owned()),
        ..RequestOptions::default()
    };
    assert!(refusal(&grpc).contains("gRPC"));
    let redis = RequestOptions {
        command: vec!["PING".to_owned()],
        ..RequestOptions::default()
    };
    assert!(refusal(&redis).contains("Redis"));
}
