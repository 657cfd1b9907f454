//! Frames made by hand, for what an `h2` server never sends.

use proptest::prelude::*;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GO_AWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Bytes as a peer may send them: mostly frames with a sensible length, of any kind; some sensible, some not.
pub(super) fn any() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop_oneof![
        4 => (0_u32..6).prop_map(|number| 2 * number + 1),
        2 => Just(0),
        1 => any_u32(),
    ];
    let made = (
        0_u8..12,
        prop_oneof![Just(0), Just(1), Just(4), Just(5), any_u8()],
        stream,
        payload(),
    )
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload));
    prop_oneof![
        20 => made,
        6 => (0_u32..6).prop_map(|number| frame(HEADERS, 4, 2 * number + 1, &[0x88])),
        6 => (0_u32..6).prop_map(|number| frame(DATA, 1, 2 * number + 1, b"body")),
        2 => Just(frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1])),
        2 => Just(frame(SETTINGS, 1, 0, &[])),
        1 => Just(frame(6, 0, 0, &[7; 8])),
        1 => prop::collection::vec(any_u8(), 0..100),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(any_u8(), 0..40),
        2 => prop::collection::vec(any_u8(), 4),
        2 => prop::collection::vec(any_u8(), 8),
        1 => prop::collection::vec(any_u8(), 0..20_000),
    ]
}

fn any_u8() -> impl Strategy<Value = u8> {
    proptest::arbitrary::any::<u8>()
}

fn any_u32() -> impl Strategy<Value = u32> {
    proptest::arbitrary::any::<u32>()
}
