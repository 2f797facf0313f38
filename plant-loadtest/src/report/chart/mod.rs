//! Charts as HTML text with SVG inside. Their shapes stretch with the page, and their labels are text of
//! the page, so that a chart is readable at any width, printed, and without a script.

mod axis;
mod curve;
mod heat_map;
mod histogram;
mod over_time;
mod strip;

use std::fmt::Write as _;

pub use self::{
    axis::Axis,
    curve::curve,
    heat_map::HeatMap,
    histogram::{Histogram, Marker},
    over_time::{Limit, Line, TimeChart, spark},
    strip::strip,
};
use crate::duration;

/// Size of the coordinate system of a chart, which the page stretches.
const WIDTH: f64 = 2000.0;
const HEIGHT: f64 = 1000.0;

/// Largest number of labels of a time axis; more would overlap on a phone.
const MAX_TIME_LABELS: u32 = 5;

/// Escapes `text` for HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The parts of a chart.
struct Frame {
    /// Name for readers that do not see it.
    title: String,
    /// `viewBox` of the shapes.
    view_box: (f64, f64),
    /// The shapes, as SVG.
    shapes: String,
    /// Text over the shapes, as HTML.
    overlay: String,
    /// Labels of the value axis: place from the bottom (0) to the top (1), and text.
    values: Vec<(f64, String)>,
    /// Labels of the horizontal axis: place from the left (0) to the right (1), and text.
    horizontal: Vec<(f64, String)>,
}

impl Frame {
    fn html(&self) -> String {
        let (width, height) = self.view_box;
        let mut html = String::from(r#"<div class="plot"><div class="ys">"#);
        for (share, label) in &self.values {
            let _ = write!(html, r#"<span style="bottom:{}%">{label}</span>"#, percent(*share));
        }
        let _ = write!(
            html,
            r#"</div><div class="area"><svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>{}<i class="cursor"></i></div><div class="xs">"#,
            coordinate(width),
            coordinate(height),
            escape(&self.title),
            self.shapes,
            self.overlay
        );
        for (share, label) in &self.horizontal {
            let class = match share {
                share if *share < 0.02 => r#" class="first""#,
                share if *share > 0.95 => r#" class="last""#,
                _ => "",
            };
            let left = percent(*share);
            let _ = write!(html, r#"<span{class} style="left:{left}%">{label}</span>"#);
        }
        html + "</div></div>"
    }
}

/// Returns the labels of a time axis over `seconds`.
fn time_labels(seconds: u32) -> Vec<(f64, String)> {
    const STEPS: [u32; 17] =
        [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200];
    let seconds = seconds.max(1);
    let step = STEPS.into_iter().find(|step| seconds / step <= MAX_TIME_LABELS);
    let step = step.unwrap_or(seconds / MAX_TIME_LABELS);
    let labels = (0..=seconds).step_by(step as usize);
    let label = |at| (f64::from(at) / f64::from(seconds), duration::format(u64::from(at)));
    labels.map(label).collect()
}

/// Draws lines at the labels of the value axis.
fn grid(values: &[(f64, String)]) -> String {
    let mut path = String::new();
    for (share, _) in values {
        let _ = write!(path, "M0 {}H{WIDTH}", coordinate((1.0 - share) * HEIGHT));
    }
    format!(r#"<path class="grid" d="{path}"/>"#)
}

/// Formats a coordinate. Whole numbers keep the page small, and are as precise as a screen.
fn coordinate(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_axis_has_few_labels_and_starts_at_zero() {
        let labels = |seconds| {
            let labels = time_labels(seconds).into_iter();
            labels.map(|(_, label)| label).collect::<Vec<String>>().join(" ")
        };
        assert_eq!(labels(35), "0s 10s 20s 30s");
        assert_eq!(labels(3600), "0s 15m 30m 45m 1h");
        assert_eq!(labels(86_400), "0s 6h 12h 18h 24h");
        assert_eq!(labels(0), "0s 1s");
    }

    #[test]
    fn text_in_a_chart_is_escaped() {
        let frame = Frame {
            title: r#"a"b<c"#.into(),
            view_box: (1.0, 1.0),
            shapes: String::new(),
            overlay: String::new(),
            values: Vec::new(),
            horizontal: Vec::new(),
        };
        assert!(frame.html().contains(r#"aria-label="a&quot;b&lt;c""#));
    }
}
