//! The latency-versus-rate curve as a picture.

use plotters::prelude::*;

use super::{Probe, SearchResult};
use crate::measured::Percentiles;

const SIZE: (u32, u32) = (960, 560);

/// A percentile's name, how it is found, and its colour.
type Line = (&'static str, fn(&Percentiles) -> u64, RGBColor);

/// Colours that remain apart for the colour-blind (Okabe and Ito, 2008).
const LINES: [Line; 4] = [
    ("P50", |of| of.p50, RGBColor(0, 114, 178)),
    ("P99", |of| of.p99, RGBColor(0, 158, 115)),
    ("P99.9", |of| of.p999, RGBColor(230, 159, 0)),
    ("max", |of| of.max, RGBColor(213, 94, 0)),
];

/// Draws response time over rate, both logarithmic where that helps; runs that broke are hollow.
///
/// Returns an SVG document; nothing when fewer than two rates were run.
///
/// # Errors
/// What the drawing library refuses, in its words.
pub fn draw(title: &str, result: &SearchResult) -> Result<Option<String>, String> {
    let mut probes: Vec<&Probe> = result
        .probes
        .iter()
        .filter(|probe| probe.measured.response.max > 0 && probe.measured.rate_target > 0.0)
        .collect();
    probes.sort_by(|a, b| a.measured.rate_target.total_cmp(&b.measured.rate_target));
    let rates = |probe: &&Probe| probe.measured.rate_target;
    let (Some(least), Some(most)) = (probes.first().map(rates), probes.last().map(rates)) else {
        return Ok(None);
    };
    if least >= most {
        return Ok(None);
    }
    let lowest = probes
        .iter()
        .map(|probe| probe.measured.response.p50.max(1))
        .min();
    let highest = probes.iter().map(|probe| probe.measured.response.max).max();
    let (lowest, highest) = (
        lowest.unwrap_or(1) as f64 / 2.0,
        highest.unwrap_or(1) as f64 * 2.0,
    );

    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let drawn = || -> Result<(), Box<dyn std::error::Error + '_>> {
            root.fill(&WHITE).map_err(|error| error.to_string())?;
            let mut chart = ChartBuilder::on(&root)
                .caption(title, ("sans-serif", 20))
                .margin(16)
                .x_label_area_size(48)
                .y_label_area_size(76)
                .build_cartesian_2d(
                    (least * 0.95..most * 1.05).log_scale(),
                    (lowest..highest).log_scale(),
                )
                .map_err(|error| error.to_string())?;
            chart
                .configure_mesh()
                .x_desc("requests per second (filled: held; hollow: broken)")
                .y_desc("response time")
                .x_label_formatter(&|rate| tailcut_report::format::count(*rate))
                .y_label_formatter(&|ns| tailcut_report::format::duration(*ns))
                .light_line_style(WHITE)
                .draw()
                .map_err(|error| error.to_string())?;
            for (name, at, colour) in LINES {
                let points: Vec<(f64, f64, bool)> = probes
                    .iter()
                    .map(|probe| {
                        let measured = &probe.measured;
                        let value = at(&measured.response).max(1) as f64;
                        (measured.rate_target, value, probe.held())
                    })
                    .collect();
                let line = points.iter().map(|&(rate, value, _)| (rate, value));
                chart
                    .draw_series(LineSeries::new(line, colour.stroke_width(2)))
                    .map_err(|error| error.to_string())?
                    .label(name)
                    .legend(move |(x, y)| {
                        PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
                    });
                let dots = points.iter().map(|&(rate, value, held)| {
                    let style = if held {
                        colour.filled()
                    } else {
                        colour.stroke_width(1)
                    };
                    Circle::new((rate, value), 4, style)
                });
                chart.draw_series(dots).map_err(|error| error.to_string())?;
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE)
                .border_style(BLACK.mix(0.3))
                .draw()
                .map_err(|error| error.to_string())?;
            root.present().map_err(|error| error.to_string())?;
            Ok(())
        };
        drawn().map_err(|error| error.to_string())?;
    }
    Ok(Some(svg))
}
