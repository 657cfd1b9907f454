//! A sweep as a picture: lines over one parameter, coloured squares over two.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Parameter, Point, SweepResult};

const SIZE: (u32, u32) = (960, 560);
const BLUE_LINE: RGBColor = RGBColor(0, 114, 178);
const RED_LINE: RGBColor = RGBColor(213, 94, 0);

/// A line's name, what it shows, and its colour.
type Line = (&'static str, fn(&Point) -> u64, RGBColor);
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws P99.9 over the parameters; points on the Pareto front are marked.
///
/// Returns an SVG document; nothing when there are fewer than two points.
///
/// # Errors
/// What the drawing library refuses, in its words.
pub fn draw(title: &str, result: &SweepResult) -> Result<Option<String>, String> {
    if result.points.len() < 2 {
        return Ok(None);
    }
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(|error| error.to_string())?;
        match result.parameters.as_slice() {
            [parameter] => lines(&root, title, *parameter, &result.points)?,
            [first, second, ..] => squares(&root, title, *first, *second, &result.points)?,
            [] => return Ok(None),
        }
        root.present().map_err(|error| error.to_string())?;
    }
    Ok(Some(svg))
}

fn lines(
    area: &Area<'_>,
    title: &str,
    parameter: Parameter,
    points: &[Point],
) -> Result<(), String> {
    let value = |point: &Point| point.values[0].1;
    let (first, last) = (value(&points[0]), value(&points[points.len() - 1]));
    let times = points
        .iter()
        .flat_map(|point| [point.p999_ns, point.max_ns]);
    let (least, most) = times.fold((u64::MAX, 1), |(least, most), ns| {
        (least.min(ns), most.max(ns))
    });
    #[allow(clippy::cast_precision_loss)] // a place in a picture
    let span = least.max(1) as f64 / 2.0..most as f64 * 2.0;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(76)
        .build_cartesian_2d((first * 0.9..last * 1.1).log_scale(), span.log_scale())
        .map_err(|error| error.to_string())?;
    chart
        .configure_mesh()
        .x_desc(parameter.name())
        .y_desc("response time")
        .x_label_formatter(&|value| tailcut_report::format::count(*value))
        .y_label_formatter(&|ns| tailcut_report::format::duration(*ns))
        .light_line_style(WHITE)
        .draw()
        .map_err(|error| error.to_string())?;
    let series: [Line; 2] = [
        (
            "P99.9 (filled: Pareto front)",
            |point| point.p999_ns,
            BLUE_LINE,
        ),
        ("max", |point| point.max_ns, RED_LINE),
    ];
    for (name, of, colour) in series {
        #[allow(clippy::cast_precision_loss)] // a place in a picture
        let place = |point: &Point| (value(point), of(point).max(1) as f64);
        chart
            .draw_series(LineSeries::new(
                points.iter().map(place),
                colour.stroke_width(2),
            ))
            .map_err(|error| error.to_string())?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        let dots = points.iter().map(|point| {
            let style = if point.pareto {
                colour.filled()
            } else {
                colour.stroke_width(1)
            };
            Circle::new(place(point), 5, style)
        });
        chart.draw_series(dots).map_err(|error| error.to_string())?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()
        .map_err(|error| error.to_string())
}

fn squares(
    area: &Area<'_>,
    title: &str,
    first: Parameter,
    second: Parameter,
    points: &[Point],
) -> Result<(), String> {
    let values = |axis: usize| {
        let mut values: Vec<f64> = points.iter().map(|point| point.values[axis].1).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    };
    let (across, up) = (values(0), values(1));
    let times = points.iter().map(|point| point.p999_ns.max(1));
    let (least, most) = times.fold((u64::MAX, 1), |(least, most), ns| {
        (least.min(ns), most.max(ns))
    });
    let label = |values: &[f64], place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(index) => values
            .get(*index)
            .map_or_else(String::new, |value| tailcut_report::format::count(*value)),
        _ => String::new(),
    };
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(76)
        .build_cartesian_2d(
            (0..across.len() - 1).into_segmented(),
            (0..up.len() - 1).into_segmented(),
        )
        .map_err(|error| error.to_string())?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc(first.name())
        .y_desc(format!(
            "{}   (P99.9 of response time; framed: Pareto front)",
            second.name()
        ))
        .x_label_formatter(&|place| label(&across, place))
        .y_label_formatter(&|place| label(&up, place))
        .draw()
        .map_err(|error| error.to_string())?;
    for point in points {
        let index = |values: &[f64], value: f64| values.iter().position(|one| *one == value);
        let (Some(x), Some(y)) = (
            index(&across, point.values[0].1),
            index(&up, point.values[1].1),
        ) else {
            continue;
        };
        #[allow(clippy::cast_precision_loss)] // a place in a picture
        let share = ((point.p999_ns.max(1) as f64 / least as f64).ln()
            / (most as f64 / least as f64).ln().max(f64::MIN_POSITIVE))
        .clamp(0.0, 1.0);
        let corners = [
            (SegmentValue::Exact(x), SegmentValue::Exact(y)),
            (SegmentValue::Exact(x + 1), SegmentValue::Exact(y + 1)),
        ];
        let mut square = Rectangle::new(corners, shade(share).filled());
        square.set_margin(3, 3, 3, 3);
        chart
            .draw_series([square])
            .map_err(|error| error.to_string())?;
        if point.pareto {
            let [(left, bottom), (right, top)] = [(x, y), (x + 1, y + 1)]
                .map(|(x, y)| (SegmentValue::Exact(x), SegmentValue::Exact(y)));
            let frame = vec![
                (left.clone(), bottom.clone()),
                (right.clone(), bottom.clone()),
                (right, top.clone()),
                (left.clone(), top),
                (left, bottom),
            ];
            chart
                .draw_series([PathElement::new(frame, RED_LINE.stroke_width(4))])
                .map_err(|error| error.to_string())?;
        }
        let ink = if share > 0.6 { WHITE } else { BLACK };
        let style =
            ("sans-serif", 16)
                .into_font()
                .color(&ink)
                .pos(plotters::style::text_anchor::Pos::new(
                    plotters::style::text_anchor::HPos::Center,
                    plotters::style::text_anchor::VPos::Center,
                ));
        let text = Text::new(
            tailcut_report::format::nanos(point.p999_ns),
            (SegmentValue::CenterOf(x), SegmentValue::CenterOf(y)),
            style,
        );
        chart
            .draw_series([text])
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// From nearly white to dark blue: its lightness alone tells the order.
fn shade(share: f64) -> RGBColor {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between the two ends
    let mix = |from: f64, to: f64| (from + (to - from) * share) as u8;
    RGBColor(mix(222.0, 8.0), mix(235.0, 48.0), mix(247.0, 107.0))
}
