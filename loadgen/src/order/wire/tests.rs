use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn sample() -> Vec<u8> {
    let items = [
        Item {
            sku: 7,
            quantity: 2,
            price_cents: 1999,
        },
        Item {
            sku: 9,
            quantity: 1,
            price_cents: 5,
        },
    ];
    let mut bytes = Vec::new();
    encode(
        &mut bytes,
        42,
        17,
        &items,
        &[("channel", "web"), ("note", "")],
    )
    .unwrap();
    bytes
}

#[test]
fn an_order_reads_back_as_it_was_written() {
    let bytes = sample();
    let view = OrderView::decode(&bytes).unwrap();
    assert_eq!((view.id(), view.account()), (42, 17));
    assert_eq!(
        view.items()
            .map(|item| item.price_cents)
            .collect::<Vec<_>>(),
        [1999, 5]
    );
    assert_eq!(view.metadata(), [("channel", "web"), ("note", "")]);
}

#[test]
fn every_prefix_of_an_order_is_refused_as_cut_short() {
    let bytes = sample();
    for length in 0..bytes.len() {
        let refused = OrderView::decode(&bytes[..length]).unwrap_err();
        assert!(
            matches!(refused, WireError::Truncated { found, .. } if found == length),
            "{refused}"
        );
    }
}

#[test]
fn each_fault_has_its_own_error() {
    let broken = |at: usize, with: u8| {
        let mut bytes = sample();
        bytes[at] = with;
        OrderView::decode(&bytes).unwrap_err()
    };
    let metadata = HEADER + 2 * ITEM;
    assert_eq!(broken(2, 9), WireError::Version { found: 9 });
    assert_eq!(broken(5, 1), WireError::Reserved);
    assert_eq!(broken(3, 0), WireError::ItemCount { found: 0 });
    assert_eq!(broken(3, 9), WireError::ItemCount { found: 9 });
    assert_eq!(broken(4, 5), WireError::MetadataCount { found: 5 });
    assert_eq!(broken(metadata, 0), WireError::KeyLength { found: 0 });
    assert_eq!(broken(metadata, 16), WireError::KeyLength { found: 16 });
    assert_eq!(
        broken(metadata + 1, 32),
        WireError::ValueLength { found: 32 }
    );
    assert_eq!(broken(metadata + 2, 0xff), WireError::NotText { entry: 0 });
    assert_eq!(broken(4, 1), WireError::TrailingBytes { extra: 6 });
    let mut long = sample();
    long.push(0);
    assert_eq!(
        OrderView::decode(&long).unwrap_err(),
        WireError::TrailingBytes { extra: 1 }
    );
    let item = [Item::default()];
    let twice = encode(&mut Vec::new(), 0, 0, &item, &[("k", "a"), ("k", "b")]);
    assert_eq!(twice, Err(WireError::DuplicateKey { entry: 1 }));
}

#[test]
fn an_order_that_cannot_be_written_leaves_the_buffer_as_it_was() {
    let mut bytes = vec![1, 2, 3];
    assert!(encode(&mut bytes, 0, 0, &[], &[]).is_err());
    assert!(encode(&mut bytes, 0, 0, &[Item::default(); 300], &[]).is_err());
    assert!(
        encode(
            &mut bytes,
            0,
            0,
            &[Item::default()],
            &[("a key of 16 byte", "")]
        )
        .is_err()
    );
    assert_eq!(bytes, [1, 2, 3]);
}

#[test]
fn the_end_of_the_first_order_in_a_stream_is_found_before_its_last_byte_is_there() {
    let bytes = sample();
    assert_eq!(Frame::find(&bytes[..2]), Frame::Unknown);
    assert_eq!(Frame::find(&bytes[..3]), Frame::Whole(bytes.len()));
    assert_eq!(client_id(&bytes), OrderView::decode(&bytes).unwrap().id());
    assert_eq!(client_id(&bytes[..15]), 0);
    assert_eq!(Frame::find(b"GET /"), Frame::Lost);
    assert_eq!(Frame::find(&[19, 0, VERSION]), Frame::Lost);
}

#[test]
fn no_order_is_longer_than_the_longest() {
    let items = [Item::default(); MAX_ITEMS];
    let keys: Vec<String> = (0..MAX_METADATA)
        .map(|n| format!("{n:0>MAX_KEY$}"))
        .collect();
    let value = "v".repeat(MAX_VALUE);
    let metadata: Vec<Entry<'_>> = keys
        .iter()
        .map(|key| (key.as_str(), value.as_str()))
        .collect();
    let mut bytes = Vec::new();
    encode(&mut bytes, 0, 0, &items, &metadata).unwrap();
    assert_eq!(bytes.len(), MAX_ORDER);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = OrderView::decode(&bytes);
    }

    #[test]
    fn an_order_with_one_byte_changed_never_panics(at in 0_usize..60, with in any::<u8>()) {
        let mut bytes = sample();
        let at = at % bytes.len();
        bytes[at] = with;
        let _ = OrderView::decode(&bytes);
    }

    #[test]
    fn whatever_can_be_written_reads_back(
        id in any::<u64>(),
        account in any::<u32>(),
        items in vec((any::<u32>(), any::<u32>(), any::<u32>()), 1..=MAX_ITEMS),
        metadata in proptest::collection::btree_map("[a-z]{1,15}", "[ -~]{0,31}", 0..=MAX_METADATA),
    ) {
        let items: Vec<Item> =
            items.into_iter().map(|(sku, quantity, price_cents)| Item { sku, quantity, price_cents }).collect();
        let metadata: Vec<Entry<'_>> = metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let mut bytes = Vec::new();
        encode(&mut bytes, id, account, &items, &metadata).unwrap();
        let view = OrderView::decode(&bytes).unwrap();
        prop_assert_eq!((view.id(), view.account()), (id, account));
        prop_assert_eq!(view.items().collect::<Vec<_>>(), items);
        prop_assert_eq!(view.metadata(), &metadata[..]);
    }
}
