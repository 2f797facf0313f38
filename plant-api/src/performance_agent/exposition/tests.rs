use proptest::prelude::*;

use super::histogram::Histogram;
use super::interval::Interval;
use super::selector::Selector;
use super::{Exposition, InvalidExposition, Labels};

const TEXT: &str = r#"# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{method="GET",path="/a"} 12
requests_total{method="POST",path="/a b{c}\"\\\n"} 3 1700000000000
  up 1

temperature NaN
limit{} +Inf
spaced { a = "x" , b="y" , } -1.5e3
with_exemplar_bucket{le="0.5"} 7 # {trace_id="x"} 0.3
"#;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(text: &str) -> Exposition {
    text.parse().unwrap()
}

#[test]
fn series_are_read_with_their_labels() {
    let exposition = read(TEXT);
    let value = |name, pairs: &[(&str, &str)]| exposition.value(name, &labels(pairs));
    assert_eq!(value("requests_total", &[("method", "GET"), ("path", "/a")]), Some(12.0));
    let odd = [("method", "POST"), ("path", "/a b{c}\"\\\n")];
    assert_eq!(value("requests_total", &odd), Some(3.0));
    assert_eq!(value("up", &[]), Some(1.0));
    assert!(value("temperature", &[]).unwrap().is_nan());
    assert_eq!(value("limit", &[]), Some(f64::INFINITY));
    assert_eq!(value("spaced", &[("a", "x"), ("b", "y")]), Some(-1500.0));
    assert_eq!(value("with_exemplar_bucket", &[("le", "0.5")]), Some(7.0));
    assert_eq!(value("up", &[("a", "b")]), None);
}

#[test]
fn other_texts_are_refused_with_their_line() {
    for (text, line) in [
        ("<html>\n<body>", 1),
        ("a 1\n{\"json\": 1}", 2),
        ("a 1\n# comment\na", 3),
        ("a{b=\"c\" 1", 1),
        ("a{b=\"c\"d=\"e\"} 1", 1),
        ("a{b=c} 1", 1),
        ("a one", 1),
        ("a 1 soon", 1),
        ("a 1 2 3", 1),
        ("1a 1", 1),
        ("a inf", 1),
    ] {
        assert_eq!(text.parse::<Exposition>(), Err(InvalidExposition::Line(line)), "{text}");
    }
    assert_eq!("# nothing\n".parse::<Exposition>(), Err(InvalidExposition::Empty));
}

#[test]
fn a_selector_selects_by_name_and_labels() {
    let exposition = read("a{b=\"1\",c=\"2\"} 5\na{b=\"1\"} 7\na{b=\"2\"} 1\nnan NaN\n");
    let sum = |text: &str| Selector::parse(text).unwrap().sum(&exposition);
    assert_eq!(sum("a"), Some(13.0));
    assert_eq!(sum("a{b=\"1\"}"), Some(12.0));
    assert_eq!(sum("a{b=\"3\"}"), None);
    assert_eq!((sum("b"), sum("nan")), (None, None));
    for malformed in ["", "a{", "a 1", "a-b", "a{b=1}"] {
        assert_eq!(Selector::parse(malformed), None, "{malformed}");
    }
}

#[test]
fn an_increase_is_that_of_the_time_between_the_readings() {
    let interval = Interval {
        before: read("a{p=\"x\"} 5\na{p=\"y\"} 9\nother 1\n"),
        after: read("a{p=\"x\"} 7\na{p=\"y\"} 4\na{p=\"z\"} 3\nb{p=\"x\"} NaN\n"),
        seconds: 1.0,
    };
    let all = Selector::parse("a").unwrap();
    let by_label = interval.increases_by(&all, &["p".to_owned()]);
    let expected = [("x", 2.0), ("y", 4.0), ("z", 3.0)];
    assert_eq!(by_label, expected.map(|(p, by)| (vec![p.to_owned()], by)).into());
    assert_eq!(interval.increase(&all), Some(9.0));
    assert_eq!(interval.increase(&Selector::parse("other").unwrap()), None);
    assert_eq!(interval.increase(&Selector::parse("b").unwrap()), None);
}

#[test]
fn quantiles_without_data_are_none() {
    let mut histogram = Histogram::default();
    assert_eq!(histogram.quantile(0.5), None);
    histogram.add(1.0, 0.0);
    histogram.add(f64::INFINITY, 0.0);
    assert_eq!((histogram.quantile(0.5), histogram.count()), (None, 0.0));
    let mut without_infinity = Histogram::default();
    without_infinity.add(1.0, 5.0);
    assert_eq!(without_infinity.quantile(0.5), None);
    let mut only_infinity = Histogram::default();
    only_infinity.add(f64::INFINITY, 5.0);
    assert_eq!(only_infinity.quantile(0.5), None);
}

/// Examples of Prometheus' own tests of `histogram_quantile`.
#[test]
fn quantiles_are_those_of_prometheus() {
    let mut histogram = Histogram::default();
    for (upper, count) in [(0.1, 1.0), (0.2, 3.0), (1.0, 4.0), (f64::INFINITY, 4.0)] {
        histogram.add(upper, count);
    }
    let quantile = |q: f64| histogram.quantile(q).unwrap();
    for (q, expected) in [(0.0, 0.0), (0.125, 0.05), (0.5, 0.15), (0.75, 0.2), (1.0, 1.0)] {
        assert!((quantile(q) - expected).abs() < 1e-12, "{q}: {}", quantile(q));
    }
    histogram.add(f64::INFINITY, 4.0);
    assert_eq!(histogram.quantile(0.99), Some(1.0));
}

const BOUNDS: [f64; 6] = [0.001, 0.01, 0.05, 0.1, 1.0, 10.0];

/// Returns the cumulative buckets of these observations.
fn observe(observations: &[f64]) -> Vec<(f64, u64)> {
    let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
    let up_to = |bound: f64| observations.iter().filter(|value| **value <= bound).count() as u64;
    bounds.map(|bound| (bound, up_to(bound))).collect()
}

fn text(buckets: &[(f64, u64)]) -> String {
    let le = |bound: f64| if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
    let lines = buckets
        .iter()
        .map(|(bound, count)| format!("d_bucket{{path=\"/a\",le=\"{}\"}} {count}\n", le(*bound)));
    lines.collect()
}

proptest! {
    /// The quantile of the readings lies in the bucket of the exact quantile of the observations between
    /// them, however many were made before.
    #[test]
    fn quantiles_are_in_the_bucket_of_the_exact_quantile(
        before in proptest::collection::vec(0.0..20.0_f64, 0..50),
        during in proptest::collection::vec(0.0001..20.0_f64, 1..200),
        q in 0.01..1.0_f64,
    ) {
        let all = [before.clone(), during.clone()].concat();
        let interval = Interval {
            before: read(&text(&observe(&before))),
            after: read(&text(&observe(&all))),
            seconds: 1.0,
        };
        let selector = Selector::parse("d").unwrap();
        let histograms = interval.histograms_by(&selector, &["path".to_owned()]);
        let histogram = &histograms[&vec!["/a".to_owned()]];
        prop_assert_eq!(histogram.count(), during.len() as f64);
        let found = histogram.quantile(q).unwrap();

        let mut sorted = during.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (q * sorted.len() as f64).ceil().max(1.0) as usize;
        let exact = sorted[rank - 1];
        let upper = BOUNDS.into_iter().find(|bound| exact <= *bound);
        match upper {
            None => prop_assert_eq!(found, 10.0),
            Some(upper) => {
                let lower = BOUNDS.into_iter().rev().find(|bound| *bound < upper).unwrap_or(0.0);
                // The same interpolation, from the exact numbers of observations.
                let below = sorted.iter().filter(|value| **value <= lower).count() as f64;
                let within = sorted.iter().filter(|value| **value > lower && **value <= upper);
                let share = (q * sorted.len() as f64 - below) / within.count() as f64;
                let expected = lower + (upper - lower) * share;
                prop_assert!((found - expected).abs() < 1e-9, "{} != {}", found, expected);
                prop_assert!(found >= lower && found <= upper, "{}", found);
            }
        }
    }

    /// What is written is read, and no text makes the parser panic.
    #[test]
    fn any_label_is_read_as_it_was_written(value in "[ -~\n]{0,30}", number in -1e9..1e9_f64) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let exposition = read(&format!("m{{l=\"{escaped}\"}} {number}\n"));
        prop_assert_eq!(exposition.value("m", &labels(&[("l", &value)])), Some(number));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = text.parse::<Exposition>();
    }
}
