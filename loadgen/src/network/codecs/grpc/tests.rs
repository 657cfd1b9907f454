//! Calls made from descriptors and JSON, and calls of a real server that is asked for its schema.

mod loopback;

use std::path::PathBuf;

use prost::Message;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet, MessageOptions,
    MethodDescriptorProto, ServiceDescriptorProto,
};
use prost_reflect::{DescriptorPool, prost_types};

use super::*;
use crate::network::target::Transport;

/// The messages of the test's service, as a server has them.
#[derive(Clone, PartialEq, Message)]
struct Order {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, repeated, tag = "2")]
    items: Vec<Item>,
    #[prost(map = "string, string", tag = "3")]
    labels: std::collections::HashMap<String, String>,
    #[prost(message, optional, tag = "4")]
    placed_at: Option<prost_types::Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(string, tag = "1")]
    sku: String,
    #[prost(uint32, tag = "2")]
    count: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Receipt {
    #[prost(string, tag = "1")]
    id: String,
}

fn field(name: &str, number: i32, kind: Type, message: &str, label: Label) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(label.into()),
        r#type: Some(kind.into()),
        type_name: (!message.is_empty()).then(|| message.to_owned()),
        ..FieldDescriptorProto::default()
    }
}

fn text(name: &str, number: i32) -> FieldDescriptorProto {
    field(name, number, Type::String, "", Label::Optional)
}

fn message(name: &str, fields: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto {
        name: Some(name.to_owned()),
        field: fields,
        ..DescriptorProto::default()
    }
}

fn method(name: &str, input: &str, streams: (bool, bool)) -> MethodDescriptorProto {
    MethodDescriptorProto {
        name: Some(name.to_owned()),
        input_type: Some(format!(".shop.{input}")),
        output_type: Some(".shop.Receipt".to_owned()),
        client_streaming: Some(streams.0),
        server_streaming: Some(streams.1),
        ..MethodDescriptorProto::default()
    }
}

/// Two files, of which the second needs the first and a well-known one.
fn files() -> Vec<FileDescriptorProto> {
    let items = FileDescriptorProto {
        name: Some("shop/items.proto".to_owned()),
        package: Some("shop".to_owned()),
        message_type: vec![message(
            "Item",
            vec![
                text("sku", 1),
                field("count", 2, Type::Uint32, "", Label::Optional),
            ],
        )],
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    };
    let mut labels = message("LabelsEntry", vec![text("key", 1), text("value", 2)]);
    labels.options = Some(MessageOptions {
        map_entry: Some(true),
        ..MessageOptions::default()
    });
    let time = ".google.protobuf.Timestamp";
    let mut order = message(
        "Order",
        vec![
            text("id", 1),
            field("items", 2, Type::Message, ".shop.Item", Label::Repeated),
            field(
                "labels",
                3,
                Type::Message,
                ".shop.Order.LabelsEntry",
                Label::Repeated,
            ),
            field("placed_at", 4, Type::Message, time, Label::Optional),
        ],
    );
    order.nested_type = vec![labels];
    let orders = FileDescriptorProto {
        name: Some("shop/orders.proto".to_owned()),
        package: Some("shop".to_owned()),
        dependency: vec![
            "shop/items.proto".to_owned(),
            "google/protobuf/timestamp.proto".to_owned(),
        ],
        message_type: vec![order, message("Receipt", vec![text("id", 1)])],
        service: vec![ServiceDescriptorProto {
            name: Some("Orders".to_owned()),
            method: vec![
                method("Place", "Order", (false, false)),
                method("Watch", "Order", (false, true)),
                method("Upload", "Order", (true, false)),
            ],
            ..ServiceDescriptorProto::default()
        }],
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    };
    vec![items, orders]
}

/// The files and the well-known one that they import.
fn descriptor_set() -> FileDescriptorSet {
    let known = DescriptorPool::global();
    let timestamp = known.get_file_by_name("google/protobuf/timestamp.proto");
    let mut file = vec![timestamp.unwrap().file_descriptor_proto().clone()];
    file.extend(files());
    FileDescriptorSet { file }
}

fn target() -> NetworkTarget {
    NetworkTarget {
        transport: Transport::Grpc,
        tls: false,
        host: "127.0.0.1".to_owned(),
        // Nobody listens: what has a descriptor set asks nobody.
        port: 1,
        path: "/".to_owned(),
    }
}

fn call(method: &str, body: Option<&str>) -> RequestOptions {
    RequestOptions {
        grpc_method: Some(method.to_owned()),
        body: body.map(|body| body.as_bytes().to_vec()),
        ..RequestOptions::default()
    }
}

/// The outcome with the test's descriptor set.
fn prepared(request: RequestOptions) -> Result<GrpcMaker, NetworkError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.binpb");
    std::fs::write(&path, descriptor_set().encode_to_vec()).unwrap();
    let request = RequestOptions {
        descriptor_set: Some(path),
        ..request
    };
    GrpcMaker::prepare(&target(), &request, None)
}

fn refusal(method: &str, body: Option<&str>) -> String {
    prepared(call(method, body)).unwrap_err().to_string()
}

const JSON: &str = r#"{
    "id": "o-1",
    "items": [{"sku": "tea", "count": 2}, {"sku": "cup"}],
    "labels": {"from": "web"},
    "placedAt": "1970-01-01T00:00:05Z"
}"#;

fn order() -> Order {
    let item = |sku: &str, count| Item {
        sku: sku.to_owned(),
        count,
    };
    Order {
        id: "o-1".to_owned(),
        items: vec![item("tea", 2), item("cup", 0)],
        labels: [("from".to_owned(), "web".to_owned())].into(),
        placed_at: Some(prost_types::Timestamp {
            seconds: 5,
            nanos: 0,
        }),
    }
}

#[test]
fn json_becomes_the_methods_message_behind_its_prefix() {
    for method in ["shop.Orders/Place", "/shop.Orders/Place"] {
        let body = prepared(call(method, Some(JSON)))
            .unwrap()
            .prepared
            .request(0)
            .1;
        let body = body.unwrap();
        let length = u32::try_from(body.len() - 5).unwrap().to_be_bytes();
        assert_eq!(body[0], 0);
        assert_eq!(body[1..5], length);
        assert_eq!(Order::decode(&body[5..]).unwrap(), order());
    }
}

#[test]
fn without_json_the_message_is_empty() {
    let body = prepared(call("shop.Orders/Place", None))
        .unwrap()
        .prepared
        .request(0)
        .1;
    assert_eq!(body.unwrap(), [0; 5].as_slice());
}

#[test]
fn what_does_not_exist_is_refused_with_what_does() {
    let cases = [
        ("shop.Order/Place", "did you mean \"shop.Orders\"?"),
        ("stock.Parts/List", "there are shop.Orders"),
        ("shop.Orders/Plaec", "did you mean \"Place\"?"),
        ("shop.Orders/Cancel", "there are Place, Watch, Upload"),
    ];
    for (method, expected) in cases {
        let text = refusal(method, None);
        assert!(text.contains(expected), "{text}");
    }
    for method in ["Place", "shop.Orders/", "/", "", "shop.Orders/Pl ace"] {
        let text = refusal(method, None);
        assert!(text.contains("package.Service/Method"), "{text}");
    }
}

#[test]
fn a_method_that_streams_is_refused() {
    assert!(refusal("shop.Orders/Watch", None).contains("a stream of replies"));
    assert!(refusal("shop.Orders/Upload", None).contains("a stream of requests"));
}

#[test]
fn json_that_is_not_the_message_is_refused_with_what_is_wrong() {
    let cases = [
        (
            r#"{"idd": "x"}"#,
            "shop.Order has no field \"idd\": did you mean \"id\"?",
        ),
        (
            r#"{"items": [{"cuont": 1}]}"#,
            "shop.Item has no field \"cuont\": did you mean \"count\"?",
        ),
        (r#"{"items": [{"count": "many"}]}"#, "shop.Order"),
        (r#"{"id": 7}"#, "shop.Order"),
        ("[]", "shop.Order"),
        ("{", "line 1"),
        (r#"{"id": "o-{n}"}"#, "{n}"),
    ];
    for (json, expected) in cases {
        let text = refusal("shop.Orders/Place", Some(json));
        assert!(text.contains(expected), "{json}: {text}");
    }
}

#[test]
fn a_file_that_is_no_descriptor_set_is_refused_with_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = |path: PathBuf| {
        let request = RequestOptions {
            descriptor_set: Some(path),
            ..call("shop.Orders/Place", None)
        };
        GrpcMaker::prepare(&target(), &request, None)
            .unwrap_err()
            .to_string()
    };
    let path = dir.path().join("set");
    assert!(refusal(path.clone()).contains("No such file"));
    std::fs::write(&path, "syntax = \"proto3\";").unwrap();
    assert!(refusal(path.clone()).contains("protoc"));
    // Written without its imports.
    let set = FileDescriptorSet { file: files() };
    std::fs::write(&path, set.encode_to_vec()).unwrap();
    let text = refusal(path);
    assert!(
        text.contains("--include_imports") && text.contains("timestamp"),
        "{text}"
    );
}

#[test]
fn options_of_other_transports_are_refused() {
    let request = RequestOptions {
        method: Some("GET".to_owned()),
        ..call("shop.Orders/Place", None)
    };
    assert!(
        prepared(request)
            .unwrap_err()
            .to_string()
            .contains("a method")
    );
    let request = RequestOptions {
        command: vec!["PING".to_owned()],
        ..call("shop.Orders/Place", None)
    };
    assert!(prepared(request).unwrap_err().to_string().contains("Redis"));
}
