//! Searches of simulated targets, whose limit is known.

use super::*;
use crate::measured::Percentiles;
use std::path::PathBuf;
use tailcut_report::recording::ObjectiveResult;

/// A target with one server of fixed service time and random arrivals (M/D/1), seen through a machine that
/// stalls now and then.
struct Simulated {
    service_ns: f64,
    limit_ns: f64,
    stalls: f64,
    generator_limit: f64,
    random: u64,
}

impl Simulated {
    fn new(seed: u64) -> Simulated {
        Simulated {
            service_ns: 10_000.0,
            limit_ns: 200_000.0,
            stalls: 0.0,
            generator_limit: f64::INFINITY,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    fn uniform(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The tail of the M/D/1 waiting time falls exponentially; in heavy traffic its rate is
    /// 2 (1 - rho) / (rho * service) (Kingman's approximation).
    fn p999(&self, rate: f64) -> f64 {
        let rho = rate * self.service_ns / 1e9;
        if rho >= 1.0 {
            return 1e9;
        }
        self.service_ns * (1.0 + 6.907 * rho / (2.0 * (1.0 - rho)))
    }

    /// The rate at which the objective is reached.
    fn limit(&self) -> f64 {
        let (mut low, mut high) = (1.0, 1e9 / self.service_ns);
        for _ in 0..100 {
            let middle = (low + high) / 2.0;
            if self.p999(middle) < self.limit_ns {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    fn run(&mut self, order: &ProbeOrder) -> Measured {
        let rate = order.rate.as_f64();
        let noise = 1.0 + 0.02 * (self.uniform() - 0.5);
        let stalled = self.uniform() < self.stalls;
        let p999 = if stalled {
            5e6
        } else {
            self.p999(rate) * noise
        };
        let held = p999 < self.limit_ns;
        Measured {
            dir: PathBuf::from("simulated"),
            rate_target: rate,
            rate_achieved: rate.min(1e9 / self.service_ns),
            schedule_kept: rate * self.service_ns < 1e9,
            response: Percentiles {
                p50: self.service_ns as u64,
                p999: p999 as u64,
                max: 2 * p999 as u64,
                ..Percentiles::default()
            },
            errors: 0.0,
            objectives: vec![ObjectiveResult {
                objective: "p99.9<200us".to_owned(),
                measured: p999,
                held,
            }],
            bottleneck: (rate > self.generator_limit).then(|| "generator".to_owned()),
            generator_cpus: 1.0,
            target_cpus: None,
            partial: None,
        }
    }

    fn search(&mut self, plan: &SearchPlan) -> SearchResult {
        search(plan, &mut |order| Ok(Some(self.run(order))), &mut |_| {}).unwrap()
    }
}

fn plan() -> SearchPlan {
    SearchPlan {
        start: "1k".parse().unwrap(),
        least: "1".parse().unwrap(),
        most: "100M".parse().unwrap(),
        precision: 0.02,
        probe: Nanos::SECOND,
        confirm: Nanos::SECOND,
    }
}

#[test]
fn the_limit_of_a_known_queue_is_found_to_the_wanted_precision() {
    let mut near = 0;
    for seed in 0..200 {
        let mut target = Simulated::new(seed);
        let limit = target.limit();
        let found = target.search(&plan()).rate.unwrap();
        near += u32::from((found / limit - 1.0).abs() < 0.03);
    }
    assert!(near >= 190, "{near} of 200");
}

#[test]
fn stalls_of_the_machine_do_not_mislead_it() {
    let mut near = 0;
    for seed in 0..200 {
        let mut target = Simulated {
            stalls: 0.05,
            ..Simulated::new(seed)
        };
        let limit = target.limit();
        let found = target.search(&plan()).rate.unwrap();
        near += u32::from((found / limit - 1.0).abs() < 0.05);
    }
    // One decision of about ten is misled with a chance of 1 in 200.
    assert!(near >= 180, "{near} of 200");
}

#[test]
fn a_first_rate_that_is_too_high_is_halved_until_it_holds() {
    let mut target = Simulated::new(7);
    let limit = target.limit();
    let start = "10M".parse().unwrap();
    let result = target.search(&SearchPlan { start, ..plan() });
    assert!((result.rate.unwrap() / limit - 1.0).abs() < 0.05);
    assert_eq!(result.limit, Limit::Target);
    assert!(result.broken_rate.unwrap() > result.rate.unwrap());
}

#[test]
fn a_target_that_holds_nothing_gives_no_rate() {
    let mut target = Simulated {
        limit_ns: 1.0,
        ..Simulated::new(1)
    };
    let result = target.search(&plan());
    assert_eq!((result.rate, result.limit), (None, Limit::NothingHeld));
}

#[test]
fn a_target_that_holds_everything_is_credited_no_more_than_was_tried() {
    let mut target = Simulated {
        service_ns: 1.0,
        ..Simulated::new(1)
    };
    let most = "50k".parse().unwrap();
    let result = target.search(&SearchPlan { most, ..plan() });
    assert_eq!((result.rate, result.limit), (Some(50_000.0), Limit::Most));
}

#[test]
fn a_limit_of_the_generator_is_not_called_the_targets() {
    let mut target = Simulated {
        generator_limit: 30_000.0,
        ..Simulated::new(1)
    };
    let result = target.search(&plan());
    assert_eq!(result.limit, Limit::Generator);
    assert!((result.rate.unwrap() / 30_000.0 - 1.0).abs() < 0.03);
}

#[test]
fn the_result_is_the_confirming_run_and_not_the_lucky_probe() {
    let mut target = Simulated::new(3);
    let result = target.search(&plan());
    let confirmed = &result.probes[result.confirmed_by.unwrap()];
    assert_eq!(confirmed.phase, Phase::Confirm);
    assert_eq!(Some(confirmed.measured.rate_target), result.rate);
}

#[test]
fn a_stopped_search_keeps_what_it_ran() {
    let mut target = Simulated::new(3);
    let mut left = 3;
    let result = search(
        &plan(),
        &mut |order| {
            left -= 1;
            Ok((left >= 0).then(|| target.run(order)))
        },
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(result.limit, Limit::Stopped);
    assert_eq!(result.probes.len(), 3);
    assert_eq!(result.rate, None);
}

#[test]
fn the_curve_names_its_axes_and_has_a_point_for_each_run() {
    let result = Simulated::new(3).search(&plan());
    let picture = draw_curve("a target", &result).unwrap().unwrap();
    assert!(picture.contains("requests per second") && picture.contains("P99.9"));
    assert!(picture.matches("<circle").count() >= 4 * result.probes.len());
    let none = SearchResult {
        probes: Vec::new(),
        ..result
    };
    assert_eq!(draw_curve("nothing", &none).unwrap(), None);
}
