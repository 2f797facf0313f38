//! Charts as SVG text. They scale with the page; its style sheet adjusts label sizes for phones.

use std::fmt::Write as _;

use super::series::Points;
use crate::{distribution::Distribution, duration, load::Stage};

/// Margins around the plot area, for labels. The page's script reads them from the SVG.
const LEFT: f64 = 44.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 22.0;

/// Number of bars in a histogram.
const BARS: u8 = 36;

/// Size of a chart on the page. Width and height are in units of the SVG's `viewBox`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Three side by side: 400 × 180.
    Small,
    /// Two side by side: 640 × 250.
    Large,
    /// Full width of the page: 1120 × 280.
    Full,
}

impl Size {
    fn width(self) -> f64 {
        match self {
            Self::Small => 400.0,
            Self::Large => 640.0,
            Self::Full => 1120.0,
        }
    }

    fn height(self) -> f64 {
        match self {
            Self::Small => 180.0,
            Self::Large => 250.0,
            Self::Full => 280.0,
        }
    }
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// Name in the legend.
    pub name: String,
    /// Color class of the style sheet: `a`, `b`, `c`, `bad`, or `e0` to `e7`.
    pub color: String,
    /// Whether the area below it is filled.
    pub filled: bool,
    /// The values over time.
    pub points: Points,
}

/// Draws `lines` over `seconds`, with the stages marked and named.
#[must_use]
pub fn over_time(lines: &[Line], stages: &[Stage], seconds: u32, size: Size) -> String {
    let values = lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
    let scale = Scale::new(values.fold(0.0, f64::max), f64::from(seconds.max(1)), size);
    let mut svg = svg_start(size);
    value_axis(&mut svg, &scale);
    time_axis(&mut svg, &scale, seconds);
    for stage in stages.iter().filter(|stage| stage.from_s < seconds) {
        mark_stage(&mut svg, &scale, stage);
    }
    for line in lines {
        draw(&mut svg, &scale, line);
    }
    let (top, bottom) = (TOP, size.height() - BOTTOM);
    // The page's script moves this line to the pointer.
    let _ = write!(svg, r#"<line class="cursor" x1="0" x2="0" y1="{top}" y2="{bottom}"/>"#);
    svg + "</svg>"
}

/// Draws a line through `points`, each marked, and names the `knee`. Both axes start at zero.
#[must_use]
pub fn curve(points: &[(f64, f64)], knee: Option<(f64, f64)>) -> String {
    let max = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).fold(0.0, f64::max);
    let (x_max, y_max) = (max(|point| point.0), max(|point| point.1));
    let size = Size::Full;
    let scale = Scale::new(y_max, if x_max > 0.0 { x_max * 1.05 } else { 1.0 }, size);
    let mut svg = svg_start(size);
    value_axis(&mut svg, &scale);
    let step = round_step(scale.x_max / 8.0);
    let mut at = 0.0;
    while at <= scale.x_max {
        let x = scale.x(at);
        axis_label(&mut svg, &scale, x, &tick_label(at, step));
        at += step;
    }
    let line =
        Line { name: String::new(), color: "a".into(), filled: false, points: points.to_vec() };
    draw(&mut svg, &scale, &line);
    for (x, y) in points {
        let _ = write!(
            svg,
            r#"<rect class="count" x="{:.1}" y="{:.1}" width="6" height="6"/>"#,
            scale.x(*x) - 3.0,
            scale.y(*y) - 3.0
        );
    }
    if let Some((x, y)) = knee {
        let (x, y) = (scale.x(x), scale.y(y));
        let bottom = size.height() - BOTTOM;
        let _ = write!(
            svg,
            r#"<line class="stage" x1="{x:.1}" x2="{x:.1}" y1="{y:.1}" y2="{bottom}"/><text class="name" text-anchor="end" x="{:.1}" y="{:.1}">knee</text>"#,
            x - 6.0,
            y - 8.0
        );
    }
    svg + "</svg>"
}

/// Draws the planned load over time as a low chart without axes. `load` returns the load at the start
/// and at the end of a stage.
#[must_use]
pub fn strip(stages: &[Stage], load: impl Fn(&Stage) -> (f64, f64)) -> String {
    const HEIGHT: f64 = 100.0;
    let end = f64::from(stages.last().map_or(1, |stage| stage.to_s.max(1)));
    let highest =
        stages.iter().map(&load).map(|(from, to)| from.max(to)).fold(f64::MIN_POSITIVE, f64::max);
    let mut svg =
        format!(r#"<svg class="strip" viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none">"#);
    for stage in stages {
        let x = |second: u32| f64::from(second) / end * 1000.0;
        // A stage without load stays visible, too.
        let y = |level: f64| HEIGHT - (level / highest * HEIGHT).max(3.0);
        let (from, to) = load(stage);
        let (left, right) = (x(stage.from_s) + 1.0, x(stage.to_s) - 1.0);
        let class = if stage.judged { "judged" } else { "unjudged" };
        let _ = write!(
            svg,
            r#"<polygon class="{class}" points="{left:.1},{HEIGHT} {left:.1},{:.1} {right:.1},{:.1} {right:.1},{HEIGHT}"/>"#,
            y(from),
            y(to)
        );
    }
    svg + "</svg>"
}

fn draw(svg: &mut String, scale: &Scale, line: &Line) {
    let path: Vec<String> = line
        .points
        .iter()
        .map(|(second, value)| format!("{:.1},{:.1}", scale.x(*second), scale.y(*value)))
        .collect();
    let (path, color) = (path.join(" "), &line.color);
    if let (true, Some(first), Some(last)) = (line.filled, line.points.first(), line.points.last())
    {
        let (from, to, baseline) = (scale.x(first.0), scale.x(last.0), scale.y(0.0));
        let _ = write!(
            svg,
            r#"<polygon class="area {color}" points="{from:.1},{baseline:.1} {path} {to:.1},{baseline:.1}"/>"#
        );
    }
    let _ = write!(svg, r#"<polyline class="line {color}" points="{path}"/>"#);
}

/// Draws a histogram of `latency` on a logarithmic axis; `None` if it is empty.
#[must_use]
pub fn distribution(latency: &Distribution) -> Option<String> {
    let (shortest, longest) = (latency.min_ms()?, latency.max_ms()?);
    let (from, to) = (shortest.log10().floor(), (longest.log10() + 1e-9).ceil());
    let span = (to - from).max(1.0);
    let mut bars = vec![0_u64; usize::from(BARS)];
    for (ms, count) in latency.buckets_ms() {
        let position = (ms.log10() - from) / span * f64::from(BARS);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the number of bars"
        )]
        let bar = (position as usize).min(bars.len() - 1);
        bars[bar] += count;
    }
    let highest = bars.iter().copied().max().unwrap_or_default();
    let scale = Scale::new(as_f64(highest), f64::from(BARS), Size::Small);
    let mut svg = svg_start(Size::Small);
    value_axis(&mut svg, &scale);
    let baseline = scale.y(0.0);
    for (index, count) in (0_u8..).zip(&bars).filter(|(_, count)| **count > 0) {
        let (x, y) = (scale.x(f64::from(index)), scale.y(as_f64(*count)));
        let width = scale.x(1.0) - scale.x(0.0) - 1.0;
        let height = (baseline - y).max(1.0);
        let top = baseline - height;
        let _ = write!(
            svg,
            r#"<rect class="count" x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}"/>"#
        );
    }
    let mut power = from;
    while power <= from + span {
        let x = scale.x((power - from) / span * f64::from(BARS));
        let label = latency_label(power);
        axis_label(&mut svg, &scale, x, &label);
        power += 1.0;
    }
    Some(svg + "</svg>")
}

/// Maps values to coordinates.
struct Scale {
    top: f64,
    step: f64,
    x_max: f64,
    size: Size,
}

impl Scale {
    fn new(highest: f64, x_max: f64, size: Size) -> Self {
        // Leaves space at the top for the names of the stages.
        let highest = if highest > 0.0 { highest * 1.1 } else { 1.0 };
        let step = round_step(highest / 4.0);
        let top = (highest / step).ceil() * step;
        Self { top, step, x_max, size }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (value / self.x_max).clamp(0.0, 1.0) * (self.size.width() - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (1.0 - value / self.top) * (self.size.height() - TOP - BOTTOM)
    }
}

/// Rounds up to the next of 1, 2, 5, 10, 20, …
fn round_step(min: f64) -> f64 {
    let power = 10_f64.powf(min.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| *step >= min * 0.999)
        .unwrap_or(10.0 * power)
}

fn svg_start(size: Size) -> String {
    let (width, height) = (size.width(), size.height());
    format!(
        r#"<svg viewBox="0 0 {width} {height}" role="img" data-left="{LEFT}" data-right="{}">"#,
        width - RIGHT
    )
}

fn value_axis(svg: &mut String, scale: &Scale) {
    let mut value = 0.0;
    while value <= scale.top * 1.001 {
        let y = scale.y(value);
        let right = scale.size.width() - RIGHT;
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/><text class="tick" text-anchor="end" x="{:.1}" y="{:.1}">{}</text>"#,
            LEFT - 5.0,
            y + 4.0,
            tick_label(value, scale.step)
        );
        value += scale.step;
    }
}

fn tick_label(value: f64, step: f64) -> String {
    if value >= 10_000.0 {
        return format!("{:.0}k", value / 1000.0);
    }
    let digits = [1.0, 0.1, 0.01, 0.001].iter().filter(|size| step < **size * 0.999).count();
    format!("{value:.digits$}")
}

fn time_axis(svg: &mut String, scale: &Scale, seconds: u32) {
    const STEPS: [u32; 14] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
    let step = STEPS.into_iter().find(|step| seconds / step <= 5).unwrap_or((seconds / 5).max(1));
    for at in (0..=seconds).step_by(step as usize) {
        let x = scale.x(f64::from(at));
        axis_label(svg, scale, x, &duration::format(u64::from(at)));
    }
}

fn axis_label(svg: &mut String, scale: &Scale, x: f64, label: &str) {
    let (width, height) = (scale.size.width(), scale.size.height());
    let anchor = if x > width - 30.0 { "end" } else { "middle" };
    let x = if anchor == "end" { width - 2.0 } else { x };
    let _ = write!(
        svg,
        r#"<text class="tick" text-anchor="{anchor}" x="{x:.1}" y="{:.1}">{label}</text>"#,
        height - 6.0
    );
}

fn mark_stage(svg: &mut String, scale: &Scale, stage: &Stage) {
    let (from, to) = (scale.x(f64::from(stage.from_s)), scale.x(f64::from(stage.to_s)));
    let height = scale.size.height() - TOP - BOTTOM;
    if !stage.judged {
        let _ = write!(
            svg,
            r#"<rect class="unjudged" x="{from:.1}" y="{TOP}" width="{:.1}" height="{height}"/>"#,
            to - from
        );
    }
    if stage.from_s > 0 {
        let bottom = scale.size.height() - BOTTOM;
        let _ = write!(
            svg,
            r#"<line class="stage" x1="{from:.1}" x2="{from:.1}" y1="{TOP}" y2="{bottom}"/>"#
        );
    }
    // A name wider than its stage would overlap the next one.
    if to - from > 7.0 * as_f64(stage.name.len() as u64) {
        let name = escape(&stage.name);
        let _ = write!(
            svg,
            r#"<text class="name" x="{:.1}" y="{:.1}">{name}</text>"#,
            from + 4.0,
            TOP + 10.0
        );
    }
}

fn latency_label(power: f64) -> String {
    let ms = 10_f64.powf(power);
    if ms >= 1000.0 {
        format!("{:.0} s", ms / 1000.0)
    } else if ms >= 1.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.0} µs", ms * 1000.0)
    }
}

/// Escapes `text` for HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_steps_are_round_numbers() {
        for (min, step) in
            [(0.9, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (7.0, 10.0), (230.0, 500.0)]
        {
            assert!((round_step(min) - step).abs() < 1e-9, "{min}");
        }
    }

    #[test]
    fn a_chart_without_values_is_valid_svg() {
        let svg = over_time(&[], &[], 10, Size::Large);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_histogram_shows_all_samples() {
        let mut latency = Distribution::default();
        for micros in [1, 950, 1_000, 80_000, 2_000_000] {
            latency.record(std::time::Duration::from_micros(micros));
        }
        let svg = distribution(&latency).unwrap();
        assert!(svg.matches("<rect").count() >= 4, "{svg}");
        assert!(svg.contains("1 µs") && svg.contains("10 s"), "{svg}");
        assert!(distribution(&Distribution::default()).is_none());
    }
}
