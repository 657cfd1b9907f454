//! What `tailcut load run --json` prints: one object, whose version changes when a key changes its meaning.

use anyhow::Result;
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use tailcut_loadgen::RunOutcome;
use tailcut_loadgen::scenario::{SCENARIO_FILE, Scenario};
use tailcut_report::recording::{QUEUE_DEPTH, RESPONSE, SERVICE};

use super::ending::Ending;
use super::show::{PERCENTILES, says_something};

/// Version of the object.
const SCHEMA: u32 = 1;

/// The object as text.
pub fn text(scenario: &Scenario, outcome: &RunOutcome, ending: &Ending) -> Result<String> {
    let meta = &outcome.meta;
    let mut latency = Map::new();
    latency.insert(RESPONSE.to_owned(), figures(&outcome.response));
    latency.insert(SERVICE.to_owned(), figures(&outcome.service));
    let mut queue_depth = Value::Null;
    for (tag, histogram) in &outcome.series {
        match *tag {
            QUEUE_DEPTH => queue_depth = figures(histogram),
            tag => {
                latency.insert(tag.to_owned(), figures(histogram));
            }
        }
    }
    let cut_short = match ending {
        Ending::CutShort(reason) => Some(reason),
        _ => None,
    };
    let object = json!({
        "schema": SCHEMA,
        "name": scenario.name,
        "target": scenario.target.text(),
        "scenario": outcome.dir.join(SCENARIO_FILE),
        "recording": outcome.dir,
        "ending": ending.key(),
        "cut_short_by": cut_short,
        "exit_status": ending.exit_status(),
        "schedule_kept": meta.result.as_ref().map(|result| result.schedule_kept),
        "objectives": meta.result.as_ref().map(|result| &result.objectives),
        "latency_ns": latency,
        "queue_depth": queue_depth,
        "load": meta.load,
        "result": meta.result,
        "host": meta.host,
        "tool": meta.tool,
    });
    Ok(serde_json::to_string_pretty(&object)?)
}

/// Percentiles under the names of the table, in lower case; null where it leaves them out.
fn figures(histogram: &Histogram<u64>) -> Value {
    let mut figures = Map::new();
    figures.insert("count".to_owned(), json!(histogram.len()));
    if histogram.is_empty() {
        return Value::Object(figures);
    }
    figures.insert("mean".to_owned(), json!(histogram.mean()));
    figures.insert("min".to_owned(), json!(histogram.min()));
    for (name, quantile) in PERCENTILES {
        let value = match name {
            "max" => Some(histogram.max()),
            _ => says_something(histogram, quantile).then(|| histogram.value_at_quantile(quantile)),
        };
        figures.insert(name.to_lowercase(), json!(value));
    }
    Value::Object(figures)
}
