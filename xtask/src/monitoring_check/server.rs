//! A Prometheus of our own, and what it is asked over its HTTP interface.
//!
//! See <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::fmt;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::dashboards::Question;
use crate::running::Running;

const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running server, which ends when this is dropped.
pub struct Prometheus {
    process: Running,
    url: String,
    log: std::path::PathBuf,
}

/// What a query found.
#[derive(Debug)]
pub struct Found(Vec<Value>);

/// An alarm that is pending or firing.
pub struct Alarm(Value);

impl Prometheus {
    /// Starts one on a free port of loopback, with its data below `data`, and waits until it serves.
    pub fn start(configuration: &Path, data: &Path, arguments: &[&str]) -> Result<Prometheus> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        std::fs::create_dir_all(data)?;
        let log = data.join("log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                data.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .context("prometheus cannot be started")?;
        let mut server = Prometheus {
            process: Running(child),
            url: format!("http://127.0.0.1:{port}"),
            log,
        };
        let begin = Instant::now();
        let ready = format!("{}/-/ready", server.url);
        while ureq::get(&ready).call().is_err() {
            if server.process.is_over() || begin.elapsed() > READY_WITHIN {
                let log = std::fs::read_to_string(&server.log).unwrap_or_default();
                bail!("prometheus does not serve: {log}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(server)
    }

    /// Which Prometheus this is.
    pub fn version(&self) -> Result<String> {
        let data = self.get("status/buildinfo", &[])?;
        let version = data["version"].as_str();
        Ok(version.context("it does not tell its version")?.to_owned())
    }

    /// The value of an expression now.
    pub fn query(&self, expression: &str) -> Result<Found> {
        let mut data = self.get("query", &[("query", expression)])?;
        match data["result"].take() {
            Value::Array(series) => Ok(Found(series)),
            other => bail!("{expression} is no vector but {other}"),
        }
    }

    /// Whether there is data for a panel or a variable.
    pub fn answers(&self, question: &Question) -> Result<bool> {
        match question {
            Question::Expression { expression, .. } => Ok(!self.query(expression)?.is_empty()),
            Question::Annotation { expression, .. } => self.query(expression).map(|_| true),
            Question::Label {
                selector, label, ..
            } => {
                let data = self.get("series", &[("match[]", selector)])?;
                let series = data.as_array().context("no list of series")?;
                Ok(series.iter().any(|series| series[label].is_string()))
            }
        }
    }

    /// How many rules there are, if all are evaluated without errors and each that records has data.
    pub fn rules(&self) -> Result<usize> {
        let data = self.get("rules", &[])?;
        let groups = data["groups"].as_array().context("no groups of rules")?;
        let rules: Vec<&Value> = groups
            .iter()
            .filter_map(|group| group["rules"].as_array())
            .flatten()
            .collect();
        for rule in &rules {
            let name = rule["name"].as_str().context("a rule has no name")?;
            ensure!(rule["health"] == "ok", "rule {name}: {rule}");
            if rule["type"] == "recording" {
                let labels = rule["labels"].as_object();
                let matchers: Vec<String> = labels
                    .into_iter()
                    .flatten()
                    .map(|(label, value)| format!("{label}={value}"))
                    .collect();
                let series = format!("{name}{{{}}}", matchers.join(","));
                ensure!(
                    !self.query(&series)?.is_empty(),
                    "rule {series} records nothing"
                );
            } else {
                check_alarm_rule(rule).with_context(|| name.to_owned())?;
            }
        }
        ensure!(!rules.is_empty(), "no rules are loaded");
        Ok(rules.len())
    }

    /// All alarms that are pending or firing.
    pub fn alarms(&self) -> Result<Vec<Alarm>> {
        match self.get("alerts", &[])?["alerts"].take() {
            Value::Array(alarms) => Ok(alarms.into_iter().map(Alarm).collect()),
            other => bail!("alarms are no list but {other}"),
        }
    }

    fn get(&self, what: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let mut request = ureq::get(format!("{}/api/v1/{what}", self.url))
            .config()
            .http_status_as_error(false)
            .build();
        for (name, value) in parameters {
            request = request.query(name, value);
        }
        let mut answer: Value = request.call()?.body_mut().read_json()?;
        ensure!(answer["status"] == "success", "{parameters:?}: {answer}");
        Ok(answer["data"].take())
    }
}

/// Whoever gets an alarm must know its class, what it is about, and what to do.
fn check_alarm_rule(rule: &Value) -> Result<()> {
    let severity = rule["labels"]["severity"].as_str();
    ensure!(
        matches!(severity, Some("page" | "ticket" | "info")),
        "its severity is {severity:?}"
    );
    for name in ["summary", "description", "runbook"] {
        let text = rule["annotations"][name].as_str();
        ensure!(
            text.is_some_and(|text| !text.is_empty()),
            "it has no {name}"
        );
    }
    Ok(())
}

impl Found {
    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first series' value, if it is a number.
    pub fn first_value(&self) -> Option<f64> {
        self.0.first()?["value"][1].as_str()?.parse().ok()
    }

    /// Whether the first series' value is a native histogram.
    pub fn has_histogram(&self) -> bool {
        self.0
            .first()
            .is_some_and(|series| series["histogram"].is_array())
    }
}

impl Alarm {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.0["labels"][name].as_str()
    }

    /// `pending` or `firing`.
    pub fn state(&self) -> &str {
        self.0["state"].as_str().unwrap_or_default()
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.state(), self.0["labels"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_that_says_not_what_to_do_is_refused() {
        let mut rule = serde_json::json!({
            "labels": {"severity": "page"},
            "annotations": {"summary": "s", "description": "d", "runbook": "r"},
        });
        check_alarm_rule(&rule).unwrap();
        rule["annotations"]["runbook"] = "".into();
        assert!(check_alarm_rule(&rule).is_err());
        rule["annotations"]["runbook"] = "r".into();
        rule["labels"]["severity"] = "critical".into();
        assert!(check_alarm_rule(&rule).is_err());
    }
}
