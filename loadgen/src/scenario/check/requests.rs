//! Whether requests can be made as they are described, for this transport.

use super::{Checked, refuse};
use crate::network::target::{NetworkTarget, Transport};
use crate::scenario::notation::{Header, Notation as _};
use crate::scenario::{RequestOptions, TlsOptions};

/// What each transport has a use for.
struct Uses {
    method: bool,
    headers: bool,
    body: bool,
    grpc: bool,
    command: bool,
}

impl Uses {
    fn of(transport: Transport) -> Uses {
        let http = matches!(transport, Transport::Http1 | Transport::Http2);
        let grpc = transport == Transport::Grpc;
        let messages = http || grpc || transport == Transport::WebSocket;
        Uses {
            method: http,
            headers: messages,
            body: messages,
            grpc,
            command: transport == Transport::Redis,
        }
    }

    /// For people.
    fn list(&self, scheme: &str) -> String {
        let named = [
            (self.method, "method"),
            (self.headers, "headers"),
            (self.body, "body"),
            (self.grpc, "grpc_method"),
            (self.grpc, "descriptor_set"),
            (self.command, "command"),
        ];
        let used: Vec<&str> = named
            .iter()
            .filter_map(|&(used, name)| used.then_some(name))
            .collect();
        match used.is_empty() {
            true => format!("{scheme} sends orders, which are made from the seed"),
            false => format!("{scheme} takes {}", used.join(", ")),
        }
    }
}

/// Refuses what the transport has no use for, what it needs and lacks, and what it cannot send.
pub fn check(server: &NetworkTarget, request: &RequestOptions, tls: &TlsOptions) -> Checked {
    let text = server.to_string();
    let scheme = text.split("://").next().unwrap_or_default();
    let uses = Uses::of(server.transport);
    let given = [
        ("method", request.method.is_some(), uses.method),
        ("headers", !request.headers.is_empty(), uses.headers),
        ("body", request.body.is_some(), uses.body),
        ("grpc_method", request.grpc_method.is_some(), uses.grpc),
        (
            "descriptor_set",
            request.descriptor_set.is_some(),
            uses.grpc,
        ),
        ("command", !request.command.is_empty(), uses.command),
    ];
    if let Some((key, ..)) = given.iter().find(|(_, given, used)| *given && !*used) {
        return refuse(format!(
            "{key} means nothing for {scheme}: leave it out ({})",
            uses.list(scheme)
        ));
    }
    if let Some(method) = &request.method
        && http::Method::from_bytes(method.as_bytes()).is_err()
    {
        return refuse(format!(
            "{method:?} is no HTTP method: write for example GET, POST or PUT"
        ));
    }
    for (name, value) in &request.headers {
        let header = Header {
            name: name.clone(),
            value: value.clone(),
        };
        if let Err(why) = Header::read(&header.write()) {
            return refuse(why);
        }
    }
    if uses.grpc {
        check_grpc(request)?;
    }
    check_tls(server, scheme, tls)
}

fn check_grpc(request: &RequestOptions) -> Checked {
    let Some(method) = &request.grpc_method else {
        return refuse(
            "gRPC needs to know what to call: give grpc_method, for example orders.Orders/Place",
        );
    };
    let parts: Vec<&str> = method.trim_start_matches('/').split('/').collect();
    match parts[..] {
        [service, method] if !service.is_empty() && !method.is_empty() => {}
        _ => {
            return refuse(format!(
                "{method:?} is no gRPC method: write PACKAGE.SERVICE/METHOD, for example orders.Orders/Place"
            ));
        }
    }
    match &request.body {
        Some(body) if std::str::from_utf8(body).is_err() => {
            refuse("gRPC's body is the message as JSON, but these bytes are no text")
        }
        _ => Ok(()),
    }
}

fn check_tls(server: &NetworkTarget, scheme: &str, tls: &TlsOptions) -> Checked {
    if server.tls {
        return match (&tls.certificate_authority, tls.insecure) {
            (Some(_), true) => refuse(
                "insecure trusts any certificate, so ca would not be looked at: leave one of them out",
            ),
            _ => Ok(()),
        };
    }
    if *tls == TlsOptions::default() {
        return Ok(());
    }
    let with = match server.transport {
        Transport::Udp => return refuse("udp is not spoken over TLS: leave [tls] out"),
        _ => format!("{scheme}s"),
    };
    refuse(format!(
        "{scheme} is spoken without TLS: leave [tls] out, or write {}://",
        if scheme == "ws" { "wss" } else { &with }
    ))
}
