//! Charts of values over time.

use std::{fmt::Write as _, ops::Range};

use super::{Axis, Frame, HEIGHT, WIDTH, coordinate, escape, grid, time_labels};
use crate::{
    load::Stage,
    report::series::{Segment, Series},
};

/// A limit this many times above the highest value is not drawn on a linear axis: the values would be
/// too small to see.
const MAX_LIMIT_FACTOR: f64 = 4.0;

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// Name in the legend.
    pub name: String,
    /// Color class of the style sheet: `a`, `b`, `c`, `bad`, or `e0` to `e7`.
    pub color: String,
    /// Whether the area below it is filled.
    pub filled: bool,
    /// Whether it is of the baseline, and dashed.
    pub baseline: bool,
    /// The values over time.
    pub series: Series,
}

/// A threshold in a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Text in the legend.
    pub name: String,
    /// Color class, as of a line.
    pub color: String,
    /// The limit, in the unit of the chart.
    pub value: f64,
    /// The seconds of the run in which it applies.
    pub seconds: Vec<Range<u32>>,
}

/// A chart of values over time.
#[derive(Debug)]
pub struct TimeChart<'a> {
    /// Name for readers that do not see it.
    pub title: &'a str,
    /// The lines.
    pub lines: &'a [Line],
    /// The thresholds.
    pub limits: &'a [Limit],
    /// The stages, which are marked and named.
    pub stages: &'a [Stage],
    /// The seconds of the run that the chart spans.
    pub seconds: u32,
    /// Whether the value axis is logarithmic.
    pub logarithmic: bool,
}

impl TimeChart<'_> {
    /// Returns the value axis, which shows all values.
    #[must_use]
    pub fn axis(&self) -> Axis {
        let values = || self.lines.iter().flat_map(|line| line.series.values());
        let limits = self.limits.iter().map(|limit| limit.value);
        if self.logarithmic {
            return Axis::log(values().chain(limits));
        }
        let highest = values().fold(0.0, f64::max);
        let near = limits.filter(|limit| *limit <= highest * MAX_LIMIT_FACTOR || highest == 0.0);
        Axis::linear(near.fold(highest, f64::max))
    }

    /// Returns whether `limit` is beyond the end of the value axis.
    #[must_use]
    pub fn is_beyond(&self, limit: &Limit) -> bool {
        limit.value > self.axis().end() * 1.001
    }

    /// Draws the chart.
    #[must_use]
    pub fn html(&self) -> String {
        let axis = self.axis();
        let values: Vec<(f64, String)> =
            axis.labels().into_iter().map(|(value, label)| (axis.share(value), label)).collect();
        let mut shapes = self.unjudged() + &grid(&values) + &self.stage_borders();
        for line in self.lines {
            let class = if line.baseline { " base" } else { "" };
            let shape = draw(line, |at| self.x(at), |value| y(axis, value));
            let _ = write!(shapes, r#"<g class="{}{class}">{shape}</g>"#, line.color);
        }
        for limit in self.limits.iter().filter(|limit| !self.is_beyond(limit)) {
            shapes += &self.limit(limit, axis);
        }
        Frame {
            title: self.title.to_owned(),
            view_box: (WIDTH, HEIGHT),
            shapes,
            overlay: self.stage_names(),
            values,
            horizontal: time_labels(self.seconds),
        }
        .html()
    }

    fn x(&self, second: f64) -> f64 {
        (second / f64::from(self.seconds.max(1))).clamp(0.0, 1.0) * WIDTH
    }

    /// Returns the stages that have begun.
    fn begun(&self) -> impl Iterator<Item = &Stage> {
        self.stages.iter().filter(|stage| stage.from_s < self.seconds)
    }

    fn unjudged(&self) -> String {
        let mut path = String::new();
        for stage in self.begun().filter(|stage| !stage.judged) {
            let (from, to) = (self.x(stage.from_s.into()), self.x(stage.to_s.into()));
            let _ = write!(
                path,
                "M{} 0H{}V{HEIGHT}H{}z",
                coordinate(from),
                coordinate(to),
                coordinate(from)
            );
        }
        if path.is_empty() { path } else { format!(r#"<path class="unjudged" d="{path}"/>"#) }
    }

    fn stage_borders(&self) -> String {
        let mut path = String::new();
        for stage in self.begun().filter(|stage| stage.from_s > 0) {
            let _ = write!(path, "M{} 0V{HEIGHT}", coordinate(self.x(stage.from_s.into())));
        }
        if path.is_empty() { path } else { format!(r#"<path class="stage" d="{path}"/>"#) }
    }

    /// Returns the names of the stages; the style sheet hides what does not fit.
    fn stage_names(&self) -> String {
        let mut names = String::new();
        if self.stages.len() < 2 {
            return names;
        }
        for stage in self.begun() {
            let (from, to) = (self.x(stage.from_s.into()), self.x(stage.to_s.into()));
            let (left, width) = (from / WIDTH, (to - from) / WIDTH);
            // Not even one letter fits.
            if width > 0.02 {
                let _ = write!(
                    names,
                    r#"<span class="at" style="left:{}%;width:{}%">{}</span>"#,
                    super::percent(left),
                    super::percent(width),
                    escape(&stage.name)
                );
            }
        }
        names
    }

    fn limit(&self, limit: &Limit, axis: Axis) -> String {
        let mut path = String::new();
        let height = y(axis, limit.value);
        for seconds in &limit.seconds {
            let (from, to) = (self.x(seconds.start.into()), self.x(seconds.end.into()));
            if to > from {
                let _ =
                    write!(path, "M{} {}H{}", coordinate(from), coordinate(height), coordinate(to));
            }
        }
        format!(r#"<path class="limit {}" d="{path}"/>"#, limit.color)
    }
}

/// Draws a small line without axes, for a row of a table; empty without values.
#[must_use]
pub fn spark(series: &Series, seconds: u32) -> String {
    if series.is_empty() {
        return String::new();
    }
    let axis = Axis::Linear { top: series.max().max(f64::MIN_POSITIVE) * 1.1, step: 1.0 };
    let line = Line {
        name: String::new(),
        color: String::new(),
        filled: true,
        baseline: false,
        series: series.clone(),
    };
    let x = |at: f64| (at / f64::from(seconds.max(1))).clamp(0.0, 1.0) * WIDTH;
    let shape = draw(&line, x, |value| y(axis, value));
    format!(
        r#"<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true"><g class="b">{shape}</g></svg>"#
    )
}

fn y(axis: Axis, value: f64) -> f64 {
    (1.0 - axis.share(value)) * HEIGHT
}

fn draw(line: &Line, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let place = |(at, value): &(f64, f64)| {
        format!("{} {}", coordinate(x(*at).round()), coordinate(y(*value).round()))
    };
    let (mut lines, mut areas, mut dots) = (String::new(), String::new(), String::new());
    for segment in line.series.segments() {
        match segment {
            Segment::Dot(at, value) => {
                let _ = write!(dots, "M{}h0", place(&(at, value)));
            }
            Segment::Line(points) => {
                let path = points.iter().map(place).collect::<Vec<String>>().join(" ");
                let _ = write!(lines, "M{path}");
                let (first, last) = (points[0].0, points[points.len() - 1].0);
                let (first, last) = (coordinate(x(first).round()), coordinate(x(last).round()));
                let _ = write!(areas, "M{first} {HEIGHT}L{path}L{last} {HEIGHT}z");
            }
        }
    }
    let mut shape = String::new();
    for (class, path) in [("area", areas), ("line", lines), ("dots", dots)] {
        if !path.is_empty() && (line.filled || class != "area") {
            let _ = write!(shape, r#"<path class="{class}" d="{path}"/>"#);
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{example, series::Windows};

    fn chart<'a>(lines: &'a [Line], limits: &'a [Limit]) -> TimeChart<'a> {
        TimeChart { title: "x", lines, limits, stages: &[], seconds: 10, logarithmic: false }
    }

    fn limit(value: f64) -> Limit {
        let seconds = std::iter::once(5..10).collect();
        Limit { name: String::new(), color: "a".into(), value, seconds }
    }

    fn line(series: Series) -> Line {
        Line { name: "x".into(), color: "a".into(), filled: true, baseline: false, series }
    }

    #[test]
    fn a_chart_without_values_is_valid() {
        let html = chart(&[], &[]).html();
        assert!(html.contains("<svg") && html.ends_with("</div>"));
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
    }

    #[test]
    fn a_limit_is_drawn_over_the_seconds_in_which_it_applies() {
        let html = chart(&[], &[limit(1.0)]).html();
        assert!(html.contains(r#"<path class="limit a" d="M1000 333.3H2000"/>"#), "{html}");
    }

    #[test]
    fn a_limit_far_above_the_values_does_not_flatten_them() {
        let outcome = example::outcome();
        let lines = [line(Windows::new(&outcome).rate())];
        let highest = lines[0].series.max();
        let (near, far) = (limit(highest * 3.0), limit(highest * 50.0));
        let limits = [near.clone(), far.clone()];
        let mut chart = chart(&lines, &limits);
        assert!(!chart.is_beyond(&near) && chart.is_beyond(&far));
        assert_eq!(chart.html().matches("class=\"limit").count(), 1);
        chart.logarithmic = true;
        assert_eq!(chart.html().matches("class=\"limit").count(), 2);
    }

    #[test]
    fn stages_are_named_where_they_are() {
        let outcome = example::outcome();
        let chart = TimeChart { stages: &outcome.load.stages, seconds: 35, ..chart(&[], &[]) };
        let html = chart.html();
        assert!(html.contains(r#"style="left:14.29%;width:85.71%">steady"#), "{html}");
        assert!(html.contains("class=\"unjudged\" d=\"M0 0H285.7V1000H0z\""), "{html}");
    }

    #[test]
    fn values_on_their_own_are_dots() {
        let mut outcome = example::outcome();
        for endpoint in &mut outcome.endpoints {
            endpoint.cells.retain(|cell| cell.second == 7);
        }
        let drawn = chart(&[line(Windows::new(&outcome).quantile(0.95))], &[]).html();
        assert!(drawn.contains(r#"class="dots""#) && !drawn.contains(r#"class="line""#), "{drawn}");
    }
}
