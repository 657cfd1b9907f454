//! The trend as a picture: P99.9 of each set with its range, a line through those that can be compared.
//!
//! Drawn here and not by the page's script, because nothing in it moves: it prints, and it needs no JavaScript. The drawing
//! library writes colours as numbers; the one that stands for ink is replaced by `currentColor`, so that the page's light
//! and dark style apply.

use plotters::prelude::*;

use super::{StepOutcome, TrendGroup};
use crate::format;

const WIDTH: u32 = 960;
const HEIGHT: u32 = 300;
/// Stands for the text's colour; nothing else is drawn in it.
const INK: RGBColor = RGBColor(1, 2, 3);
const INK_TEXT: &str = "#010203";
/// More sets than labels have room for: then only every so manieth has one.
const LABELS: usize = 12;

impl TrendGroup {
    /// The picture, as an SVG element; nothing if the drawing library refuses.
    pub(crate) fn chart(&self) -> Option<String> {
        let svg = draw(self).ok()?;
        Some(svg.replace(INK_TEXT, "currentColor"))
    }
}

fn draw(group: &TrendGroup) -> Result<String, String> {
    let points = &group.points;
    let range = |index: usize| {
        let point = &points[index];
        point
            .p999_range_ns
            .map_or((point.p999_ns, point.p999_ns), |range| {
                (range.low, range.high)
            })
    };
    let lowest = (0..points.len())
        .map(|index| range(index).0)
        .fold(f64::INFINITY, f64::min);
    let highest = (0..points.len())
        .map(|index| range(index).1)
        .fold(0.0, f64::max);
    let (lowest, highest) = (lowest.max(1.0) / 1.3, highest.max(2.0) * 1.3);
    let last = points.len() as f64 - 0.5;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let text = |error: String| error;
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(32)
            .y_label_area_size(70)
            .build_cartesian_2d(-0.5..last, (lowest..highest).log_scale())
            .map_err(|error| text(error.to_string()))?;
        let small = ("sans-serif", 13).into_font().color(&INK);
        let every = points.len().div_ceil(LABELS);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .axis_style(INK)
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.15))
            .label_style(small.clone())
            .x_labels(0)
            .y_label_formatter(&|ns| format::duration(*ns))
            .draw()
            .map_err(|error| text(error.to_string()))?;
        let line = points
            .iter()
            .enumerate()
            .map(|(index, point)| (index as f64, point.p999_ns));
        chart
            .draw_series(LineSeries::new(line, INK.mix(0.5).stroke_width(2)))
            .map_err(|error| text(error.to_string()))?;
        for (index, point) in points.iter().enumerate() {
            let at = index as f64;
            let (low, high) = range(index);
            let bar = PathElement::new([(at, low.max(1.0)), (at, high)], INK.stroke_width(2));
            chart
                .draw_series([bar])
                .map_err(|error| text(error.to_string()))?;
            let marked = point.step.as_ref().is_some_and(|step| {
                matches!(step.outcome, StepOutcome::Better | StepOutcome::Worse)
            });
            // A step that is more than noise is a large full circle, any other set a small one.
            let size = if marked { 7 } else { 3 };
            chart
                .draw_series([Circle::new((at, point.p999_ns), size, INK.filled())])
                .map_err(|error| text(error.to_string()))?;
            if index % every == 0 {
                let name: String = point.label.chars().take(14).collect();
                let style = small.pos(plotters::style::text_anchor::Pos::new(
                    plotters::style::text_anchor::HPos::Center,
                    plotters::style::text_anchor::VPos::Top,
                ));
                let (x, _) = chart.backend_coord(&(at, lowest));
                root.draw(&Text::new(name, (x, HEIGHT as i32 - 30), style))
                    .map_err(|error| text(error.to_string()))?;
            }
        }
        root.present().map_err(|error| text(error.to_string()))?;
    }
    Ok(svg)
}
