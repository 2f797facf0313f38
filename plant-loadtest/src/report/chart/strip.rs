//! The planned load over time.

use std::fmt::Write as _;

use crate::load::Stage;

/// Draws the planned load over time as a low chart without axes. `load` returns the load at the start
/// and at the end of a stage.
#[must_use]
pub fn strip(stages: &[Stage], load: impl Fn(&Stage) -> (f64, f64)) -> String {
    const HEIGHT: f64 = 100.0;
    let end = f64::from(stages.last().map_or(1, |stage| stage.to_s.max(1)));
    let highest =
        stages.iter().map(&load).map(|(from, to)| from.max(to)).fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = format!(
        r#"<svg class="strip" viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="planned load">"#
    );
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
