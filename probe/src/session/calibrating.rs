//! The calibration of probe sites, on a thread of its own while the session has begun.

use std::thread::JoinHandle;

use crate::calibration::{Calibration, Floors, calibrate};

pub(crate) struct Calibrating {
    thread: Option<JoinHandle<Option<Calibration>>>,
    floors: Floors,
    measured: Option<Calibration>,
}

impl Calibrating {
    /// Begins, if there are probe sites at all.
    pub fn start(needed: bool) -> Calibrating {
        let thread = needed.then(|| {
            std::thread::Builder::new()
                .name("calibration".to_owned())
                // What cannot be measured keeps its default: of another machine, but of that order.
                .spawn(|| calibrate().ok())
                .ok()
        });
        Calibrating {
            thread: thread.flatten(),
            floors: Floors::default(),
            measured: None,
        }
    }

    /// What was measured, once it has been.
    pub fn step(&mut self) -> Option<Calibration> {
        if !self.thread.as_ref()?.is_finished() {
            return None;
        }
        let measured = self.thread.take()?.join().ok()??;
        self.floors = measured.floors;
        self.measured = Some(measured);
        Some(measured)
    }

    pub fn floors(&self) -> Floors {
        self.floors
    }

    /// What was measured, if it has been.
    pub fn measured(&self) -> Option<&Calibration> {
        self.measured.as_ref()
    }
}
