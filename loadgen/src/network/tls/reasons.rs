//! Why TLS failed, in words that say what to do.

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// Where the server agrees to no protocol that the target needs.
pub(super) fn no_protocol() -> String {
    "the server agrees to none of the protocols offered (ALPN): if it speaks HTTP/1.1 only, use https://"
        .to_owned()
}

/// What `error` means to somebody who runs a load against `name`.
pub(super) fn of(error: &Error, name: &str) -> String {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error, name),
        Error::InvalidMessage(_) => "what came is not TLS: if the server speaks plainly on this port, use the \
             scheme without TLS (http://, ws://, redis://, tcp://, h2://, grpc://)"
            .to_owned(),
        Error::NoApplicationProtocol
        | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => no_protocol(),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client certificate, and tailcut has none to show".to_owned()
        }
        Error::AlertReceived(AlertDescription::UnrecognisedName) => format!(
            "the server knows no host {name}: name one that it serves with --server-name NAME"
        ),
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "the server speaks neither TLS 1.2 nor 1.3, the only ones that tailcut speaks".to_owned(),
        Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "the server found nothing to agree on (handshake failure): its ciphers, key types or demand \
             for a client certificate do not fit"
                .to_owned()
        }
        Error::AlertReceived(alert) => format!("the server ended it with the alert {alert:?}"),
        Error::DecryptError => "bytes were changed on their way, or are not of this connection".to_owned(),
        other => other.to_string(),
    }
}

fn of_certificate(error: &CertificateError, name: &str) -> String {
    const ANYWAY: &str = "or --insecure to trust any";
    match error {
        CertificateError::UnknownIssuer => format!(
            "nobody trusted here has signed the server's certificate: name its issuer's with --ca FILE, {ANYWAY}"
        ),
        CertificateError::BadSignature => format!(
            "the server's certificate was signed by somebody else of the same name as an authority \
             trusted here (one that was made anew?): name its issuer's with --ca FILE, {ANYWAY}"
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the server's certificate has expired ({error}): renew it, {ANYWAY}")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
            "the server's certificate is not valid yet ({error}): set this machine's clock right, {ANYWAY}"
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the server's certificate is not for {name} ({error}): name the host that it is for with \
             --server-name NAME, {ANYWAY}"
            )
        }
        CertificateError::Revoked => {
            format!("the server's certificate was revoked: replace it, {ANYWAY}")
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            format!(
                "the server's certificate is that of an authority, and cannot stand for a server as well: make \
             one with CA:FALSE, {ANYWAY}"
            )
        }
        CertificateError::BadEncoding => format!(
            "the server's certificate cannot be read (one of version 1, made without extensions?): make one \
             with a subjectAltName, {ANYWAY}"
        ),
        other => format!("the server's certificate is refused ({other}): replace it, {ANYWAY}"),
    }
}
