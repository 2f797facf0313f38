use std::path::PathBuf;
use std::time::Duration;

use strum::IntoEnumIterator;

use super::{BUILT_IN, Comparison, DEFAULT, RuleSet, RuleSets, Severity};
use crate::performance_agent::measurement::METRICS;
use crate::tunables::{Tunable, catalogue};

const VALID: &str = r#"
name = "mine"

[metrics]
requests = "requests_total"

[[metric]]
name = "evictions_per_second"
rate = "evicted_total"

[[slo]]
name = "errors"
finding = "error_rate_over_slo"
metric = "error_rate"
comparison = "above"
threshold = 0.01
recommendation = "Fix it."

[[rule]]
name = "evictions"
finding = "cache_too_small"
metric = "evictions_per_second"
comparison = "above"
threshold = 10
min_samples = 1
max_severity = "medium"
recommendation = "Enlarge it."
changes = ["enlarge", "flush"]

[[change]]
name = "enlarge"
what = "Cache size"
tunable = "cache_ttl_seconds"
to = { times = 2, at_most = 64 }
why = "It is too small."
expected_effect = "Fewer evictions."
risk = "Memory."

[[change]]
name = "flush"
what = "Contents"
undo = "Nothing."
why = "They are old."
expected_effect = "New contents."
risk = "Misses."
"#;

fn tunables() -> Vec<Tunable> {
    let (ttl, timeout) = (Duration::from_secs(60), Duration::from_secs(10));
    catalogue(&crate::app::tunable_defaults(ttl, timeout, 16))
}

/// Returns the mistakes in the valid file with `from` replaced by `to`.
fn mistakes(from: &str, to: &str) -> Vec<(usize, String)> {
    assert!(VALID.contains(from), "{from}");
    RuleSet::read(&VALID.replacen(from, to, 1), &tunables()).unwrap_err().0
}

#[test]
fn the_built_in_rules_are_valid_and_cover_every_kind_of_finding() {
    RuleSet::read(BUILT_IN, &tunables()).unwrap();
    let sets = RuleSets::default();
    let rules = &sets.find(DEFAULT).unwrap().rules;
    for finding in [
        "latency_over_slo",
        "error_rate_over_slo",
        "pool_saturation",
        "low_cache_hit_ratio",
        "queue_build_up",
        "cpu_pressure",
        "memory_pressure",
        "memory_growth",
        "unused_index",
        "missing_index",
        "slow_statement",
        "dead_tuples",
    ] {
        assert!(rules.iter().any(|rule| rule.finding == finding), "{finding}");
    }
}

#[test]
fn every_mistake_in_a_file_is_refused_with_its_line() {
    RuleSet::read(VALID, &tunables()).unwrap();
    for (from, to, line, message) in [
        ("name = \"mine\"", "name = \"my rules\"", 2, "is not a name"),
        ("name = \"mine\"", "name = mine", 2, ""),
        ("requests = \"requests_total\"", "requests = \"a{\"", 5, "is not a selector"),
        ("requests = \"requests_total\"", "request = \"a\"", 5, "unknown field"),
        ("rate = \"evicted_total\"", "gauge = \"a\"\nrate = \"b\"", 8, "either"),
        ("rate = \"evicted_total\"", "", 8, "either"),
        ("\"evictions_per_second\"", "\"cpu_use\"", 8, "defined twice"),
        ("metric = \"error_rate\"", "metric = \"errors\"", 14, "there is no metric `errors`"),
        ("comparison = \"above\"", "comparison = \"over\"", 15, "unknown variant"),
        ("threshold = 0.01", "threshold = 0", 16, "positive"),
        ("threshold = 0.01", "threshold = nan", 16, "positive"),
        ("threshold = 0.01", "threshold = \"low\"", 16, "invalid type"),
        ("threshold = 0.01", "", 11, "missing field"),
        ("\"Fix it.\"", "\" \"", 17, "blank"),
        ("name = \"evictions\"", "name = \"errors\"", 20, "defined twice"),
        ("min_samples = 1", "min_samples = -1", 25, ""),
        ("\"enlarge\", \"flush\"", "\"enlarge\", \"grow\"", 28, "there is no [[change]] `grow`"),
        ("{ times = 2, at_most = 64 }", "{ times = 2, set = 64 }", 34, "`to` is either"),
        ("{ times = 2, at_most = 64 }", "{ times = 1 }", 34, "`to` is either"),
        ("{ times = 2, at_most = 64 }", "{ time = 2 }", 34, "unknown field"),
        ("to = { times = 2, at_most = 64 }", "", 31, "a change has either"),
        ("name = \"flush\"", "name = \"enlarge\"", 40, "defined twice"),
        ("undo = \"Nothing.\"", "", 40, "a change has either"),
        ("max_severity = \"medium\"", "max_severity = \"worst\"", 26, "unknown variant"),
        ("\"cache_ttl_seconds\"", "\"cache_ttl_secnds\"", 33, "no tunable `cache_ttl_secnds`"),
        ("\"cache_ttl_seconds\"", "\"cache_ttl*\"", 33, "there is no switch `cache_ttl*`"),
        ("{ times = 2, at_most = 64 }", "{ set = 0 }", 33, "`cache_ttl_seconds` are 1 to 3600"),
        ("{ times = 2, at_most = 64 }", "{ set = 3601 }", 33, "are 1 to 3600"),
        ("{ times = 2, at_most = 64 }", "{ times = 2, at_most = 0 }", 33, "are 1 to 3600"),
    ] {
        let found = mistakes(from, to);
        let expected = |(at, text): &(usize, String)| *at == line && text.contains(message);
        assert!(found.iter().any(expected), "{to}: {found:?}");
    }
    // Which tunable it is depends on the finding.
    RuleSet::read(&VALID.replace("cache_ttl_seconds", "workers_{subject}"), &tunables()).unwrap();
    let several =
        VALID.replace("threshold = 0.01", "threshold = 0").replace("\"Enlarge it.\"", "\"\"");
    let found = several.parse::<RuleSet>().unwrap_err().0;
    let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [16, 27]);
}

#[test]
fn files_are_added_to_the_built_in_rules_or_replace_them() {
    let folder = std::env::temp_dir().join(format!("plant-rules-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mine = file("mine.toml", VALID);
    let own_plant = file("plant.toml", &VALID.replace("\"mine\"", "\"plant\""));
    let broken = file("broken.toml", &VALID.replace("threshold = 0.01", "threshold = -1"));
    let names = |files: &[PathBuf]| {
        RuleSets::load(files, &tunables())
            .map(|sets| sets.names().map(str::to_owned).collect::<Vec<_>>())
    };
    assert_eq!(names(&[]).unwrap(), ["plant"]);
    assert_eq!(names(std::slice::from_ref(&mine)).unwrap(), ["plant", "mine"]);
    let replaced = RuleSets::load(&[own_plant], &tunables()).unwrap();
    assert_eq!(replaced.find("plant").unwrap().rules.len(), 2);
    let missing = folder.join("missing.toml");
    let problems = names(&[broken.clone(), mine.clone(), mine, missing.clone()]).unwrap_err();
    let text = problems.to_string();
    assert!(text.contains(&format!("{}:16: the threshold", broken.display())), "{text}");
    assert!(text.contains("another file has the rule set `mine`"), "{text}");
    assert!(text.contains(&missing.display().to_string()), "{text}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_severity_is_how_far_a_value_is_beyond_the_threshold() {
    use Severity::{Critical, High, Low, Medium};
    for (value, expected) in [
        (9.0, None),
        (10.0, None),
        (10.1, Some(Low)),
        (11.9, Some(Low)),
        (12.0, Some(Medium)),
        (14.9, Some(Medium)),
        (15.0, Some(High)),
        (19.9, Some(High)),
        (20.0, Some(Critical)),
        (f64::INFINITY, Some(Critical)),
        (f64::NAN, None),
    ] {
        assert_eq!(Comparison::Above.severity(value, 10.0), expected, "{value}");
    }
    for (value, expected) in [
        (0.6, None),
        (0.7, None),
        (0.59, Some(Low)),
        (0.5, Some(Medium)),
        (0.4, Some(High)),
        (0.3, Some(Critical)),
        (0.0, Some(Critical)),
        (-5.0, Some(Critical)),
        (f64::NEG_INFINITY, Some(Critical)),
    ] {
        assert_eq!(Comparison::Below.severity(value, 0.6), expected, "{value}");
    }
    let all: Vec<_> = Severity::iter().collect();
    assert!(all.is_sorted() && all.len() == 4);
    assert!(METRICS.len() > 10);
}
