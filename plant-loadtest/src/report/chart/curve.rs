//! A curve over a number, such as latency over the level of load.

use std::fmt::Write as _;

use super::{Axis, Frame, HEIGHT, WIDTH, axis::linear_label, coordinate, grid};

/// Draws a line through `points`, each marked, and names the `knee`. Both axes start at zero.
#[must_use]
pub fn curve(title: &str, points: &[(f64, f64)], knee: Option<(f64, f64)>) -> String {
    let highest = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).fold(0.0, f64::max);
    let (x_axis, y_axis) =
        (Axis::linear(highest(|point| point.0)), Axis::linear(highest(|point| point.1)));
    let place = |(x, y): &(f64, f64)| {
        let (x, y) = (x_axis.share(*x) * WIDTH, (1.0 - y_axis.share(*y)) * HEIGHT);
        format!("{} {}", coordinate(x.round()), coordinate(y.round()))
    };
    let values: Vec<(f64, String)> =
        y_axis.labels().into_iter().map(|(value, label)| (y_axis.share(value), label)).collect();
    let mut shapes = grid(&values);
    let places: Vec<String> = points.iter().map(place).collect();
    let dots: String = places.iter().map(|place| format!("M{place}h0")).collect();
    if let Some(knee) = &knee {
        let _ = write!(shapes, r#"<path class="stage" d="M{}V{HEIGHT}"/>"#, place(knee));
    }
    if !places.is_empty() {
        let _ = write!(
            shapes,
            r#"<g class="a"><path class="line" d="M{}"/><path class="dots" d="{dots}"/></g>"#,
            places.join(" ")
        );
    }
    let overlay = knee.map_or_else(String::new, |(x, y)| {
        let (left, bottom) = (super::percent(x_axis.share(x)), super::percent(y_axis.share(y)));
        format!(r#"<span class="knee" style="left:{left}%;bottom:{bottom}%">knee</span>"#)
    });
    let Axis::Linear { top, step } = x_axis else { return String::new() };
    let mut horizontal = Vec::new();
    let mut at = 0.0;
    while at <= top * 1.001 {
        horizontal.push((at / top, linear_label(at, step)));
        at += step;
    }
    Frame {
        title: title.to_owned(),
        view_box: (WIDTH, HEIGHT),
        shapes,
        overlay,
        values,
        horizontal,
    }
    .html()
}
