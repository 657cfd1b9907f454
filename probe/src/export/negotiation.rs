//! Which format a scraper gets, from its `Accept` header.
//!
//! Of the formats that we have, the one with the highest weight; between equals the richer one.
//! Whoever names none of them, or nothing, gets text: a person with a browser or curl.

/// A format of the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    /// Poorest first.
    Text,
    OpenMetrics,
    Protobuf,
}

impl Format {
    /// The value of `Content-Type`.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited"
            }
        }
    }
}

/// The format for an `Accept` header.
pub(crate) fn negotiate(accept: &str) -> Format {
    accept
        .split(',')
        .filter_map(range)
        .max_by_key(|(format, weight)| (*weight, *format))
        .map_or(Format::Text, |(format, _)| format)
}

/// One range of types, if it is a format of ours; weights in thousandths.
fn range(range: &str) -> Option<(Format, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next()?.to_ascii_lowercase();
    let parameters: Vec<(String, &str)> = parts
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| {
            let value = value.trim().trim_matches('"');
            (name.trim().to_ascii_lowercase(), value)
        })
        .collect();
    let parameter = |wanted: &str| {
        let mut found = parameters.iter().filter(|(name, _)| name == wanted);
        found.next().map(|(_, value)| *value)
    };
    // What is not named may be anything; what is named must be ours.
    let is = |name: &str, ours: &[&str]| parameter(name).is_none_or(|value| ours.contains(&value));
    let format = match &*kind {
        "application/vnd.google.protobuf"
            if parameter("proto") == Some("io.prometheus.client.MetricFamily")
                && is("encoding", &["delimited"]) =>
        {
            Format::Protobuf
        }
        "application/openmetrics-text" if is("version", &["1.0.0", "0.0.1"]) => Format::OpenMetrics,
        "text/plain" if is("version", &["0.0.4"]) => Format::Text,
        "text/*" | "*/*" => Format::Text,
        _ => return None,
    };
    let weight = match parameter("q") {
        None => 1.0,
        Some(weight) => weight.parse::<f32>().ok()?.clamp(0.0, 1.0),
    };
    // A weight of 0 refuses.
    (weight > 0.0).then_some((format, (weight * 1000.0) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_gets_the_format_that_it_asks_for_first() {
        let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                      application/openmetrics-text;version=1.0.0;q=0.8,\
                      application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(negotiate(native), Format::Protobuf);
        let usual = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                     text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(negotiate(usual), Format::OpenMetrics);
        assert_eq!(negotiate("text/plain;version=0.0.4"), Format::Text);
    }

    #[test]
    fn who_asks_for_nothing_of_ours_gets_text() {
        for accept in [
            "",
            "*/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "application/vnd.google.protobuf;proto=other;encoding=delimited",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            "application/openmetrics-text;q=0",
            ";;;=,,q=",
            "application/openmetrics-text;q=NaN,text/plain",
        ] {
            assert_eq!(negotiate(accept), Format::Text, "{accept}");
        }
    }
}
