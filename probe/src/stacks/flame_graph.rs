//! The flame graph: an SVG that opens in a browser, with zoom and search, and needs no network.
//!
//! Drawn by `inferno`. The same lines always make the same bytes: a colour depends on the name of
//! its function alone. Functions narrower than 0.1% of the picture are left out of it.

use super::error::StacksError;
use super::profile::WeightKind;
use super::text;
use inferno::flamegraph::color::{BasicPalette, Palette};
use inferno::flamegraph::{self, Options};
use std::io::Write;

/// How a flame graph is drawn.
#[derive(Clone, Debug)]
pub struct FlameGraph {
    title: String,
    subtitle: Option<String>,
    by: WeightKind,
}

impl FlameGraph {
    /// With a title; `by` says what the widths mean.
    pub fn new(title: &str, by: WeightKind) -> Self {
        Self {
            title: text::clean(title),
            subtitle: None,
            by,
        }
    }

    /// A second line below the title: the process, the time, what was left out.
    #[must_use]
    pub fn subtitle(mut self, subtitle: &str) -> Self {
        self.subtitle = Some(text::clean(subtitle));
        self
    }

    /// Draws folded stacks (see [`folded::lines`](super::folded::lines)).
    ///
    /// # Errors
    /// [`StacksError::NothingToDraw`] without lines, [`StacksError::Draw`] if the writer fails.
    pub fn write(&self, lines: &[String], writer: impl Write) -> Result<(), StacksError> {
        if lines.is_empty() {
            return Err(StacksError::NothingToDraw {
                weight: self.weight(),
            });
        }
        let mut options = self.options();
        flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), writer)?;
        Ok(())
    }

    fn weight(&self) -> &'static str {
        match self.by {
            WeightKind::Count => "count",
            WeightKind::Bytes => "number of bytes",
            WeightKind::Time => "time",
        }
    }

    fn options(&self) -> Options<'static> {
        let mut options = Options::default();
        options.title.clone_from(&self.title);
        options.subtitle.clone_from(&self.subtitle);
        options.deterministic = true;
        options.min_width = 0.1;
        options.colors = Palette::Basic(match self.by {
            WeightKind::Count => BasicPalette::Hot,
            WeightKind::Bytes => BasicPalette::Mem,
            WeightKind::Time => BasicPalette::Io,
        });
        // Times are recorded in nanoseconds; a person reads microseconds.
        (options.count_name, options.factor) = match self.by {
            WeightKind::Time => ("us".into(), 1e-3),
            other => (other.unit().into(), 1.0),
        };
        options
    }
}

#[cfg(test)]
mod tests {
    use super::super::folded::tests::example;
    use super::super::{End, folded};
    use super::*;

    fn draw(by: WeightKind, names: &[&str]) -> String {
        let (profile, table) = example(&[(names, End::Root), (&["other", "main"], End::Root)]);
        let lines = folded::lines(&profile, &table, None, WeightKind::Bytes);
        let mut svg = Vec::new();
        FlameGraph::new("Slow <malloc>", by)
            .subtitle("pid 7")
            .write(&lines, &mut svg)
            .unwrap();
        String::from_utf8(svg).unwrap()
    }

    #[test]
    fn the_picture_is_whole_searchable_and_the_same_each_time() {
        let svg = draw(WeightKind::Bytes, &["alloc<T>", "main"]);
        for text in [
            "Slow &lt;malloc&gt;",
            "pid 7",
            "alloc&lt;T&gt;",
            "function search",
            "bytes",
        ] {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert_eq!(svg, draw(WeightKind::Bytes, &["alloc<T>", "main"]));
    }

    #[test]
    fn it_loads_nothing_from_elsewhere() {
        let svg = draw(WeightKind::Count, &["leaf", "main"]);
        // Addresses stand in it as names of formats and in comments only.
        for loading in [
            "src=",
            "@import",
            "href=\"http",
            "url(http",
            "fetch(",
            "XMLHttp",
        ] {
            assert!(!svg.contains(loading), "{loading}");
        }
    }

    #[test]
    fn a_name_is_text_and_never_markup() {
        let svg = draw(
            WeightKind::Count,
            &["</title><script>alert(1)</script>", "main"],
        );
        assert!(!svg.contains("<script>alert"));
    }

    #[test]
    fn nothing_to_draw_is_an_error_that_says_what_to_do() {
        let error = FlameGraph::new("x", WeightKind::Time)
            .write(&[], Vec::new())
            .unwrap_err();
        assert!(error.to_string().contains("lower the threshold"), "{error}");
    }
}
