//! Queues of boxes, used as pools.

use std::ptr::NonNull;

use crossbeam_queue::{ArrayQueue, SegQueue};

use crate::source::{Kind, Object, Plan, Source};

/// crossbeam's bounded queue.
#[derive(Debug)]
pub struct BoxArrayQueue<const N: usize>(ArrayQueue<Box<Object<N>>>);

impl<const N: usize> Source for BoxArrayQueue<N> {
    const NAME: &'static str = "crossbeam ArrayQueue";
    const KIND: Kind = Kind::Pool;
    type Held<'a> = Box<Object<N>>;

    fn new(plan: Plan) -> Result<Self, String> {
        let queue = ArrayQueue::new(plan.capacity);
        (0..plan.capacity).for_each(|_| queue.force_push(Object::boxed()).map_or((), drop));
        Ok(BoxArrayQueue(queue))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.pop().expect("the plan's capacity suffices")
    }

    #[inline(always)]
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
        held.as_mut().start()
    }

    #[inline(always)]
    fn put<'a>(&'a self, held: Self::Held<'a>) {
        let _ = self.0.push(held);
    }
}

/// crossbeam's unbounded queue.
#[derive(Debug)]
pub struct BoxSegQueue<const N: usize>(SegQueue<Box<Object<N>>>);

impl<const N: usize> Source for BoxSegQueue<N> {
    const NAME: &'static str = "crossbeam SegQueue";
    const KIND: Kind = Kind::Pool;
    type Held<'a> = Box<Object<N>>;

    fn new(plan: Plan) -> Result<Self, String> {
        let queue = SegQueue::new();
        (0..plan.capacity).for_each(|_| queue.push(Object::boxed()));
        Ok(BoxSegQueue(queue))
    }

    #[inline(always)]
    fn get(&self) -> Self::Held<'_> {
        self.0.pop().expect("the plan's capacity suffices")
    }

    #[inline(always)]
    fn start(held: &mut Self::Held<'_>) -> NonNull<u8> {
        held.as_mut().start()
    }

    #[inline(always)]
    fn put<'a>(&'a self, held: Self::Held<'a>) {
        self.0.push(held);
    }
}
