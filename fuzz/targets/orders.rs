//! The binary order protocol, as a server meets it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailcut_loadgen::order::wire::{Frame, OrderView, client_id};

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    // The rest of an order may be still under way.
    while let Frame::Whole(length) = Frame::find(rest)
        && let Some((frame, behind)) = rest.split_at_checked(length)
    {
        let _ = client_id(frame);
        if let Ok(order) = OrderView::decode(frame) {
            assert!(order.items().len() <= frame.len());
            let _ = (order.id(), order.account(), order.metadata().len());
        }
        rest = behind;
    }
});
