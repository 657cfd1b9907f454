//! Dashboards as Grafana reads them: whether one holds together, and which questions it asks.
//!
//! Grafana itself is no package of a distribution; what it requires is checked here as far as a file tells:
//! panels with numbers of their own that lie beside each other within 24 columns, one source of data that is
//! a variable, no reference to a variable that does not exist, a description for whoever reads it at night.
//! The types of all options were checked once by hand against `@grafana/schema`.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The oldest schema that needs no migration in the Grafana of today.
const SCHEMA: u64 = 39;
const COLUMNS: u64 = 24;

/// A dashboard that holds together.
#[derive(Debug)]
pub struct Dashboard {
    title: String,
    root: Value,
}

/// What a dashboard asks Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A panel's.
    Expression { panel: String, expression: String },
    /// Marks over all panels; there may be none.
    Annotation { name: String, expression: String },
    /// A variable's: values of a label.
    Label {
        variable: String,
        selector: String,
        label: String,
    },
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Expression { panel, expression } => {
                write!(f, "panel {panel:?}: {expression}")
            }
            Question::Annotation { name, expression } => write!(f, "marks {name:?}: {expression}"),
            Question::Label {
                variable,
                selector,
                label,
            } => write!(f, "variable ${variable}: {label} of {selector}"),
        }
    }
}

impl Dashboard {
    /// Reads a file and checks its structure.
    pub fn read(file: &Path) -> Result<Dashboard> {
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("no {}", file.display()))?;
        Dashboard::parse(&text).with_context(|| file.display().to_string())
    }

    fn parse(text: &str) -> Result<Dashboard> {
        let root: Value = serde_json::from_str(text)?;
        let dashboard = Dashboard {
            title: text_of(&root, "title")?.to_owned(),
            root,
        };
        dashboard.check_head()?;
        dashboard.check_panels()?;
        dashboard.check_sources(&dashboard.root)?;
        dashboard.check_references()?;
        Ok(dashboard)
    }

    /// All that it asks, with its variables set to everything.
    pub fn questions(&self) -> Result<Vec<Question>> {
        let mut questions = Vec::new();
        for panel in self.panels() {
            let title = text_of(panel, "title")?;
            for target in list(panel, "targets") {
                questions.push(Question::Expression {
                    panel: format!("{}: {title}", self.title),
                    expression: interpolated(text_of(target, "expr")?),
                });
            }
        }
        for annotation in list(&self.root["annotations"], "list") {
            if let Some(expression) = annotation["expr"].as_str() {
                questions.push(Question::Annotation {
                    name: text_of(annotation, "name")?.to_owned(),
                    expression: interpolated(expression),
                });
            }
        }
        for variable in self.variables() {
            if variable["type"] == "query" {
                let query = text_of(&variable["query"], "query")?;
                let (selector, label) = query
                    .strip_prefix("label_values(")
                    .and_then(|query| query.strip_suffix(')'))
                    .and_then(|query| query.rsplit_once(','))
                    .with_context(|| format!("{query} is no label_values(SERIES, LABEL)"))?;
                questions.push(Question::Label {
                    variable: text_of(variable, "name")?.to_owned(),
                    selector: interpolated(selector.trim()),
                    label: label.trim().to_owned(),
                });
            }
        }
        Ok(questions)
    }

    fn panels(&self) -> impl Iterator<Item = &Value> {
        list(&self.root, "panels")
    }

    fn variables(&self) -> impl Iterator<Item = &Value> {
        list(&self.root["templating"], "list")
    }

    fn check_head(&self) -> Result<()> {
        let root = &self.root;
        ensure!(
            root["id"].is_null() && root["uid"].is_null(),
            "it has an identity of its own: whoever imports it gives one"
        );
        ensure!(
            root["schemaVersion"].as_u64() >= Some(SCHEMA),
            "schemaVersion is {}",
            root["schemaVersion"]
        );
        text_of(root, "description")?;
        Ok(())
    }

    fn check_panels(&self) -> Result<()> {
        let mut numbers = HashSet::new();
        let mut places: Vec<(Place, &str)> = Vec::new();
        for panel in self.panels() {
            let title = text_of(panel, "title")?;
            let number = panel["id"].as_u64();
            let number = number.with_context(|| format!("panel {title:?} has no id"))?;
            ensure!(numbers.insert(number), "two panels have the id {number}");
            let place = Place::of(panel).with_context(|| format!("panel {title:?}"))?;
            for (other, name) in &places {
                ensure!(!place.overlaps(other), "{title:?} lies over {name:?}");
            }
            places.push((place, title));
            if panel["type"] == "row" {
                continue;
            }
            text_of(panel, "description").with_context(|| format!("panel {title:?}"))?;
            let mut letters = HashSet::new();
            for target in list(panel, "targets") {
                let letter = text_of(target, "refId")?;
                ensure!(letters.insert(letter), "{title:?} has two queries {letter}");
            }
            ensure!(!letters.is_empty(), "panel {title:?} asks nothing");
        }
        ensure!(!places.is_empty(), "there is no panel");
        Ok(())
    }

    /// Every source of data is the variable, or Grafana itself.
    fn check_sources(&self, value: &Value) -> Result<()> {
        match value {
            Value::Object(fields) => {
                if let Some(uid) = value["datasource"]["uid"].as_str() {
                    ensure!(
                        uid == "${datasource}" || uid == "-- Grafana --",
                        "a source of data is fixed: {uid}"
                    );
                }
                fields
                    .values()
                    .try_for_each(|value| self.check_sources(value))
            }
            Value::Array(values) => values
                .iter()
                .try_for_each(|value| self.check_sources(value)),
            _ => Ok(()),
        }
    }

    /// Every variable that is used is there, or Grafana's own.
    fn check_references(&self) -> Result<()> {
        let mut names = HashSet::new();
        for variable in self.variables() {
            names.insert(text_of(variable, "name")?);
        }
        ensure!(
            names.contains("datasource"),
            "there is no variable datasource"
        );
        let text = self.root.to_string();
        for name in references(&text) {
            if !name.starts_with("__") && !names.contains(name) {
                bail!("${name} is no variable");
            }
        }
        Ok(())
    }
}

/// Where a panel lies, in columns and rows.
#[derive(Debug, Clone, Copy)]
struct Place {
    x: u64,
    y: u64,
    w: u64,
    h: u64,
}

impl Place {
    fn of(panel: &Value) -> Result<Place> {
        let number = |name: &str| {
            let number = panel["gridPos"][name].as_u64();
            number.with_context(|| format!("gridPos.{name} is no number"))
        };
        let place = Place {
            x: number("x")?,
            y: number("y")?,
            w: number("w")?,
            h: number("h")?,
        };
        ensure!(
            place.w > 0 && place.h > 0 && place.x.saturating_add(place.w) <= COLUMNS,
            "it lies outside of the {COLUMNS} columns: {place:?}"
        );
        Ok(place)
    }

    fn overlaps(&self, other: &Place) -> bool {
        let apart = |a: u64, length: u64, b: u64| a.saturating_add(length) <= b;
        !(apart(self.x, self.w, other.x)
            || apart(other.x, other.w, self.x)
            || apart(self.y, self.h, other.y)
            || apart(other.y, other.h, self.y))
    }
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value[name].as_array().into_iter().flatten()
}

fn text_of<'v>(value: &'v Value, name: &str) -> Result<&'v str> {
    let text = value[name].as_str().filter(|text| !text.is_empty());
    text.with_context(|| format!("{name} is missing or empty"))
}

/// Names after `$` or `${`.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        Some(&rest[..end.unwrap_or(rest.len())]).filter(|name| !name.is_empty())
    })
}

/// An expression as Grafana sends it: intervals as of a short range, variables set to everything.
fn interpolated(expression: &str) -> String {
    let mut text = expression
        .replace("$__rate_interval", "15s")
        .replace("$__range", "20s");
    let names: Vec<String> = references(&text).map(ToOwned::to_owned).collect();
    for name in names {
        text = text.replace(&format!("${{{name}}}"), ".*");
        text = text.replace(&format!("${name}"), ".*");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sound dashboard with one panel, after `change`.
    fn with(change: impl FnOnce(&mut Value)) -> Result<Dashboard> {
        let mut root = serde_json::json!({
            "title": "t", "description": "d", "schemaVersion": 42,
            "templating": {"list": [
                {"type": "datasource", "name": "datasource"},
                {"type": "query", "name": "pool", "query": {"query": "label_values(a{b=\"c\"}, pool)"}},
            ]},
            "panels": [{
                "id": 1, "type": "timeseries", "title": "p", "description": "d",
                "datasource": {"uid": "${datasource}"},
                "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
                "targets": [{"refId": "A", "expr": "rate(a{pool=~\"$pool\"}[$__rate_interval])"}],
            }],
        });
        change(&mut root);
        Dashboard::parse(&root.to_string())
    }

    #[test]
    fn a_sound_dashboard_asks_for_everything() {
        let expected = [
            Question::Expression {
                panel: "t: p".to_owned(),
                expression: "rate(a{pool=~\".*\"}[15s])".to_owned(),
            },
            Question::Label {
                variable: "pool".to_owned(),
                selector: "a{b=\"c\"}".to_owned(),
                label: "pool".to_owned(),
            },
        ];
        assert_eq!(with(|_| ()).unwrap().questions().unwrap(), expected);
    }

    #[test]
    fn what_grafana_could_not_show_is_refused() {
        type Change = fn(&mut Value);
        let faults: [(&str, Change); 7] = [
            ("identity", |root| root["uid"] = "mine".into()),
            ("two panels", |root| {
                let panel = root["panels"][0].clone();
                root["panels"].as_array_mut().unwrap().push(panel);
            }),
            ("lies over", |root| {
                let mut panel = root["panels"][0].clone();
                panel["id"] = 2.into();
                panel["gridPos"]["x"] = 11.into();
                root["panels"].as_array_mut().unwrap().push(panel);
            }),
            ("outside", |root| {
                root["panels"][0]["gridPos"]["x"] = 13.into();
            }),
            ("is fixed", |root| {
                root["panels"][0]["datasource"]["uid"] = "prometheus-1".into();
            }),
            ("no variable", |root| {
                root["panels"][0]["targets"][0]["expr"] = "a{b=\"$other\"}".into();
            }),
            ("asks nothing", |root| {
                root["panels"][0]["targets"] = Value::Array(Vec::new());
            }),
        ];
        for (message, change) in faults {
            let error = format!("{:#}", with(change).unwrap_err());
            assert!(error.contains(message), "{message}: {error}");
        }
    }
}
