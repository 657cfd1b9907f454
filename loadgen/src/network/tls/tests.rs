mod pair;

use proptest::collection::vec;
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::*;
use pair::*;

#[test]
fn what_a_session_writes_reaches_the_server_and_back_by_either_version() {
    let authority = Authority::new();
    for versions in [BOTH, &[&rustls::version::TLS12]] {
        let identity = authority.sign("localhost", |_| {});
        let mut server = server(identity, versions, &["http/1.1"]);
        let mut channel = channel(Transport::Http1, &authority.trusted());
        assert!(channel.wants_handshake());
        shake(&mut channel, &mut server).unwrap();
        assert_eq!(channel.protocol(), Some(&b"http/1.1"[..]));
        let description = channel.description().unwrap();
        let version = if versions.len() == 2 {
            "TLSv1_3 "
        } else {
            "TLSv1_2 "
        };
        assert!(description.starts_with(version), "{description}");

        let question: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
        let (mut wire, mut read) = (Vec::new(), Vec::new());
        channel.encrypt(&question, &mut wire).unwrap();
        serve(&mut server, &wire, &mut read).unwrap();
        assert!(read == question, "the server read something else");

        server.writer().write_all(&read).unwrap();
        let (mut answer, mut wire) = (b"before".to_vec(), Vec::new());
        channel
            .decrypt(&sent_by(&mut server), &mut answer, &mut wire)
            .unwrap();
        assert!(
            answer == [b"before".to_vec(), question].concat(),
            "something else came back"
        );
        assert!(wire.is_empty());
    }
}

#[test]
fn what_is_written_during_the_handshake_arrives_after_it() {
    let authority = Authority::new();
    let mut server = server(authority.sign("localhost", |_| {}), BOTH, &[]);
    let mut channel = channel(Transport::Redis, &authority.trusted());
    let (mut wire, mut read) = (Vec::new(), Vec::new());
    channel.start(&mut wire);
    channel.encrypt(b"early", &mut wire).unwrap();
    serve(&mut server, &wire, &mut read).unwrap();
    wire.clear();
    channel
        .decrypt(&sent_by(&mut server), &mut Vec::new(), &mut wire)
        .unwrap();
    serve(&mut server, &wire, &mut read).unwrap();
    assert_eq!(read, b"early");
}

#[test]
fn each_side_can_say_that_it_sends_no_more() {
    let authority = Authority::new();
    let mut server = server(authority.sign("localhost", |_| {}), BOTH, &[]);
    let mut channel = channel(Transport::Tcp, &authority.trusted());
    shake(&mut channel, &mut server).unwrap();
    server.writer().write_all(b"last words").unwrap();
    server.send_close_notify();
    let wire = [sent_by(&mut server), b"nobody's".to_vec()].concat();
    let mut plain = Vec::new();
    assert!(!channel.peer_closed());
    channel.decrypt(&wire, &mut plain, &mut Vec::new()).unwrap();
    assert_eq!(plain, b"last words");
    assert!(channel.peer_closed());
    let mut wire = Vec::new();
    channel.close_notify(&mut wire);
    server.read_tls(&mut wire.as_slice()).unwrap();
    assert!(server.process_new_packets().unwrap().peer_has_closed());
}

#[test]
fn an_unknown_issuer_is_refused_naming_the_options_and_the_server_is_told() {
    let authority = Authority::new();
    for name in ["another authority", "an authority"] {
        let identity = Authority::named(name).sign("localhost", |_| {});
        let mut server = server(identity, BOTH, &[]);
        let mut channel = channel(Transport::Http1, &authority.trusted());
        let (error, seen) = shake(&mut channel, &mut server).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("TLS with localhost:443: "), "{text}");
        assert!(
            text.contains("--ca FILE") && text.contains("--insecure"),
            "{text}"
        );
        assert!(
            matches!(seen, Some(rustls::Error::AlertReceived(_))),
            "{seen:?}"
        );
    }
}

#[test]
fn a_certificate_out_of_its_time_is_refused_saying_so() {
    let authority = Authority::new();
    let trusted = authority.trusted();
    let expired = authority.sign("localhost", |params| {
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    let text = failure(Transport::Http1, &trusted, server(expired, BOTH, &[]));
    assert!(
        text.contains("expired") && text.contains("--insecure"),
        "{text}"
    );
    let early = authority.sign("localhost", |params| {
        params.not_before = date_time_ymd(3000, 1, 1);
    });
    let text = failure(Transport::Http1, &trusted, server(early, BOTH, &[]));
    assert!(text.contains("not valid yet"), "{text}");
}

#[test]
fn a_certificate_for_another_host_is_refused_unless_that_host_is_named() {
    let authority = Authority::new();
    let text = failure(
        Transport::Http1,
        &authority.trusted(),
        server(authority.sign("example.com", |_| {}), BOTH, &[]),
    );
    assert!(text.contains("not for localhost"), "{text}");
    assert!(
        text.contains("example.com") && text.contains("--server-name"),
        "{text}"
    );
    let named = TlsOptions {
        server_name: Some("example.com".to_owned()),
        ..authority.trusted()
    };
    let mut server = server(authority.sign("example.com", |_| {}), BOTH, &[]);
    shake(&mut channel(Transport::Http1, &named), &mut server).unwrap();
}

#[test]
fn an_address_can_be_a_name_with_or_without_brackets() {
    let authority = Authority::new();
    for host in ["::1", "[::1]"] {
        let mut target = target(Transport::Http1);
        target.host = host.to_owned();
        let client = TlsClient::new(&target, &authority.trusted()).unwrap();
        let mut server = server(authority.sign("::1", |_| {}), BOTH, &[]);
        shake(&mut client.connect().unwrap(), &mut server).unwrap();
    }
}

#[test]
fn a_self_signed_certificate_is_trusted_by_its_file_but_not_if_it_is_an_authoritys() {
    let authority = Authority::new();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let file = authority.dir.path().join("self.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    let trusted = TlsOptions {
        certificate_authority: Some(file),
        ..TlsOptions::default()
    };
    let mut itself = server(Identity::new(certificate.der(), &key), BOTH, &[]);
    shake(&mut channel(Transport::Http1, &trusted), &mut itself).unwrap();

    let identity = Identity::new(authority.issuer.der(), authority.issuer.key());
    let text = failure(
        Transport::Http1,
        &authority.trusted(),
        server(identity, BOTH, &[]),
    );
    assert!(
        text.contains("that of an authority") && text.contains("--insecure"),
        "{text}"
    );
}

#[test]
fn insecure_trusts_any_certificate() {
    let authority = Authority::new();
    let anybody = TlsOptions {
        insecure: true,
        ..TlsOptions::default()
    };
    let expired = authority.sign("example.com", |params| {
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    let authoritys = Identity::new(authority.issuer.der(), authority.issuer.key());
    for versions in [BOTH, &[&rustls::version::TLS12]] {
        for identity in [&expired, &authoritys] {
            let identity = Identity {
                certificate: identity.certificate.clone(),
                key: identity.key.clone_key(),
            };
            let mut server = server(identity, versions, &[]);
            shake(&mut channel(Transport::Http1, &anybody), &mut server).unwrap();
        }
    }
}

#[test]
fn a_protocol_that_the_target_needs_must_be_agreed_on() {
    let authority = Authority::new();
    let trusted = authority.trusted();
    let identity = || authority.sign("localhost", |_| {});
    for protocols in [&[][..], &["http/1.1"]] {
        let text = failure(
            Transport::Grpc,
            &trusted,
            server(identity(), BOTH, protocols),
        );
        assert!(text.contains("ALPN"), "{text}");
    }
    let mut h2 = server(identity(), BOTH, &["h2"]);
    shake(&mut channel(Transport::Http2, &trusted), &mut h2).unwrap();
    let mut silent = server(identity(), BOTH, &[]);
    shake(&mut channel(Transport::Http1, &trusted), &mut silent).unwrap();
}

#[test]
fn a_server_without_tls_is_told_from_one_that_refuses() {
    let authority = Authority::new();
    let mut channel = channel(Transport::Http1, &authority.trusted());
    let plain = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    let error = channel
        .decrypt(plain, &mut Vec::new(), &mut Vec::new())
        .unwrap_err();
    assert!(error.to_string().contains("http://"), "{error}");
}

#[test]
fn a_server_that_asks_for_a_client_certificate_is_named_as_such() {
    let authority = Authority::new();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
    let identity = authority.sign("localhost", |_| {});
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate], identity.key)
        .unwrap();
    let server = ServerConnection::new(Arc::new(config)).unwrap();
    let text = failure(Transport::Http1, &authority.trusted(), server);
    assert!(text.contains("client certificate"), "{text}");
}

#[test]
fn files_without_certificates_are_refused_by_name() {
    let authority = Authority::new();
    let refused = |content: Option<&str>| {
        let file = authority.dir.path().join("other.pem");
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let options = TlsOptions {
            certificate_authority: Some(file),
            ..TlsOptions::default()
        };
        TlsClient::new(&target(Transport::Http1), &options)
            .unwrap_err()
            .to_string()
    };
    assert!(
        refused(None).contains("other.pem: No such file"),
        "{}",
        refused(None)
    );
    for content in [
        "",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let text = refused(Some(content));
        assert!(
            text.contains("other.pem: ") && text.contains("certificate"),
            "{text}"
        );
    }
    let mut nameless = target(Transport::Http1);
    nameless.host = "not a name".to_owned();
    let error = TlsClient::new(&nameless, &authority.trusted()).unwrap_err();
    assert!(error.to_string().contains("\"not a name\""), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_the_server_wrote_is_read_wherever_the_wire_is_cut(
        writes in vec(vec(any::<u8>(), 1..3000), 1..12),
        cut in 1..5000_usize,
    ) {
        let (mut channel, mut server) = connected();
        let mut wire = Vec::new();
        for write in &writes {
            server.writer().write_all(write).unwrap();
            wire.extend(sent_by(&mut server));
        }
        let mut plain = Vec::new();
        for piece in wire.chunks(cut) {
            channel.decrypt(piece, &mut plain, &mut Vec::new()).unwrap();
        }
        prop_assert!(plain == writes.concat());
    }

    #[test]
    fn a_changed_byte_is_noticed_and_nothing_behind_it_is_believed(
        write in vec(any::<u8>(), 1..3000),
        at: prop::sample::Index,
        bit in 0..8_u8,
    ) {
        let (mut channel, mut server) = connected();
        server.writer().write_all(&write).unwrap();
        let mut wire = sent_by(&mut server);
        let at = at.index(wire.len());
        wire[at] ^= 1 << bit;
        let mut plain = Vec::new();
        let outcome = channel.decrypt(&wire, &mut plain, &mut Vec::new());
        // A longer length makes the record one that is not whole yet.
        prop_assert!(outcome.is_err() || (3..5).contains(&at), "{outcome:?}");
        prop_assert!(plain.is_empty());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..2000), cut in 1..500_usize) {
        let (mut open, _) = connected();
        let mut fresh = channel(Transport::Tcp, &TlsOptions { insecure: true, ..TlsOptions::default() });
        for begin in [&[][..], &[22, 3, 3], &[23, 3, 3], &[21, 3, 3]] {
            let stream = [begin, &bytes].concat();
            let mut plain = Vec::new();
            for piece in stream.chunks(cut) {
                let _ = open.decrypt(piece, &mut plain, &mut Vec::new());
                let _ = fresh.decrypt(piece, &mut plain, &mut Vec::new());
            }
            prop_assert!(plain.is_empty());
        }
    }
}
