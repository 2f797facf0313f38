//! Content shared by several reports: tables of endpoints and resources, sentences about accepted
//! work and the load model.

use std::{collections::BTreeMap, ops::Range};

use crate::{
    distribution::Distribution,
    load::{Model, Stage},
    outcome::{ArrivalCell, EndpointResults, Outcome, ResourceSample, ServiceSample, Tally},
    sla::{During, Metric, Subject, format_ms},
    verdict::{Grade, JudgedThreshold, Verdict},
};

/// The percentiles listed in reports, as quantile (0 to 1) and name.
pub const PERCENTILES: [(f64, &str); 7] = [
    (0.50, "50"),
    (0.66, "66"),
    (0.75, "75"),
    (0.90, "90"),
    (0.95, "95"),
    (0.99, "99"),
    (0.999, "99.9"),
];

/// A row of a table of endpoints.
#[derive(Clone, Debug)]
pub struct EndpointRow<'a> {
    /// Method and route template.
    pub name: &'a str,
    /// The requests in this part of the run.
    pub tally: Tally,
    /// P50, P95 and P99, each with its threshold if there is one.
    pub percentiles: [PercentileCell<'a>; 3],
    /// The worst grade of its thresholds, shown here or not; `None` without thresholds.
    pub grade: Option<Grade>,
    /// Number of its thresholds.
    pub thresholds: usize,
    /// Number of its thresholds that are not decidable and not required.
    pub undecided: usize,
    /// How far the worst of these thresholds is beyond its limit ([`JudgedThreshold::excess`]).
    pub excess: f64,
}

impl EndpointRow<'_> {
    /// Returns the grade as reports print it: NOT DECIDABLE if that is true of all its thresholds, and none
    /// is required. `None` without thresholds.
    #[must_use]
    pub fn grade_name(&self) -> Option<&'static str> {
        Some(match self.grade? {
            Grade::Pass if self.undecided == self.thresholds => "NOT DECIDABLE",
            grade => grade.name(),
        })
    }

    /// Returns [`Self::grade_name`] with the number of thresholds that are not decidable beside a PASS or
    /// WARNING.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        let name = self.grade_name()?;
        let is_qualified = matches!(name, "PASS" | "WARNING") && self.undecided > 0;
        Some(match is_qualified {
            true => format!("{name} ({} not decidable)", self.undecided),
            false => name.to_owned(),
        })
    }
}

/// A percentile and its threshold.
#[derive(Clone, Copy, Debug)]
pub struct PercentileCell<'a> {
    /// The value in milliseconds; `None` without requests.
    pub value_ms: Option<f64>,
    /// The threshold and its grade.
    pub judged: Option<&'a JudgedThreshold>,
}

/// A row of the table of resources.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceRow {
    /// The resource, with its unit.
    pub name: &'static str,
    /// The usage as text; `n/a` if the service does not report it.
    pub value: String,
}

/// A part of the run, with one row per endpoint.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    /// Description of the part, such as "the steady stage".
    pub title: String,
    /// Its seconds since the start of the run.
    pub seconds: Range<u32>,
    /// One row per endpoint, the furthest beyond its thresholds first.
    pub rows: Vec<EndpointRow<'a>>,
}

/// Returns the parts of the run that latency thresholds apply to, each with all endpoints; the
/// judged stages if there are no such thresholds.
#[must_use]
pub fn sections<'a>(outcome: &'a Outcome, verdict: &'a Verdict) -> Vec<Section<'a>> {
    let mut parts: Vec<&During> = Vec::new();
    for judged in verdict.thresholds.iter().filter(|judged| in_table(judged)) {
        if !parts.contains(&&judged.threshold.during) {
            parts.push(&judged.threshold.during);
        }
    }
    if parts.is_empty() {
        parts.push(&During::Judged);
    }
    let sections = parts.into_iter().map(|during| Section {
        title: title(outcome, during),
        seconds: seconds(outcome, during),
        rows: endpoints(outcome, verdict, during),
    });
    sections.collect()
}

/// Describes the judged stages, such as "the steady stage".
#[must_use]
pub fn describe_judged_stages(outcome: &Outcome) -> String {
    let judged = outcome.load.stages.iter().filter(|stage| stage.judged);
    describe_stages(&judged.map(|stage| stage.name.clone()).collect::<Vec<_>>())
}

fn describe_stages(names: &[String]) -> String {
    match names {
        [] => "no stage".into(),
        [one] => format!("the {one} stage"),
        _ => format!("the stages {}", names.join(", ")),
    }
}

fn title(outcome: &Outcome, during: &During) -> String {
    match during {
        During::Judged => describe_judged_stages(outcome),
        During::Run => "the whole run".into(),
        During::Stages(names) => describe_stages(names),
    }
}

fn seconds(outcome: &Outcome, during: &During) -> Range<u32> {
    match during {
        During::Judged => outcome.judged_span(),
        During::Run => 0..u32::MAX,
        During::Stages(_) => {
            let stages = stages(outcome, during);
            let ends = stages.first().zip(stages.last());
            ends.map_or(0..0, |(first, last)| first.start..last.end)
        }
    }
}

/// Returns the seconds of the stages that `during` names.
fn stages(outcome: &Outcome, during: &During) -> Vec<Range<u32>> {
    let During::Stages(names) = during else { return Vec::new() };
    let stages = outcome.load.stages.iter().filter(|stage| names.contains(&stage.name));
    stages.map(Stage::seconds).collect()
}

/// Returns counts and latencies of `endpoint` in a part of the run.
fn tally(outcome: &Outcome, endpoint: &EndpointResults, during: &During) -> Tally {
    match during {
        During::Judged => outcome.tally_judged_of(endpoint),
        During::Run => endpoint.tally_all(),
        During::Stages(_) => {
            let mut tally = Tally::default();
            for seconds in stages(outcome, during) {
                tally.add(&endpoint.tally_in(&seconds));
            }
            tally
        }
    }
}

/// Returns one row per endpoint for a part of the run, the furthest beyond its thresholds first.
fn endpoints<'a>(
    outcome: &'a Outcome,
    verdict: &'a Verdict,
    during: &During,
) -> Vec<EndpointRow<'a>> {
    let rows = outcome.endpoints.iter().map(|endpoint| {
        let tally = tally(outcome, endpoint, during);
        let of_endpoint = |judged: &&JudgedThreshold| {
            judged.threshold.subject == Subject::Endpoint(endpoint.name.clone())
                && judged.threshold.during == *during
        };
        let all: Vec<&JudgedThreshold> = verdict.thresholds.iter().filter(of_endpoint).collect();
        let thresholds: Vec<&JudgedThreshold> =
            all.iter().copied().filter(|judged| in_table(judged)).collect();
        let cell = |metric: Metric| {
            let of_metric = thresholds.iter().filter(|judged| judged.threshold.metric == metric);
            PercentileCell {
                value_ms: tally.latency.quantile_ms(metric.quantile().unwrap_or_default()),
                // The worst, and of equal ones the first.
                judged: of_metric.rev().max_by_key(|judged| judged.reported_grade()).copied(),
            }
        };
        let worst = all.iter().min_by(|one, other| one.worse_first(other));
        EndpointRow {
            name: &endpoint.name,
            percentiles: [cell(Metric::P50), cell(Metric::P95), cell(Metric::P99)],
            // An endpoint without a latency threshold may still fail by its errors.
            grade: worst.map(|worst| worst.contribution()),
            excess: worst.map_or(0.0, |worst| worst.excess()),
            thresholds: all.len(),
            undecided: all.iter().filter(|judged| judged.label() == "NOT DECIDABLE").count(),
            tally,
        }
    });
    let mut rows: Vec<EndpointRow<'a>> = rows.collect();
    rows.sort_by(|one, other| {
        other.grade.cmp(&one.grade).then(other.excess.total_cmp(&one.excess))
    });
    rows
}

/// Returns whether the table of endpoints shows a threshold: P50, P95 or P99 of one endpoint.
fn in_table(judged: &JudgedThreshold) -> bool {
    [Metric::P50, Metric::P95, Metric::P99].contains(&judged.threshold.metric)
        && judged.threshold.window_s.is_none()
        && matches!(judged.threshold.subject, Subject::Endpoint(_))
}

/// Returns the thresholds that the table of endpoints does not show.
pub fn other_thresholds(verdict: &Verdict) -> impl Iterator<Item = &JudgedThreshold> {
    verdict.thresholds.iter().filter(|judged| !in_table(judged))
}

/// Returns the resource usage of service and load generator: in the judged span, except that of the
/// load generator, which is in the judged stages.
#[must_use]
pub fn resources(outcome: &Outcome, verdict: &Verdict) -> Vec<ResourceRow> {
    let judged = outcome.judged_span();
    let samples: Vec<&ResourceSample> =
        outcome.samples.iter().filter(|sample| judged.contains(&sample.second)).collect();
    let series = |value: fn(&ServiceSample) -> Option<f64>| -> Vec<f64> {
        samples.iter().filter_map(|sample| value(&sample.service)).collect()
    };
    let max = |value| peak(&series(value)).map(|peak| format!("max {peak:.0}"));
    let cpu: Vec<f64> = service_cpu_percent(outcome)
        .into_iter()
        .filter(|(second, _)| judged.contains(second))
        .map(|(_, percent)| percent)
        .collect();
    let rows = [
        ("service CPU (100 % = one CPU)", mean_and_peak(&cpu)),
        ("service memory", memory(&series(|service| service.memory_bytes))),
        ("database pool", pool(&samples)),
        ("database connections", max(|service| service.database_connections)),
        ("Redis connections", max(|service| service.redis_connections)),
        ("requests in progress", max(|service| service.requests_in_progress)),
        ("open files", max(|service| service.open_files)),
        ("queue depth", max(|service| service.queue_depth)),
        ("cache hit ratio", cache_hit_ratio(&samples)),
        ("errors logged by the service", increase(&series(|service| service.logged_errors))),
        (
            "generator CPU (100 % = all CPUs)",
            verdict.generator.cpu.map(|fraction| format!("mean {:.0} %", fraction * 100.0)),
        ),
        ("generator dispatch lag", dispatch_lag(&verdict.generator.dispatch_lag)),
    ];
    let rows = rows.into_iter();
    rows.map(|(name, value)| ResourceRow { name, value: value.unwrap_or_else(|| "n/a".into()) })
        .collect()
}

/// Describes the results of accepted work, in one sentence per kind.
#[must_use]
pub fn completions(outcome: &Outcome) -> Vec<(&str, String)> {
    let judged = outcome.judged_span();
    let sentences = outcome.completions.iter().map(|completion| {
        let counts = completion.tally_all().counts;
        let latency = completion.tally_in(&judged).latency;
        let at = |quantile| latency.quantile_ms(quantile).map_or("-".into(), format_ms);
        let not_credible = match completion.not_credible_in(&(0..u32::MAX)) {
            0 => String::new(),
            count => format!(" + {count} without credible times"),
        };
        let drained = match completion.drain_s {
            Some(seconds) => format!("the last one finished {seconds:.1} s after the load"),
            None if completion.cut_short => {
                "the wait after the load was cut short before all had finished".into()
            }
            None if completion.not_ended() > 0 => {
                "not all finished before the wait after the load timed out".into()
            }
            None => "it is not known when the last one finished".into(),
        };
        let named = [
            ("not ended", completion.not_ended_text()),
            ("doubled", completion.doubled_text()),
            ("without credible times", completion.not_credible_text()),
        ];
        let named = named.into_iter().filter_map(|(what, items)| Some((what, items?)));
        let named: String = named.map(|(what, items)| format!("; {what}: {items}")).collect();
        let sentence = format!(
            "{} accepted = {} completed + {} failed + {} unfinished + {} unknown to the service + {} \
             refused + {} unreachable{not_credible}; time from acceptance to completion, judged: P50 {}, \
             P95 {}, P99 {}, max {}; {drained}{named}",
            completion.accepted(),
            counts.succeeded,
            completion.failed(),
            completion.unfinished(),
            completion.lost(),
            completion.refused(),
            completion.unreachable(),
            at(0.5),
            at(0.95),
            at(0.99),
            at(1.0),
        );
        (completion.work.as_str(), sentence)
    });
    sentences.collect()
}

/// Describes the values of the custom counters, each with its name.
#[must_use]
pub fn counters(outcome: &Outcome) -> Vec<(&str, String)> {
    let sentences = outcome.counters.iter().map(|counter| {
        let stages = outcome.load.stages.iter().filter(|stage| stage.judged);
        let judged: u64 = stages.map(|stage| counter.count_in(&stage.seconds())).sum();
        let rate = as_f64(judged) / judged_duration_s(outcome).max(1.0);
        let all = counter.count_in(&(0..u32::MAX));
        (
            counter.name.as_str(),
            format!("{all} in the whole run, {judged} judged ({rate:.1} per second)"),
        )
    });
    sentences.collect()
}

/// Describes, for each endpoint whose failures took longer than its median latency, the P95 with
/// those failures; in the judged stages.
#[must_use]
pub fn slow_failures(outcome: &Outcome) -> Vec<String> {
    let sentences = outcome.endpoints.iter().filter_map(|endpoint| {
        let tally = outcome.tally_judged_of(endpoint);
        let without = tally.latency.quantile_ms(0.95)?;
        let with_failures = tally.latency_with_slow_failures();
        let slow = with_failures.len() - tally.latency.len();
        let p95 = with_failures.quantile_ms(0.95).filter(|_| slow > 0)?;
        Some(format!(
            "{}: {slow} failures took longer than its median; with them P95 is {}, without {}.",
            endpoint.name,
            format_ms(p95),
            format_ms(without)
        ))
    });
    sentences.collect()
}

/// Returns the CPU usage of the service between successive samples, in percent of one CPU, each
/// with the second of the later sample.
#[must_use]
pub fn service_cpu_percent(outcome: &Outcome) -> Vec<(u32, f64)> {
    let used: Vec<(u32, f64)> = outcome
        .samples
        .iter()
        .filter_map(|sample| Some((sample.second, sample.service.cpu_seconds?)))
        .collect();
    let pairs = used.iter().zip(used.iter().skip(1));
    pairs
        .filter(|((before, _), (second, _))| second > before)
        .map(|((before, used_before), (second, used))| {
            let cpus = (used - used_before) / f64::from(second - before);
            // The counter decreases when the service restarts.
            (*second, cpus.max(0.0) * 100.0)
        })
        .collect()
}

/// Explains how the load model affects the rate: the maximum rate of a closed load, the waiting and
/// dropped arrivals of an open load.
#[must_use]
pub fn load_model_note(outcome: &Outcome) -> String {
    match outcome.load.model {
        Model::Closed => closed_model_note(outcome),
        Model::Open => open_model_note(outcome),
    }
}

fn closed_model_note(outcome: &Outcome) -> String {
    let latency_s = outcome.tally_judged().latency.mean_ms().unwrap_or_default() / 1000.0;
    let classes = &outcome.load.classes;
    let users: u32 = classes.iter().map(|class| class.users).sum();
    let sent = judged_rate(outcome);
    if outcome.load.stages.iter().any(|stage| stage.iterations > 0) {
        return format!(
            "Closed model with a fixed number of iterations: the users of a stage share them, and each \
             runs the next one as soon as its last has ended; {sent:.1} requests/s were sent in that time. \
             This does not show what the service can sustain."
        );
    }
    if classes.iter().any(|class| class.mean_wait_s == 0.0) {
        return format!(
            "Closed model without think time: each of {users} users sends the next request as soon as \
             it has a response; {sent:.1} requests/s were sent. This measures the combined capacity of \
             service and load generator, not the latency that independent users experience."
        );
    }
    let max_rate: f64 =
        classes.iter().map(|class| f64::from(class.users) / (class.mean_wait_s + latency_s)).sum();
    format!(
        "Closed model: {users} users ÷ (think time + latency) limit the rate to about {max_rate:.1} \
         requests/s, however fast the service is; {sent:.1} requests/s were sent. Below \
         this limit the rate grows with the number of users and does not show the capacity of the \
         service."
    )
}

fn open_model_note(outcome: &Outcome) -> String {
    let total = |count: fn(&ArrivalCell) -> u64| outcome.arrivals.iter().map(count).sum::<u64>();
    let scheduled = total(|cell| cell.scheduled);
    let waited = total(|cell| cell.waited);
    let dropped = total(|cell| cell.dropped);
    format!(
        "Open model: {scheduled} arrivals were scheduled independently of the responses; {waited} waited \
         for one of {} virtual users, {dropped} were dropped. Latency is measured from the \
         intended start.",
        outcome.load.users
    )
}

/// Returns the number of responses per status code in the whole run.
#[must_use]
pub fn status_counts(outcome: &Outcome) -> BTreeMap<u16, u64> {
    let mut counts = BTreeMap::new();
    for endpoint in &outcome.endpoints {
        for (status, count) in &endpoint.statuses {
            *counts.entry(*status).or_default() += count;
        }
    }
    counts
}

/// Returns the length of all judged stages together, in seconds, without the pauses after the last
/// iteration of a stage; less than planned if the run ended early.
#[must_use]
pub fn judged_duration_s(outcome: &Outcome) -> f64 {
    let judged = outcome.load.stages.iter().filter(|stage| stage.judged);
    judged
        .map(|stage| {
            let seconds = f64::from(stage.to_s).min(outcome.duration_s) - f64::from(stage.from_s);
            seconds.max(0.0).min(outcome.busy_s(&stage.seconds()))
        })
        .sum()
}

/// Returns a latency with its unit, or a dash if there is none.
pub fn ms_or_dash(ms: Option<f64>) -> String {
    ms.map_or_else(|| "–".into(), format_ms)
}

/// Returns the seconds that charts span: the planned duration, or less if the run ended early.
#[must_use]
pub fn chart_seconds(outcome: &Outcome) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative, and a float's cast to an integer saturates"
    )]
    let elapsed = outcome.duration_s.ceil() as u32;
    outcome.planned_seconds().min(elapsed).max(1)
}

/// Returns the planned `seconds` without those after the end of the run.
#[must_use]
pub fn clip_to_run_end(outcome: &Outcome, seconds: &Range<u32>) -> Range<u32> {
    let end = chart_seconds(outcome);
    seconds.start.min(end)..seconds.end.min(end)
}

/// Returns the requests per second in the judged stages.
#[must_use]
pub fn judged_rate(outcome: &Outcome) -> f64 {
    per_second(outcome.tally_judged().counts.sent, judged_duration_s(outcome))
}

/// Returns the successful responses per second in the judged stages.
#[must_use]
pub fn judged_success_rate(outcome: &Outcome) -> f64 {
    per_second(outcome.tally_judged().counts.succeeded, judged_duration_s(outcome))
}

/// Returns the requests per second in `stage`, without the pause after its last iteration.
#[must_use]
pub fn stage_rate(outcome: &Outcome, stage: &Stage) -> f64 {
    let sent = outcome.tally_in(&stage.seconds()).counts.sent;
    per_second(sent, outcome.busy_s(&clip_to_run_end(outcome, &stage.seconds())))
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { as_f64(count) / seconds } else { 0.0 }
}

/// Returns the requests per second over `seconds`.
#[must_use]
pub fn rate(tally: &Tally, seconds: &Range<u32>) -> f64 {
    let length = seconds.end.saturating_sub(seconds.start).max(1);
    as_f64(tally.counts.sent) / f64::from(length)
}

/// Returns the [`PERCENTILES`] of `latency`, in milliseconds.
pub fn percentiles(latency: &Distribution) -> impl Iterator<Item = (&'static str, Option<f64>)> {
    PERCENTILES.into_iter().map(|(quantile, name)| (name, latency.quantile_ms(quantile)))
}

fn dispatch_lag(lag: &Distribution) -> Option<String> {
    let at = |quantile| lag.quantile_ms(quantile).map(format_ms);
    Some(format!("P50 {}, P99 {}, max {}", at(0.5)?, at(0.99)?, at(1.0)?))
}

fn mean_and_peak(values: &[f64]) -> Option<String> {
    let mean = values.iter().sum::<f64>() / as_f64(values.len() as u64);
    peak(values).map(|peak| format!("mean {mean:.0} %, max {peak:.0} %"))
}

fn memory(bytes: &[f64]) -> Option<String> {
    let mib = |bytes: f64| bytes / 1_048_576.0;
    let (first, last) = (bytes.first()?, bytes.last()?);
    Some(format!(
        "start {:.1} MiB, end {:.1} MiB, max {:.1} MiB",
        mib(*first),
        mib(*last),
        mib(peak(bytes)?)
    ))
}

fn pool(samples: &[&ResourceSample]) -> Option<String> {
    let in_use: Vec<f64> = samples.iter().filter_map(|sample| sample.service.pool_in_use).collect();
    let peak = peak(&in_use)?;
    let limit = samples.iter().rev().find_map(|sample| sample.service.pool_max);
    let limit = limit.map(|limit| format!(" of {limit:.0}")).unwrap_or_default();
    Some(format!("max {peak:.0}{limit} in use"))
}

fn cache_hit_ratio(samples: &[&ResourceSample]) -> Option<String> {
    let (first, last) = (samples.first()?.service, samples.last()?.service);
    let hits = last.cache_hits? - first.cache_hits?;
    let lookups = hits + last.cache_misses.unwrap_or(0.0) - first.cache_misses.unwrap_or(0.0);
    (lookups > 0.0).then(|| format!("{:.1} % of {lookups:.0} lookups", hits * 100.0 / lookups))
}

fn increase(values: &[f64]) -> Option<String> {
    Some(format!("{:.0}", values.last()? - values.first()?))
}

fn peak(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn failures_slower_than_the_median_are_named() {
        let mut outcome = example::outcome();
        assert!(slow_failures(&outcome).is_empty());
        let name = outcome.endpoints[0].name.clone();
        for cell in &mut outcome.endpoints[0].cells {
            cell.failure_latency.record(std::time::Duration::from_secs(7));
        }
        let sentences = slow_failures(&outcome);
        assert_eq!(sentences.len(), 1);
        assert!(sentences[0].starts_with(&format!("{name}: 30 failures")), "{sentences:?}");
    }

    #[test]
    fn of_several_thresholds_of_one_percentile_the_violated_one_is_shown() {
        let mut outcome = example::outcome();
        let p95 = |one: &&crate::sla::Threshold| {
            one.metric == Metric::P95 && one.subject == Subject::Endpoint("GET /health".into())
        };
        let met = outcome.sla.thresholds.iter().find(p95).unwrap().clone();
        let limit = crate::sla::Limit::below(0.001);
        let violated = crate::sla::Threshold { limit, fail_limit: Some(limit), ..met };
        for index in [0, outcome.sla.thresholds.len()] {
            let mut outcome = outcome.clone();
            outcome.sla.thresholds.insert(index, violated.clone());
            let verdict = Verdict::judge(&outcome, &outcome.sla);
            let sections = sections(&outcome, &verdict);
            let health = sections[0].rows.iter().find(|row| row.name == "GET /health").unwrap();
            let shown = health.percentiles[1].judged.unwrap();
            assert_eq!(shown.threshold.limit, limit, "{index}");
        }
        outcome.sla.thresholds.clear();
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert!(sections(&outcome, &verdict)[0].rows[0].percentiles[1].judged.is_none());
    }

    #[test]
    fn a_section_of_several_stages_has_their_requests_only() {
        let mut outcome = example::outcome();
        let steady = outcome.load.stages[1].clone();
        let stage =
            |name: &str, from_s, to_s| Stage { name: name.into(), from_s, to_s, ..steady.clone() };
        outcome.load.stages = vec![stage("a", 5, 10), stage("b", 10, 20), stage("c", 20, 35)];
        let during = During::Stages(vec!["a".into(), "c".into()]);
        assert_eq!(title(&outcome, &during), "the stages a, c");
        assert_eq!(seconds(&outcome, &during), 5..35);
        let endpoint = &outcome.endpoints[0];
        let sent = |during: &During| tally(&outcome, endpoint, during).counts.sent;
        let of = |seconds| endpoint.counts_in(&seconds).sent;
        assert_eq!(sent(&during), of(5..10) + of(20..35));
        assert_eq!(sent(&During::Run), of(0..u32::MAX));
    }

    #[test]
    fn the_rate_of_a_run_that_ended_early_covers_only_its_elapsed_seconds() {
        let mut outcome = example::outcome();
        assert!((judged_duration_s(&outcome) - 30.0).abs() < 1e-9);
        for endpoint in &mut outcome.endpoints {
            endpoint.cells.retain(|cell| cell.second < 15);
        }
        let sent = as_f64(outcome.tally_judged().counts.sent);
        outcome.duration_s = 14.6;
        assert!((judged_duration_s(&outcome) - 9.6).abs() < 1e-9);
        assert!((judged_rate(&outcome) - sent / 9.6).abs() < 1e-9);
        outcome.duration_s = 3.0;
        assert!(judged_duration_s(&outcome) < 1e-9, "the judged stage did not start");
    }
}
