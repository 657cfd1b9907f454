//! Which services and methods there are, and what they take.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::network::error::NetworkError;

/// Larger sets of descriptors are not read: the largest known public ones have some megabytes.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// No more names than this are listed in an error.
const LISTED: usize = 20;

/// A service's full name, and a method of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MethodName {
    pub(super) service: String,
    pub(super) method: String,
}

impl MethodName {
    /// Takes `package.Service/Method`, also with a slash in front.
    pub(super) fn parse(text: &str) -> Result<Self, NetworkError> {
        let bare = text.strip_prefix('/').unwrap_or(text);
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|character| character.is_ascii_alphanumeric() || "._".contains(character))
        };
        match bare.rsplit_once('/') {
            Some((service, method)) if is_name(service) && is_name(method) => Ok(Self {
                service: service.to_owned(),
                method: method.to_owned(),
            }),
            _ => Err(NetworkError::Request(format!(
                "{text:?} is no gRPC method; one is written package.Service/Method"
            ))),
        }
    }

    /// As requests have it.
    pub(super) fn path(&self) -> String {
        format!("/{}/{}", self.service, self.method)
    }
}

/// Reads a `FileDescriptorSet`.
pub(super) fn from_file(path: &Path) -> Result<DescriptorPool, NetworkError> {
    let refuse = |reason: String| NetworkError::File {
        path: path.to_owned(),
        reason,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|cause| refuse(cause.to_string()))?;
    if bytes.len() > MAX_BYTES {
        return Err(refuse(format!(
            "over {} MiB; a descriptor set is much smaller",
            MAX_BYTES >> 20
        )));
    }
    DescriptorPool::decode(bytes.as_slice()).map_err(|cause| {
        refuse(format!(
            "no complete descriptor set, as `protoc --include_imports --descriptor_set_out=FILE NAME.proto` \
             writes it: {cause}"
        ))
    })
}

/// The method of that name.
pub(super) fn find(
    pool: &DescriptorPool,
    name: &MethodName,
) -> Result<MethodDescriptor, NetworkError> {
    let Some(service) = pool.get_service_by_name(&name.service) else {
        let services: Vec<String> = pool
            .services()
            .map(|service| service.full_name().to_owned())
            .collect();
        return Err(no_service(&name.service, &services));
    };
    service
        .methods()
        .find(|method| method.name() == name.method)
        .ok_or_else(|| {
            let methods: Vec<String> = service
                .methods()
                .map(|method| method.name().to_owned())
                .collect();
            NetworkError::Request(format!(
                "the service {} has no method {:?}{}",
                name.service,
                name.method,
                choices(&name.method, &methods)
            ))
        })
}

/// A service that does not exist, and those that do.
pub(super) fn no_service(wanted: &str, services: &[String]) -> NetworkError {
    NetworkError::Request(format!(
        "there is no gRPC service {wanted:?}{}",
        choices(wanted, services)
    ))
}

/// The nearest name, and all of them: `: did you mean "Place"? There are Place, Watch`.
pub(super) fn choices(wanted: &str, names: &[String]) -> String {
    let mut text = String::new();
    let nearest = names
        .iter()
        .map(|name| {
            let distance = strsim::damerau_levenshtein(
                &wanted.to_ascii_lowercase(),
                &name.to_ascii_lowercase(),
            );
            (distance, name)
        })
        .min()
        // Beyond that nobody meant it.
        .filter(|(distance, _)| *distance <= wanted.chars().count() / 3 + 1);
    if let Some((_, name)) = nearest {
        let _ = write!(text, ": did you mean {name:?}?");
    } else {
        text.push(';');
    }
    if names.is_empty() {
        text.push_str(" there are none");
        return text;
    }
    let listed = &names[..names.len().min(LISTED)];
    let _ = write!(text, " there are {}", listed.join(", "));
    if names.len() > LISTED {
        let _ = write!(text, " and {} more", names.len() - LISTED);
    }
    text
}
