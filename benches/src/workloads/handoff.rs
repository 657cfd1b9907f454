//! One core gets objects and sends them through a ring to another core, which puts them back.
//!
//! The control row sends objects that need no source: what the ring costs by itself, which is
//! subtracted from every row where the second core does not read the objects. (rtrb's ring:
//! wait-free, with cached indices.)

use std::thread;
use std::time::Instant;

use crate::placement::Placement;
use crate::rows::{self, Measurement};
use crate::source::{Plan, Source, look, touch};
use crate::workload::{Figure, Row, Workload};

const RING: usize = 1024;
/// The control's circle of objects is twice the ring, so that no object is written again right
/// after it was read.
const PLAN: Plan = Plan {
    capacity: 4 * RING,
    in_use: 2 * RING,
};

/// What the second core does with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumer {
    /// Puts it back.
    OnlyReturns,
    /// Reads a byte that the first core wrote, and puts it back.
    Reads,
}

/// The workload.
#[must_use]
pub fn workload(name: &'static str, consumer: Consumer) -> Workload {
    let (title, figure) = match consumer {
        Consumer::OnlyReturns => (
            "Producer to consumer: get on one core, put on the other, 256 bytes, above the ring's own cost",
            Figure::AboveControl,
        ),
        // No control to subtract: the objects' own travel depends on which ones are used again.
        Consumer::Reads => (
            "Producer to consumer: get on one core, read and put on the other, 256 bytes, with the ring's cost",
            Figure::Whole,
        ),
    };
    Workload {
        name,
        title: title.to_owned(),
        unit: "object",
        units: 1.0,
        figure,
        round_ms: 4.0,
        fewest: 20_000,
        cores: 2,
        pinned: true,
        rows: Box::new(move |context| {
            rows::all::<256>(&Handoff {
                placement: context.placement.clone(),
                consumer,
            })
        }),
    }
}

/// What goes through the ring: two words at least. A guard is two words, an allocator's pointer is
/// one; without the padding the ring would cost rows with guards twice what the control pays, and
/// the difference would count as theirs.
#[repr(align(16))]
struct Message<H>(H);

/// Nanoseconds from the first get to the last put of so many objects, after a tenth more (at least
/// some rings full) to let both threads begin and warm their caches.
fn send<S>(source: &S, placement: &Placement, consumer: Consumer, objects: u64) -> f64
where
    S: Source + Sync,
    for<'a> S::Held<'a>: Send,
{
    let warm = objects / 10 + 8 * RING as u64;
    let (mut sender, mut receiver) = rtrb::RingBuffer::new(RING);
    thread::scope(|scope| {
        let consumer = scope.spawn(move || {
            placement.pin(1);
            for _ in 0..warm + objects {
                let mut held = loop {
                    match receiver.pop() {
                        Ok(Message(held)) => break held,
                        Err(_) => std::hint::spin_loop(),
                    }
                };
                if consumer == Consumer::Reads {
                    look::<S>(&mut held);
                }
                source.put(held);
            }
            Instant::now()
        });
        let mut give = |object| {
            let mut held = source.get();
            touch::<S>(&mut held, object);
            let mut message = Message(held);
            while let Err(rtrb::PushError::Full(back)) = sender.push(message) {
                message = back;
                std::hint::spin_loop();
            }
        };
        (0..warm).for_each(&mut give);
        let start = Instant::now();
        (0..objects).for_each(&mut give);
        let end = consumer.join().expect("the consumer does not panic");
        (end - start).as_nanos() as f64
    })
}

struct Handoff {
    placement: Placement,
    consumer: Consumer,
}

impl Measurement for Handoff {
    fn shared<S>(&self) -> Option<Row>
    where
        S: Source + Sync,
        for<'a> S::Held<'a>: Send,
    {
        let (placement, consumer) = (self.placement.clone(), self.consumer);
        Some(match S::CONFINED {
            Some(why) => Row::absent(S::NAME, S::KIND, why),
            None => Row::new(S::new(PLAN), move |source: &S, objects| {
                send(source, &placement, consumer, objects)
            }),
        })
    }
}
