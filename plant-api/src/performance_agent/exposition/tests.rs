use proptest::prelude::*;

use super::histogram::{Histogram, MAX_BUCKETS};
use super::interval::Interval;
use super::selector::Selector;
use super::{Exposition, InvalidExposition, Labels, parse};

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
fn values_without_a_number_are_read_in_any_case() {
    let value = |text: &str| read(&format!("a {text}\n")).value("a", &Labels::new()).unwrap();
    for (text, expected) in [
        ("inf", f64::INFINITY),
        ("+inf", f64::INFINITY),
        ("+INF", f64::INFINITY),
        ("Infinity", f64::INFINITY),
        ("-inf", f64::NEG_INFINITY),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
    assert!(value("nan").is_nan() && value("NAN").is_nan());
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
        ("a infinite", 1),
        ("a 0x1", 1),
    ] {
        assert_eq!(text.parse::<Exposition>(), Err(InvalidExposition::Line(line)), "{text}");
    }
    assert_eq!("# nothing\n".parse::<Exposition>(), Err(InvalidExposition::Empty));
    assert_eq!(parse(b"a \xff"), Err(InvalidExposition::Encoding));
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
fn an_increase_that_is_no_finite_number_is_left_out() {
    let interval = Interval {
        before: read("a{p=\"x\"} 0\na{p=\"y\"} 0\nb{p=\"x\"} 0\n"),
        after: read(
            "a{p=\"x\",q=\"1\"} 1.7e308\na{p=\"x\"} 1.7e308\na{p=\"y\"} 2\nb{p=\"x\"} 1e308\n",
        ),
        seconds: 0.1,
    };
    let (a, b) = (Selector::parse("a").unwrap(), Selector::parse("b").unwrap());
    assert_eq!(interval.increase(&a), None);
    let by_label = interval.increases_by(&a, &["p".to_owned()]);
    assert_eq!(by_label, [(vec!["y".to_owned()], 2.0)].into());
    assert_eq!((interval.increase(&b), interval.rate(&b)), (Some(1e308), None));
}

#[test]
fn quantiles_without_data_are_none() {
    let histogram = |bounds: &[(f64, f64)]| Histogram::new(bounds.to_vec()).unwrap();
    assert_eq!(histogram(&[]).quantile(0.5), None);
    let unused = histogram(&[(1.0, 0.0), (f64::INFINITY, 0.0)]);
    assert_eq!((unused.quantile(0.5), unused.count()), (None, 0.0));
    let without_infinity = histogram(&[(1.0, 5.0)]);
    assert_eq!(without_infinity.quantile(0.5), None);
    let only_infinity = histogram(&[(f64::INFINITY, 5.0)]);
    assert_eq!(only_infinity.quantile(0.5), None);
    for count in [f64::INFINITY, f64::NAN] {
        assert_eq!(histogram(&[(1.0, 5.0), (f64::INFINITY, count)]).quantile(0.9), None, "{count}");
    }
    let below = histogram(&[(f64::NEG_INFINITY, 5.0), (f64::INFINITY, 5.0)]);
    assert_eq!(below.quantile(0.5), None);
}

#[test]
fn a_histogram_has_a_limited_number_of_buckets_in_any_order() {
    let bounds =
        |count: usize| (0..count).rev().map(|bound| (bound as f64, bound as f64)).collect();
    let largest = Histogram::new(bounds(MAX_BUCKETS)).unwrap();
    assert_eq!(Histogram::new(bounds(MAX_BUCKETS).into_iter().rev().collect()), Some(largest));
    assert_eq!(Histogram::new(bounds(MAX_BUCKETS + 1)), None);
    // Those of several series with the same bounds are one.
    let twice = [bounds(MAX_BUCKETS), bounds(MAX_BUCKETS)].concat();
    assert!(Histogram::new(twice).is_some());
    let text: String =
        (0..=MAX_BUCKETS).map(|bound| format!("d_bucket{{p=\"x\",le=\"{bound}\"}} 1\n")).collect();
    let after = read(&format!("{text}d_bucket{{p=\"y\",le=\"1\"}} 1\n"));
    let interval = Interval { before: read("a 1"), after, seconds: 1.0 };
    let found = interval.histograms_by(&Selector::parse("d").unwrap(), &["p".to_owned()]);
    assert_eq!((found.too_large, found.by_labels.len()), (1, 1));
}

/// Examples of Prometheus' own tests of `histogram_quantile`.
#[test]
fn quantiles_are_those_of_prometheus() {
    let mut bounds = vec![(0.1, 1.0), (0.2, 3.0), (1.0, 4.0), (f64::INFINITY, 4.0)];
    let histogram = Histogram::new(bounds.clone()).unwrap();
    let quantile = |q: f64| histogram.quantile(q).unwrap();
    for (q, expected) in [(0.0, 0.0), (0.125, 0.05), (0.5, 0.15), (0.75, 0.2), (1.0, 1.0)] {
        assert!((quantile(q) - expected).abs() < 1e-12, "{q}: {}", quantile(q));
    }
    bounds.push((f64::INFINITY, 4.0));
    assert_eq!(Histogram::new(bounds).unwrap().quantile(0.99), Some(1.0));
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
        let histogram = &histograms.by_labels[&vec!["/a".to_owned()]];
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
