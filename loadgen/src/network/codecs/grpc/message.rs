//! The message of a call: JSON by protobuf's own mapping, made into bytes once.

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, Kind, MessageDescriptor};
use serde_json::Value;

use super::schema;
use super::status::PREFIX;
use crate::network::error::NetworkError;

/// The message with its prefix, as a call carries it. Without JSON it is empty.
pub(super) fn framed(
    message: Option<MessageDescriptor>,
    json: Option<&[u8]>,
) -> Result<Bytes, NetworkError> {
    let encoded = match (message, json) {
        (Some(message), Some(json)) => encode(&message, json)?,
        _ => Vec::new(),
    };
    let Ok(length) = u32::try_from(encoded.len()) else {
        return Err(NetworkError::Request(
            "a gRPC message cannot be longer than 4 GiB".to_owned(),
        ));
    };
    let mut framed = Vec::with_capacity(PREFIX + encoded.len());
    framed.push(0); // not compressed
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&encoded);
    Ok(framed.into())
}

fn encode(message: &MessageDescriptor, json: &[u8]) -> Result<Vec<u8>, NetworkError> {
    if json.windows(3).any(|part| part == b"{n}") {
        return Err(NetworkError::Request(
            "{n} is not filled in in gRPC messages: all calls send the same one".to_owned(),
        ));
    }
    let refuse = |cause: &dyn std::fmt::Display| {
        NetworkError::Request(format!(
            "the body is no {} in JSON: {cause}",
            message.full_name()
        ))
    };
    let value: Value = serde_json::from_slice(json).map_err(|cause| refuse(&cause))?;
    if let Some(cause) = unknown_field(message, &value) {
        return Err(refuse(&cause));
    }
    let options = DeserializeOptions::new();
    DynamicMessage::deserialize_with_options(message.clone(), value, &options)
        .map(|message| message.encode_to_vec())
        .map_err(|cause| refuse(&cause))
}

/// The first field that its message does not have, with those it has. (The library names the field only.)
fn unknown_field(message: &MessageDescriptor, value: &Value) -> Option<String> {
    // The well-known types have JSON forms of their own.
    if message.package_name() == "google.protobuf" {
        return None;
    }
    value.as_object()?.iter().find_map(|(name, value)| {
        let field = message
            .get_field_by_json_name(name)
            .or_else(|| message.get_field_by_name(name));
        let Some(field) = field else {
            // Extensions are written in brackets; the library judges them.
            return (!name.starts_with('[')).then(|| {
                let names: Vec<String> = message
                    .fields()
                    .map(|field| field.name().to_owned())
                    .collect();
                format!(
                    "{} has no field {name:?}{}",
                    message.full_name(),
                    schema::choices(name, &names)
                )
            });
        };
        let Kind::Message(inner) = field.kind() else {
            return None;
        };
        if field.is_map() {
            let Kind::Message(inner) = inner.map_entry_value_field().kind() else {
                return None;
            };
            let entries = value.as_object()?;
            return entries
                .values()
                .find_map(|entry| unknown_field(&inner, entry));
        }
        match value {
            Value::Array(elements) => elements
                .iter()
                .find_map(|element| unknown_field(&inner, element)),
            single => unknown_field(&inner, single),
        }
    })
}
