//! Statistics reach those who watch a service: as text, and by the `metrics` facade.
#![cfg(not(loom))]

use std::alloc::System;
use std::process::{Command, Stdio};

use tailcut_pool::export::{self, Snapshot};
use tailcut_pool::meter::Metered;
use tailcut_pool::{AsIs, Pool};

#[global_allocator]
static ALLOCATOR: Metered<System> = Metered::new(System);

fn numbers(capacity: usize) -> Pool<u64, AsIs> {
    let builder = Pool::builder(|| 0_u64).keep_as_is().capacity(capacity);
    builder.sample_lifetimes(1).build().unwrap()
}

/// The text of two pools, one of them with a name that needs care.
fn text_of_two_pools() -> String {
    let (orders, odd) = (numbers(10), numbers(3));
    let held: Vec<_> = (0..4).map(|_| orders.try_get().unwrap()).collect();
    drop(odd.try_get().unwrap());
    let mut text = String::new();
    let pools = [
        Snapshot::of("orders", &orders),
        Snapshot::of("a \"quoted\\name\"\n", &odd),
    ];
    export::prometheus_text(&pools, &mut text).unwrap();
    drop(held);
    text
}

#[test]
fn a_family_stands_together_whatever_the_number_of_pools() {
    let text = text_of_two_pools();
    let mut seen: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let family = line.split(' ').nth(2).unwrap();
        assert!(!seen.contains(&family), "{family} twice in\n{text}");
        seen.push(family);
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("tailcut_pool_"), "{line}");
    }
    assert!(text.contains(
        "# TYPE tailcut_pool_in_use gauge\n\
         tailcut_pool_in_use{pool=\"orders\"} 4\n\
         tailcut_pool_in_use{pool=\"a \\\"quoted\\\\name\\\"\\n\"} 0\n"
    ));
}

#[test]
fn lifetimes_are_there_if_they_are_sampled() {
    assert!(text_of_two_pools().contains("tailcut_pool_lifetime_seconds_count{pool=\"orders\"} 0"));
    let unsampled = Pool::builder(|| 0_u64).keep_as_is().capacity(1);
    let unsampled = unsampled.build().unwrap();
    let mut text = String::new();
    export::prometheus_text(&[Snapshot::of("orders", &unsampled)], &mut text).unwrap();
    assert!(!text.contains("lifetime"));
}

/// Checked by Prometheus' own linter, where it is installed (Debian: `prometheus`).
#[test]
fn prometheus_finds_nothing_wrong_with_the_text() {
    use std::io::Write;

    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("SKIPPED: no promtool here");
        return;
    };
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text_of_two_pools().as_bytes()).unwrap();
    drop(input);
    let verdict = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&verdict.stderr);
    assert!(verdict.status.success(), "{said}");
}

/// Checked by the parser of Prometheus' client for Python, where it is installed.
#[test]
fn another_parser_reads_what_was_written() {
    use std::io::Write;

    const READ: &str = r#"
import sys
try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    sys.exit(3)
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        print(family.type, sample.name, repr(sample.labels.get("pool")), float(sample.value))
"#;
    let python = Command::new("python3")
        .args(["-c", READ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut python) = python else {
        eprintln!("SKIPPED: no python3 here");
        return;
    };
    let mut input = python.stdin.take().unwrap();
    // It may have left already, if it has no such parser.
    let _ = input.write_all(text_of_two_pools().as_bytes());
    drop(input);
    let output = python.wait_with_output().unwrap();
    if output.status.code() == Some(3) {
        eprintln!("SKIPPED: python3 has no prometheus_client here");
        return;
    }
    let read = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "gauge tailcut_pool_capacity 'orders' 10.0\n",
        "gauge tailcut_pool_in_use 'orders' 4.0\n",
        "gauge tailcut_pool_capacity 'a \"quoted\\\\name\"\\n' 3.0\n",
        "counter tailcut_pool_gets_total 'orders' 4.0\n",
        "histogram tailcut_pool_lifetime_seconds_count 'a \"quoted\\\\name\"\\n' 1.0\n",
    ] {
        assert!(read.contains(expected), "{expected} in\n{read}");
    }
}

#[cfg(feature = "metrics")]
mod facade {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata,
        Recorder, SharedString, Unit, with_local_recorder,
    };
    use tailcut_pool::Pool;
    use tailcut_pool::export::{self, Exporter};
    use tailcut_pool::meter;

    use super::numbers;

    /// Keeps what was published, by name and labels.
    #[derive(Default, Clone)]
    struct Shelf(Arc<Mutex<HashMap<String, Arc<Series>>>>);

    #[derive(Default)]
    struct Series {
        /// A counter's number, or a gauge's bits.
        value: AtomicU64,
        samples: Mutex<Vec<f64>>,
        described: Mutex<Option<Unit>>,
    }

    impl CounterFn for Series {
        fn increment(&self, value: u64) {
            self.value.fetch_add(value, Ordering::Relaxed);
        }
        fn absolute(&self, value: u64) {
            self.value.fetch_max(value, Ordering::Relaxed);
        }
    }

    impl GaugeFn for Series {
        fn increment(&self, _value: f64) {
            unreachable!("gauges are set");
        }
        fn decrement(&self, _value: f64) {
            unreachable!("gauges are set");
        }
        fn set(&self, value: f64) {
            self.value.store(value.to_bits(), Ordering::Relaxed);
        }
    }

    impl HistogramFn for Series {
        fn record(&self, value: f64) {
            self.samples.lock().unwrap().push(value);
        }
    }

    impl Shelf {
        fn series(&self, name: &str) -> Arc<Series> {
            let mut shelf = self.0.lock().unwrap();
            Arc::clone(shelf.entry(name.to_owned()).or_default())
        }

        fn of_key(&self, key: &Key) -> Arc<Series> {
            let labels = key
                .labels()
                .map(|label| format!(" {}={}", label.key(), label.value()));
            self.series(&(key.name().to_owned() + &labels.collect::<String>()))
        }

        fn counter(&self, name: &str) -> u64 {
            self.series(name).value.load(Ordering::Relaxed)
        }

        fn gauge(&self, name: &str) -> f64 {
            f64::from_bits(self.counter(name))
        }

        /// The sum over all cores.
        fn total(&self, name: &str) -> u64 {
            let beginning = format!("{name} pool=orders core=");
            let shelf = self.0.lock().unwrap();
            let cores = shelf
                .iter()
                .filter(|(name, _)| name.starts_with(&beginning));
            cores
                .map(|(_, core)| core.value.load(Ordering::Relaxed))
                .sum()
        }

        fn unit(&self, name: &str) -> Option<Unit> {
            *self.series(name).described.lock().unwrap()
        }

        fn describe(&self, name: &KeyName, unit: Option<Unit>) {
            *self.series(name.as_str()).described.lock().unwrap() = unit;
        }
    }

    impl Recorder for Shelf {
        fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _help: SharedString) {
            self.describe(&name, unit);
        }
        fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _help: SharedString) {
            self.describe(&name, unit);
        }
        fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _help: SharedString) {
            self.describe(&name, unit);
        }
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.of_key(key))
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.of_key(key))
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.of_key(key))
        }
    }

    #[test]
    fn a_publication_brings_the_figures_of_the_moment() {
        let shelf = Shelf::default();
        let pool = numbers(10);
        with_local_recorder(&shelf, || {
            let mut exporter = Exporter::new("orders", &pool);
            let held: Vec<_> = (0..4).map(|_| pool.try_get().unwrap()).collect();
            exporter.publish();
            assert_eq!(shelf.gauge("tailcut_pool_capacity pool=orders"), 10.0);
            assert_eq!(shelf.gauge("tailcut_pool_in_use pool=orders"), 4.0);
            assert_eq!(shelf.total("tailcut_pool_gets_total"), 4);
            drop(held);
            exporter.publish();
            assert_eq!(shelf.gauge("tailcut_pool_in_use pool=orders"), 0.0);
            assert_eq!(shelf.total("tailcut_pool_puts_total"), 4);
            assert_eq!(shelf.unit("tailcut_pool_gets_total"), Some(Unit::Count));
            assert_eq!(
                shelf.unit("tailcut_pool_lifetime_seconds"),
                Some(Unit::Seconds)
            );
        });
    }

    #[test]
    fn each_lifetime_is_recorded_once_and_never_too_short() {
        let shelf = Shelf::default();
        let pool = numbers(1);
        with_local_recorder(&shelf, || {
            let mut exporter = Exporter::new("orders", &pool);
            let object = pool.try_get().unwrap();
            std::thread::sleep(Duration::from_millis(2));
            drop(object);
            exporter.publish();
            exporter.publish();
            let series = shelf.series("tailcut_pool_lifetime_seconds pool=orders");
            let samples = series.samples.lock().unwrap();
            assert_eq!(samples.len(), 1);
            assert!(samples[0] >= 0.002, "{samples:?}");
        });
    }

    #[test]
    fn two_exporters_of_a_pool_count_nothing_twice() {
        let shelf = Shelf::default();
        let pool = numbers(10);
        with_local_recorder(&shelf, || {
            drop(pool.try_get().unwrap());
            Exporter::new("orders", &pool).publish();
            Exporter::new("orders", &pool).publish();
            assert_eq!(shelf.total("tailcut_pool_gets_total"), 1);
        });
    }

    #[test]
    fn after_the_first_a_publication_allocates_one_list() {
        let shelf = Shelf::default();
        let pool = Pool::builder(|| 0_u64).keep_as_is().capacity(10);
        let pool = pool.build().unwrap();
        with_local_recorder(&shelf, || {
            let mut exporter = Exporter::new("orders", &pool);
            let held = pool.try_get().unwrap();
            exporter.publish();
            let before = meter::counts();
            exporter.publish();
            assert_eq!((meter::counts() - before).allocations, 1);
            drop(held);
        });
    }

    #[test]
    fn a_thread_publishes_until_the_pool_is_gone() {
        let shelf = Shelf::default();
        let pool = Arc::new(numbers(10));
        let period = Duration::from_millis(1);
        let exporting =
            with_local_recorder(&shelf, || export::every(period, "orders", &pool).unwrap());
        assert_eq!(shelf.gauge("tailcut_pool_in_use pool=orders"), 0.0);
        let held = pool.try_get().unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while shelf.gauge("tailcut_pool_in_use pool=orders") != 1.0 {
            assert!(Instant::now() < end, "the thread publishes nothing");
            std::thread::sleep(period);
        }
        drop(held);
        let weak = Arc::downgrade(&pool);
        drop(pool);
        while weak.strong_count() > 0 {
            assert!(Instant::now() < end, "the thread keeps the pool");
            std::thread::sleep(period);
        }
        drop(exporting);
    }

    #[cfg(feature = "swap")]
    #[test]
    fn counters_go_on_when_a_pool_is_replaced() {
        use tailcut_pool::Swap;

        let shelf = Shelf::default();
        let swap = Swap::new(numbers(10));
        let get = |times| (0..times).for_each(|_| drop(swap.try_get().unwrap()));
        with_local_recorder(&shelf, || {
            let mut exporter = Exporter::new("orders", &swap);
            get(5);
            exporter.publish();
            swap.replace(numbers(20));
            get(7);
            exporter.publish();
            assert_eq!(shelf.gauge("tailcut_pool_capacity pool=orders"), 20.0);
            assert_eq!(shelf.total("tailcut_pool_gets_total"), 12);
            let lifetimes = shelf.series("tailcut_pool_lifetime_seconds pool=orders");
            assert_eq!(lifetimes.samples.lock().unwrap().len(), 12);
        });
    }
}
