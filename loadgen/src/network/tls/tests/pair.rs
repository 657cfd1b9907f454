//! Both ends of a connection, in memory: an authority, a server of `rustls`, and the handshake between.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::network::tls::*;

/// An authority and what it has signed, for tests.
pub(super) struct Authority {
    pub(super) issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) dir: tempfile::TempDir,
}

/// What a server shows.
pub(super) struct Identity {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(super) fn new() -> Authority {
        Authority::named("an authority")
    }

    pub(super) fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, dir }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Trusts this authority alone.
    pub(super) fn trusted(&self) -> TlsOptions {
        TlsOptions {
            certificate_authority: Some(self.file()),
            ..TlsOptions::default()
        }
    }

    pub(super) fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity::new(certificate.der(), &key)
    }
}

impl Identity {
    pub(super) fn new(certificate: &CertificateDer<'static>, key: &KeyPair) -> Identity {
        Identity {
            certificate: certificate.clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
}

pub(super) const BOTH: &[&SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A server that shows `identity` and speaks `protocols`.
pub(super) fn server(
    identity: Identity,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> ServerConnection {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate], identity.key)
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    server.set_buffer_limit(None);
    server
}

pub(super) fn target(transport: Transport) -> NetworkTarget {
    NetworkTarget {
        transport,
        tls: true,
        host: "localhost".to_owned(),
        port: 443,
        path: "/".to_owned(),
    }
}

pub(super) fn channel(transport: Transport, options: &TlsOptions) -> TlsChannel {
    TlsClient::new(&target(transport), options)
        .unwrap()
        .connect()
        .unwrap()
}

/// Gives `wire` to the server, all of it, and appends what it read.
pub(super) fn serve(
    server: &mut ServerConnection,
    wire: &[u8],
    plain: &mut Vec<u8>,
) -> Result<(), rustls::Error> {
    let mut rest = wire;
    while !rest.is_empty() {
        server.read_tls(&mut rest).unwrap();
        server.process_new_packets()?;
        let mut reader = server.reader();
        while let Ok(chunk @ [_, ..]) = reader.fill_buf() {
            let length = chunk.len();
            plain.extend_from_slice(chunk);
            reader.consume(length);
        }
    }
    Ok(())
}

pub(super) fn sent_by(server: &mut ServerConnection) -> Vec<u8> {
    let mut wire = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut wire).unwrap();
    }
    wire
}

/// Runs the handshake; what the server thinks of it is beside what the client does.
pub(super) fn shake(
    channel: &mut TlsChannel,
    server: &mut ServerConnection,
) -> Result<(), (NetworkError, Option<rustls::Error>)> {
    let mut wire = Vec::new();
    channel.start(&mut wire);
    for _ in 0..10 {
        let refused = serve(server, &wire, &mut Vec::new());
        wire.clear();
        let answer = sent_by(server);
        if let Err(error) = channel.decrypt(&answer, &mut Vec::new(), &mut wire) {
            let seen = serve(server, &wire, &mut Vec::new()).err();
            return Err((error, seen.or(refused.err())));
        }
        if wire.is_empty() && !channel.wants_handshake() && !server.is_handshaking() {
            return Ok(());
        }
    }
    panic!("the handshake does not end");
}

pub(super) fn failure(
    transport: Transport,
    options: &TlsOptions,
    mut server: ServerConnection,
) -> String {
    let mut channel = channel(transport, options);
    let (error, _) = shake(&mut channel, &mut server).unwrap_err();
    error.to_string()
}

/// An open channel, and its server.
pub(super) fn connected() -> (TlsChannel, ServerConnection) {
    let authority = Authority::new();
    let mut server = server(authority.sign("localhost", |_| {}), BOTH, &[]);
    let mut channel = channel(Transport::Tcp, &authority.trusted());
    shake(&mut channel, &mut server).unwrap();
    (channel, server)
}
