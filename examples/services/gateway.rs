//! A gateway before a model: requests come in, a predictor answers them, tensors are reused.
//!
//! Each request needs a tensor of 150 KB, filled by a task and read by a predictor's thread: it
//! travels in an owned guard. Three things keep overload from becoming a queue without end:
//!
//! - The number of tensors follows from the load by Little's law ([`Sizing`]).
//! - When three quarters of them are in use, new requests are turned away (HTTP 429).
//! - Those that were let in before that was noticed wait for a tensor, with little patience (503).
//!
//! The load is 200 requests a second, and 1000, beyond the predictors' 400, in the second third.
//!
//! ```text
//! cargo run --release -p tailcut-examples --example gateway
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use tailcut_pool::sizing::{Rate, Recommendation, Sizing};
use tailcut_pool::{AsIs, OwnedGuard, Pool, Wait};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{interval, timeout};

const PREDICTORS: usize = 2;
const MODEL_TIME: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_millis(5);

type Tensor = [f32; 112 * 112 * 3];

/// A tensor on its way to a predictor, and where the answer goes.
type Job = (OwnedGuard<Tensor>, oneshot::Sender<f32>);

struct Gateway {
    tensors: Pool<Tensor, AsIs, Wait>,
    advice: Recommendation,
    turning_away: AtomicBool,
    jobs: mpsc::UnboundedSender<Job>, // never more jobs than tensors
}

impl Gateway {
    fn new(jobs: mpsc::UnboundedSender<Job>) -> Result<Self> {
        // At 300 a second a tensor is held for 25 ms: filled, queued, read.
        let load = Sizing::for_load(Rate::per_second(300.0), Duration::from_millis(25));
        let advice = load.recommend()?;
        let tensors = Pool::builder_in_place(|slot| slot.fill_with(|_| 0.0))
            .keep_as_is() // a request overwrites all of it
            .capacity(advice.capacity)
            .wait()
            .build()?;
        Ok(Gateway {
            tensors,
            advice,
            turning_away: AtomicBool::new(false),
            jobs,
        })
    }

    /// Answers one request, by its HTTP status.
    async fn serve(&self, pixel: f32) -> u16 {
        if self.turning_away.load(Relaxed) {
            return 429;
        }
        self.predict(pixel).await.map_or(503, |_prediction| 200)
    }

    /// `None` if no tensor came free in time, or the predictors are gone.
    async fn predict(&self, pixel: f32) -> Option<f32> {
        let tensor = timeout(PATIENCE, self.tensors.get_async()).await.ok()?;
        let mut tensor = self.tensors.own(tensor);
        tensor.fill(pixel);
        let (answer, answered) = oneshot::channel();
        self.jobs.send((tensor, answer)).ok()?;
        answered.await.ok()
    }

    /// Statistics cost some reads per core: looked at every few milliseconds, not in each request.
    async fn watch(&self) {
        let mut looks = interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let in_use = self.tensors.statistics().in_use;
            self.turning_away
                .store(self.advice.back_pressure(in_use), Relaxed);
        }
    }
}

/// Answers jobs one after the other, as a model on an accelerator does.
fn predictor(jobs: &Mutex<mpsc::UnboundedReceiver<Job>>) {
    loop {
        let job = jobs.lock().expect("no predictor panics").blocking_recv();
        let Some((tensor, answer)) = job else { return };
        std::thread::sleep(MODEL_TIME);
        let sum = tensor.iter().sum();
        drop(tensor); // free before the next request hears of it
        let _ = answer.send(sum); // whoever asked may have gone
    }
}

/// Offers load for `time`; returns the gateway at rest, and how many requests had which status.
async fn run(time: Duration) -> Result<(Arc<Gateway>, BTreeMap<u16, usize>)> {
    let (jobs, todo) = mpsc::unbounded_channel();
    let todo = Arc::new(Mutex::new(todo));
    for _ in 0..PREDICTORS {
        let todo = Arc::clone(&todo);
        std::thread::spawn(move || predictor(&todo));
    }
    let gateway = Arc::new(Gateway::new(jobs)?);
    let watched = Arc::clone(&gateway);
    let watch = tokio::spawn(async move { watched.watch().await });
    let mut requests = Vec::new();
    for rate in [200, 1000, 200] {
        // What is late is made up for: requests do not wait for a slow gateway.
        let mut arrivals = interval(Duration::from_secs(1) / rate);
        for _ in 0..time.as_millis() as u32 / 3 * rate / 1000 {
            arrivals.tick().await;
            let gateway = Arc::clone(&gateway);
            requests.push(tokio::spawn(async move { gateway.serve(0.5).await }));
        }
    }
    let mut answers = BTreeMap::new();
    for request in requests {
        *answers.entry(request.await?).or_default() += 1;
    }
    watch.abort();
    Ok((gateway, answers))
}

#[tokio::main]
async fn main() -> Result<()> {
    let (gateway, answers) = run(Duration::from_secs(3)).await?;
    println!("requests by status: {answers:?}");
    let (statistics, mut text) = (gateway.tensors.statistics(), String::new());
    statistics.to_prometheus_text("tensors", &mut text)?;
    print!("{text}");
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn overload_is_turned_away_and_every_tensor_comes_back() {
    let (gateway, answers) = run(Duration::from_millis(600)).await.unwrap();
    let served = answers[&200];
    let refused = answers.values().sum::<usize>() - served;
    assert!(refused > 0, "{answers:?}");
    assert_eq!(gateway.tensors.statistics().in_use, 0);
}
