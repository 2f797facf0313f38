//! Value axes: linear from zero, or logarithmic.

/// A value axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Axis {
    /// From zero to `top`.
    Linear {
        /// Value at the end of the axis.
        top: f64,
        /// Distance of the labels.
        step: f64,
    },
    /// Logarithmic.
    Log {
        /// Value at the start of the axis, above zero.
        from: f64,
        /// Value at the end of the axis.
        to: f64,
    },
}

/// Number of labels up to which a logarithmic axis shows more than the powers of ten.
const MAX_LABELS: usize = 9;

impl Axis {
    /// Returns a linear axis for values up to `highest`.
    #[must_use]
    pub fn linear(highest: f64) -> Self {
        let highest = if highest > 0.0 { highest * 1.05 } else { 1.0 };
        let step = round_step(highest / 4.0);
        Self::Linear { top: (highest / step).ceil() * step, step }
    }

    /// Returns a logarithmic axis for the positive ones of `values`, from and to one of 1, 2, 5, 10, 20 and
    /// so on, over at least a factor of ten.
    #[must_use]
    pub fn log(values: impl IntoIterator<Item = f64>) -> Self {
        let positive = values.into_iter().filter(|value| *value > 0.0);
        let range = positive.fold(None, |range: Option<(f64, f64)>, value| {
            let (low, high) = range.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (low, high) = range.unwrap_or((1.0, 10.0));
        let (mut from, to) = (below(low), round_step(high));
        while to / from < 9.9 {
            from = below(from * 0.99);
        }
        Self::Log { from, to }
    }

    /// Returns the place of `value`: 0 at the start of the axis, 1 at its end. Values beyond are moved to
    /// its ends.
    #[must_use]
    pub fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear { top, .. } => value / top,
            Self::Log { from, to } => (value.max(from) / from).ln() / (to / from).ln(),
        };
        share.clamp(0.0, 1.0)
    }

    /// Returns the value at the end of the axis.
    #[must_use]
    pub fn end(self) -> f64 {
        match self {
            Self::Linear { top, .. } => top,
            Self::Log { to, .. } => to,
        }
    }

    /// Returns the values to label, with their labels.
    #[must_use]
    pub fn labels(self) -> Vec<(f64, String)> {
        match self {
            Self::Linear { top, step } => {
                let mut labels = Vec::new();
                let mut value = 0.0;
                while value <= top * 1.001 {
                    labels.push((value, linear_label(value, step)));
                    value += step;
                }
                labels
            }
            Self::Log { from, to } => {
                let steps = steps(from, to);
                let is_power = |value: &f64| (value.log10() - value.log10().round()).abs() < 1e-6;
                let labeled = match steps.len() <= MAX_LABELS {
                    true => steps,
                    false => steps.into_iter().filter(is_power).collect(),
                };
                labeled.into_iter().map(|value| (value, log_label(value))).collect()
            }
        }
    }
}

/// Returns the values 1, 2, 5, 10, 20 and so on between `from` and `to`.
fn steps(from: f64, to: f64) -> Vec<f64> {
    let mut steps = vec![from];
    let mut value = from;
    while value < to * 0.99 {
        value = round_step(value * 1.01);
        steps.push(value);
    }
    steps
}

/// Rounds up to the next of 1, 2, 5, 10, 20, …
pub(super) fn round_step(min: f64) -> f64 {
    let power = 10_f64.powf(min.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| *step >= min * 0.999)
        .unwrap_or(10.0 * power)
}

/// Rounds down to the next of 1, 2, 5, 10, 20, …
fn below(max: f64) -> f64 {
    let power = 10_f64.powf(max.log10().floor());
    [5.0, 2.0, 1.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| *step <= max * 1.001)
        .unwrap_or(power)
}

pub(super) fn linear_label(value: f64, step: f64) -> String {
    if value >= 10_000.0 {
        return thousands(value);
    }
    let digits = [1.0, 0.1, 0.01, 0.001].iter().filter(|size| step < **size * 0.999).count();
    format!("{value:.digits$}")
}

fn log_label(value: f64) -> String {
    if value >= 10_000.0 {
        return thousands(value);
    }
    let digits = [1.0, 0.1, 0.01, 0.001].iter().filter(|size| value < **size * 0.999).count();
    format!("{value:.digits$}")
}

fn thousands(value: f64) -> String {
    let thousands = value / 1000.0;
    let digits = usize::from(thousands.fract().abs() > 0.05);
    format!("{thousands:.digits$}k")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis) -> String {
        axis.labels().into_iter().map(|(_, label)| label).collect::<Vec<String>>().join(" ")
    }

    #[test]
    fn axis_steps_are_round_numbers() {
        for (min, step) in
            [(0.9, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (7.0, 10.0), (230.0, 500.0)]
        {
            assert!((round_step(min) - step).abs() < 1e-9, "{min}");
        }
        assert_eq!(labels(Axis::linear(3.1)), "0 1 2 3 4");
        assert_eq!(labels(Axis::linear(0.0)), "0.0 0.5 1.0");
        assert_eq!(labels(Axis::linear(45_000.0)), "0 20k 40k 60k");
    }

    #[test]
    fn a_logarithmic_axis_spans_its_values_and_at_least_a_factor_of_ten() {
        assert_eq!(labels(Axis::log([3.2, 470.0])), "2 5 10 20 50 100 200 500");
        assert_eq!(labels(Axis::log([7.0])), "1 2 5 10");
        assert_eq!(labels(Axis::log([0.02, 0.3])), "0.02 0.05 0.1 0.2 0.5");
        assert_eq!(labels(Axis::log([0.3, 28_000.0])), "1 10 100 1000 10k");
        assert_eq!(labels(Axis::log([0.0, f64::NAN])), "1 2 5 10");
    }

    #[test]
    fn every_place_is_on_the_axis() {
        let axis = Axis::log([1.0, 100.0]);
        assert!((axis.share(10.0) - 0.5).abs() < 1e-9);
        assert_eq!([0.0, 1.0, 1e9].map(|value| axis.share(value)), [0.0, 0.0, 1.0]);
        let axis = Axis::linear(80.0);
        assert_eq!([0.0, 50.0, 100.0, 500.0].map(|value| axis.share(value)), [0.0, 0.5, 1.0, 1.0]);
    }
}
