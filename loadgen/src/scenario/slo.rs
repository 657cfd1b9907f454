//! Service level objectives: `p99.9<1ms,errors<0.05%`.

/// What must hold for a run to pass; all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    /// Each of the objectives.
    pub objectives: Vec<Objective>,
}

/// One objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// As it was written.
    pub text: String,
    /// What is compared.
    pub measure: Measure,
    /// It must be below this: nanoseconds, or a share from 0 to 1. (For [`Measure::Rate`]: above, in requests
    /// per second.)
    pub limit: f64,
}

/// What an objective is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// A quantile of response time, 0 to 1.
    Response(f64),
    /// The largest response time.
    Max,
    /// Mean response time.
    Mean,
    /// Failed or unanswered requests, as a share of those due.
    Errors,
    /// Requests completed per second of the schedule.
    Rate,
}
