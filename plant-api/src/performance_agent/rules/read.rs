//! Reads a rule file. Every mistake is reported with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::change::{Action, ChangeRule, Step, find_mistake};
use super::{Comparison, CustomMetric, MetricNames, Rule, RuleSet, Severity};
use crate::performance_agent::exposition::selector::Selector;
use crate::performance_agent::measurement::METRICS;
use crate::tunables::Tunable;

/// Mistakes in a rule file, each with its line number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRules(pub Vec<(usize, String)>);

impl fmt::Display for InvalidRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (line, message)) in self.0.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(f, "{separator}line {line}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidRules {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    metrics: Option<MetricNames>,
    #[serde(default)]
    metric: Vec<MetricEntry>,
    #[serde(default)]
    slo: Vec<Spanned<RuleEntry>>,
    #[serde(default)]
    rule: Vec<Spanned<RuleEntry>>,
    #[serde(default)]
    change: Vec<ChangeEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeEntry {
    name: Spanned<String>,
    what: String,
    tunable: Option<Spanned<String>>,
    to: Option<Spanned<Step>>,
    sql: Option<String>,
    undo: Option<String>,
    why: String,
    expected_effect: String,
    risk: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricEntry {
    name: Spanned<String>,
    gauge: Option<Selector>,
    rate: Option<Selector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    name: Spanned<String>,
    finding: Spanned<String>,
    metric: Spanned<String>,
    subject: Option<String>,
    comparison: Comparison,
    threshold: Spanned<f64>,
    #[serde(default)]
    min_samples: u64,
    max_severity: Option<Severity>,
    recommendation: Spanned<String>,
    #[serde(default)]
    changes: Vec<Spanned<String>>,
}

/// Problems by their position in the text.
struct Problems<'t> {
    text: &'t str,
    found: Vec<(usize, String)>,
}

impl Problems<'_> {
    fn add(&mut self, at: &Range<usize>, message: impl Into<String>) {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        self.found.push((before.matches('\n').count() + 1, message.into()));
    }

    fn require(&mut self, valid: bool, at: &Range<usize>, message: impl Into<String>) {
        if !valid {
            self.add(at, message);
        }
    }

    /// Checks a name: words of lower-case letters and digits, unique.
    fn name(&mut self, name: &Spanned<String>, names: &mut BTreeSet<String>) {
        let text = name.get_ref();
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let valid = !text.is_empty() && text.len() <= 60 && text.bytes().all(is_word);
        let message = format!("`{text}` is not a name such as `low_cache_hit_ratio`");
        self.require(valid, &name.span(), message);
        let is_new = names.insert(text.clone());
        self.require(is_new, &name.span(), format!("`{text}` is defined twice"));
    }
}

impl FromStr for RuleSet {
    type Err = InvalidRules;

    /// Reads a rule file without checking the tunables of its changes.
    fn from_str(text: &str) -> Result<Self, InvalidRules> {
        Self::read_with(text, None)
    }
}

impl RuleSet {
    /// Reads a rule file, whose changes are of these tunables.
    ///
    /// # Errors
    /// [`InvalidRules`].
    pub(super) fn read(text: &str, tunables: &[Tunable]) -> Result<Self, InvalidRules> {
        Self::read_with(text, Some(tunables))
    }

    fn read_with(text: &str, tunables: Option<&[Tunable]>) -> Result<Self, InvalidRules> {
        let mut problems = Problems { text, found: Vec::new() };
        let file: File = toml::from_str(text).map_err(|error: toml::de::Error| {
            problems.add(&error.span().unwrap_or(0..0), error.message());
            InvalidRules(std::mem::take(&mut problems.found))
        })?;
        problems.name(&file.name, &mut BTreeSet::new());
        let custom_metrics = custom_metrics(file.metric, &mut problems);
        let mut change_names = BTreeSet::new();
        let changes = file.change.into_iter();
        let changes: Vec<_> = changes
            .filter_map(|entry| change(entry, tunables, &mut change_names, &mut problems))
            .collect();
        let known = Known { custom_metrics: &custom_metrics, changes: &change_names };
        let mut names = BTreeSet::new();
        let mut rules = Vec::new();
        for (entries, is_slo) in [(file.slo, true), (file.rule, false)] {
            for entry in entries {
                rules.push(rule(entry.into_inner(), is_slo, &known, &mut names, &mut problems));
            }
        }
        let set = Self {
            name: file.name.into_inner(),
            metric_names: file.metrics.unwrap_or_default(),
            custom_metrics,
            rules,
            changes,
        };
        problems.found.sort();
        if problems.found.is_empty() { Ok(set) } else { Err(InvalidRules(problems.found)) }
    }
}

fn custom_metrics(
    entries: Vec<MetricEntry>,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, CustomMetric> {
    let mut names: BTreeSet<String> = METRICS.iter().map(|name| (*name).to_owned()).collect();
    let mut metrics = BTreeMap::new();
    for MetricEntry { name, gauge, rate } in entries {
        problems.name(&name, &mut names);
        let metric = match (gauge, rate) {
            (Some(gauge), None) => CustomMetric::Gauge(gauge),
            (None, Some(rate)) => CustomMetric::Rate(rate),
            _ => {
                problems.add(&name.span(), "a metric is either a `gauge` or a `rate`");
                continue;
            }
        };
        metrics.insert(name.into_inner(), metric);
    }
    metrics
}

fn change(
    entry: ChangeEntry,
    tunables: Option<&[Tunable]>,
    names: &mut BTreeSet<String>,
    problems: &mut Problems<'_>,
) -> Option<ChangeRule> {
    problems.name(&entry.name, names);
    let action = match (entry.tunable, entry.to, entry.sql, entry.undo) {
        (Some(tunable), Some(step), None, None) => {
            let message = "`to` is either { set = … } or { times = …, at_least = …, at_most = … }";
            problems.require(step.get_ref().is_valid(), &step.span(), message);
            let mistake =
                tunables.and_then(|known| find_mistake(tunable.get_ref(), *step.get_ref(), known));
            if let Some(mistake) = mistake {
                problems.add(&tunable.span(), mistake);
            }
            Action::Tune { tunable: tunable.into_inner(), step: step.into_inner() }
        }
        (None, None, sql, Some(undo)) => Action::Manual { sql, undo },
        _ => {
            let message = "a change has either `tunable` and `to`, or `undo` and perhaps `sql`";
            problems.add(&entry.name.span(), message);
            return None;
        }
    };
    Some(ChangeRule {
        name: entry.name.into_inner(),
        what: entry.what,
        action,
        why: entry.why,
        expected_effect: entry.expected_effect,
        risk: entry.risk,
    })
}

/// What rules can refer to, besides the built-in metrics.
struct Known<'f> {
    custom_metrics: &'f BTreeMap<String, CustomMetric>,
    changes: &'f BTreeSet<String>,
}

fn rule(
    entry: RuleEntry,
    is_slo: bool,
    known: &Known<'_>,
    names: &mut BTreeSet<String>,
    problems: &mut Problems<'_>,
) -> Rule {
    problems.name(&entry.name, names);
    // Several rules have findings of one type.
    problems.name(&entry.finding, &mut BTreeSet::new());
    let metric = entry.metric.get_ref();
    let is_known = METRICS.contains(&metric.as_str()) || known.custom_metrics.contains_key(metric);
    problems.require(
        is_known,
        &entry.metric.span(),
        format!("there is no metric `{metric}`; known are {} and those of [[metric]]", {
            METRICS.join(", ")
        }),
    );
    let threshold = *entry.threshold.get_ref();
    problems.require(
        threshold.is_finite() && threshold > 0.0,
        &entry.threshold.span(),
        "the threshold must be a positive number, with which values can be compared",
    );
    for name in &entry.changes {
        let is_known = known.changes.contains(name.get_ref());
        let message = format!("there is no [[change]] `{}`", name.get_ref());
        problems.require(is_known, &name.span(), message);
    }
    let is_blank = entry.recommendation.get_ref().trim().is_empty();
    problems.require(!is_blank, &entry.recommendation.span(), "the recommendation is blank");
    Rule {
        name: entry.name.into_inner(),
        finding: entry.finding.into_inner(),
        metric: entry.metric.into_inner(),
        subject: entry.subject,
        comparison: entry.comparison,
        threshold,
        min_samples: entry.min_samples,
        max_severity: entry.max_severity.unwrap_or(Severity::Critical),
        recommendation: entry.recommendation.into_inner(),
        changes: entry.changes.into_iter().map(Spanned::into_inner).collect(),
        is_slo,
    }
}
