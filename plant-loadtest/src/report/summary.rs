//! What several reports show alike: figures by endpoint, resources, the closed model's cap.

use std::{collections::BTreeMap, ops::Range};

use crate::{
    distribution::Distribution,
    outcome::{ArrivalSecond, Model, Outcome, ResourceSample, ServiceSample, Tally},
    sla::{During, Figure, Subject, milliseconds},
    verdict::{Grade, Judged, Verdict},
};

/// The percentiles that every report lists, as quantile and name.
pub const PERCENTILES: [(f64, &str); 7] = [
    (0.50, "50"),
    (0.66, "66"),
    (0.75, "75"),
    (0.90, "90"),
    (0.95, "95"),
    (0.99, "99"),
    (0.999, "99.9"),
];

/// One endpoint's line in a table.
#[derive(Clone, Debug)]
pub struct EndpointLine<'a> {
    /// Method and route template.
    pub name: &'a str,
    /// What happened in that part of the run.
    pub judged: Tally,
    /// P50, P95 and P99, each with its promise where there is one.
    pub figures: [FigureCell<'a>; 3],
    /// The worst grade of its promises; `None` when nothing was promised.
    pub grade: Option<Grade>,
}

/// A percentile, and what was promised of it.
#[derive(Clone, Copy, Debug)]
pub struct FigureCell<'a> {
    /// In milliseconds.
    pub measured: Option<f64>,
    /// The promise and its grade.
    pub judged: Option<&'a Judged>,
}

/// A resource's line in a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceLine {
    /// What it is, with its unit.
    pub name: &'static str,
    /// Its figures in words, `n/a` where the service tells nothing.
    pub value: String,
}

/// A part of the run, with a line for every endpoint.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    /// Which part, in words.
    pub title: String,
    /// Its seconds.
    pub seconds: Range<u32>,
    /// The endpoints, the worst grade first.
    pub lines: Vec<EndpointLine<'a>>,
}

/// The parts of the run about which promises were made, each with all endpoints; the judged
/// seconds when there were none.
#[must_use]
pub fn sections<'a>(outcome: &'a Outcome, verdict: &'a Verdict) -> Vec<Section<'a>> {
    let mut parts: Vec<&During> = Vec::new();
    for judged in verdict.promises.iter().filter(|judged| in_table(judged)) {
        if !parts.contains(&&judged.promise.during) {
            parts.push(&judged.promise.during);
        }
    }
    if parts.is_empty() {
        parts.push(&During::Judged);
    }
    let sections = parts.into_iter().map(|during| {
        let seconds = seconds(outcome, during);
        Section {
            title: title(outcome, during),
            lines: endpoints(outcome, verdict, during, &seconds),
            seconds,
        }
    });
    sections.collect()
}

/// The judged part of the run in words: "the steady stage", or how many stages.
#[must_use]
pub fn judged_part(outcome: &Outcome) -> String {
    let judged: Vec<&str> = outcome
        .load
        .stages
        .iter()
        .filter(|stage| stage.judged)
        .map(|stage| stage.name.as_str())
        .collect();
    match judged[..] {
        [] => "no stage".into(),
        [one] => format!("the {one} stage"),
        _ => format!("the stages {}", judged.join(", ")),
    }
}

fn title(outcome: &Outcome, during: &During) -> String {
    match during {
        During::Judged => judged_part(outcome),
        During::Run => "the whole run".into(),
        During::Stage(name) => format!("the {name} stage"),
    }
}

fn seconds(outcome: &Outcome, during: &During) -> Range<u32> {
    match during {
        During::Judged => outcome.judged_seconds(),
        During::Run => 0..u32::MAX,
        During::Stage(name) => {
            let stage = outcome.load.stages.iter().find(|stage| stage.name == *name);
            stage.map_or(0..0, |stage| stage.from_s..stage.to_s)
        }
    }
}

/// A line for every endpoint in one part of the run, the worst grade first.
fn endpoints<'a>(
    outcome: &'a Outcome,
    verdict: &'a Verdict,
    during: &During,
    seconds: &Range<u32>,
) -> Vec<EndpointLine<'a>> {
    let lines = outcome.endpoints.iter().map(|endpoint| {
        let judged = match during {
            During::Judged => outcome.judged_of(endpoint),
            _ => endpoint.over(seconds),
        };
        let promises: Vec<&Judged> = verdict
            .promises
            .iter()
            .filter(|judged| in_table(judged) && judged.promise.during == *during)
            .filter(|judged| judged.promise.subject == Subject::Endpoint(endpoint.name.clone()))
            .collect();
        let cell = |figure: Figure| FigureCell {
            measured: judged.latency.quantile_ms(figure.quantile().unwrap_or_default()),
            judged: promises.iter().find(|judged| judged.promise.figure == figure).copied(),
        };
        EndpointLine {
            name: &endpoint.name,
            figures: [cell(Figure::P50), cell(Figure::P95), cell(Figure::P99)],
            grade: promises.iter().map(|judged| judged.grade).max(),
            judged,
        }
    });
    let mut lines: Vec<EndpointLine<'a>> = lines.collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.grade));
    lines
}

/// Whether a promise stands in the table of endpoints: a percentile of one of them.
fn in_table(judged: &Judged) -> bool {
    judged.promise.figure.quantile().is_some()
        && judged.promise.every_s.is_none()
        && matches!(judged.promise.subject, Subject::Endpoint(_))
}

/// The promises that are not about one endpoint's latency, which a table of endpoints lacks.
pub fn other_promises(verdict: &Verdict) -> impl Iterator<Item = &Judged> {
    verdict.promises.iter().filter(|judged| !in_table(judged))
}

/// What service and generator used in the judged seconds.
#[must_use]
pub fn resources(outcome: &Outcome, verdict: &Verdict) -> Vec<ResourceLine> {
    let judged = outcome.judged_seconds();
    let samples: Vec<&ResourceSample> =
        outcome.samples.iter().filter(|sample| judged.contains(&sample.second)).collect();
    let series = |pick: fn(&ServiceSample) -> Option<f64>| -> Vec<f64> {
        samples.iter().filter_map(|sample| pick(&sample.service)).collect()
    };
    let highest = |pick| peak(&series(pick)).map(|value| format!("at most {value:.0}"));
    let cpu: Vec<f64> = cpu_percent(outcome)
        .into_iter()
        .filter(|(second, _)| judged.contains(second))
        .map(|(_, percent)| percent)
        .collect();
    let lines = [
        ("service CPU (100 % = one processor)", mean_and_peak(&cpu)),
        ("service memory", memory(&series(|service| service.memory_bytes))),
        ("database pool", pool(&samples)),
        ("database connections", highest(|service| service.database_connections)),
        ("Redis connections", highest(|service| service.redis_connections)),
        ("requests in progress", highest(|service| service.requests_in_progress)),
        ("open files", highest(|service| service.open_files)),
        ("queue depth", highest(|service| service.queue_depth)),
        ("cache hits", cache_hits(&samples)),
        ("errors logged by the service", growth(&series(|service| service.logged_errors))),
        (
            "generator CPU (100 % = all processors)",
            verdict.generator.cpu.map(|share| format!("mean {:.0} %", share * 100.0)),
        ),
        ("generator lateness", lateness(&verdict.generator.lag)),
    ];
    let lines = lines.into_iter();
    lines
        .map(|(name, value)| ResourceLine { name, value: value.unwrap_or_else(|| "n/a".into()) })
        .collect()
}

/// What became of accepted work, in a sentence for each kind.
#[must_use]
pub fn completions(outcome: &Outcome) -> Vec<(&str, String)> {
    let judged = outcome.judged_seconds();
    let lines = outcome.completions.iter().map(|completion| {
        let whole = completion.whole().counts;
        let latency = completion.over(&judged).latency;
        let at = |quantile| latency.quantile_ms(quantile).map_or("-".into(), milliseconds);
        let drained = completion.drain_s.map_or_else(
            || "not all of it was done while it was waited for".into(),
            |seconds| format!("the last one was done {seconds:.1} s after the load"),
        );
        let sentence = format!(
            "{} accepted = {} completed + {} failed + {} not done + {} unknown to the service; from \
             acceptance to completion, of those of the steady stage, P50 {}, P95 {}, P99 {}, at \
             most {}; {drained}",
            whole.sent,
            whole.succeeded,
            completion.failed(),
            completion.unfinished(),
            completion.lost(),
            at(0.5),
            at(0.95),
            at(0.99),
            at(1.0),
        );
        (completion.work.as_str(), sentence)
    });
    lines.collect()
}

/// The service's processor use, second by second, in percent of one processor.
#[must_use]
pub fn cpu_percent(outcome: &Outcome) -> Vec<(u32, f64)> {
    let known: Vec<(u32, f64)> = outcome
        .samples
        .iter()
        .filter_map(|sample| Some((sample.second, sample.service.cpu_seconds?)))
        .collect();
    let pairs = known.iter().zip(known.iter().skip(1));
    pairs
        .filter(|((before, _), (second, _))| second > before)
        .map(|((before, used_before), (second, used))| {
            let share = (used - used_before) / f64::from(second - before);
            // A counter that falls belongs to a service that started anew.
            (*second, share.max(0.0) * 100.0)
        })
        .collect()
}

/// What must be known of the load model to read the rate, in a sentence or two.
///
/// A closed load has a cap, below which more users mean more requests by arithmetic alone. An open
/// one has arrivals that may wait, or be given up.
#[must_use]
pub fn cap(outcome: &Outcome) -> String {
    match outcome.load.model {
        Model::Closed => closed_cap(outcome),
        Model::Open => arrivals(outcome),
    }
}

fn closed_cap(outcome: &Outcome) -> String {
    let response_s = outcome.judged().latency.mean_ms().unwrap_or_default() / 1000.0;
    let classes = &outcome.load.classes;
    let users: u32 = classes.iter().map(|class| class.users).sum();
    let sent = judged_rate(outcome);
    if classes.iter().any(|class| class.mean_wait_s == 0.0) {
        return format!(
            "Closed load without think time: {users} users asked again as soon as they were \
             answered, {sent:.1} times a second. That is what the service and this machine can \
             take together, not what independent people would meet."
        );
    }
    let most: f64 =
        classes.iter().map(|class| f64::from(class.users) / (class.mean_wait_s + response_s)).sum();
    format!(
        "Closed load: {users} users ÷ (think time + response time) can send about {most:.1} requests \
         a second, however fast the service is; {sent:.1} a second were sent. Up to that cap more \
         users mean more requests by arithmetic, which says nothing of capacity."
    )
}

fn arrivals(outcome: &Outcome) -> String {
    let total = |pick: fn(&ArrivalSecond) -> u64| outcome.arrivals.iter().map(pick).sum::<u64>();
    let (due, waited, dropped) =
        (total(|of| of.due), total(|of| of.waited), total(|of| of.dropped));
    format!(
        "Open load: {due} arrivals were due whatever the answers took; {waited} of them had to wait \
         for one of {} users, {dropped} were given up. Latency counts from when each was due.",
        outcome.load.users
    )
}

/// How often each status was answered, in the whole run.
#[must_use]
pub fn statuses(outcome: &Outcome) -> BTreeMap<u16, u64> {
    let mut statuses = BTreeMap::new();
    for endpoint in &outcome.endpoints {
        for (status, count) in &endpoint.statuses {
            *statuses.entry(*status).or_default() += count;
        }
    }
    statuses
}

/// How many seconds were judged: fewer than planned when the run was cut short.
#[must_use]
pub fn judged_length(outcome: &Outcome) -> u32 {
    let judged = outcome.load.stages.iter().filter(|stage| stage.judged);
    let lengths = judged.map(|stage| {
        let seconds = lasted(outcome, &stage.seconds());
        seconds.end - seconds.start
    });
    lengths.sum()
}

/// What there was of the planned `seconds` before the run ended.
#[must_use]
pub fn lasted(outcome: &Outcome, seconds: &Range<u32>) -> Range<u32> {
    let end = super::series::shown_seconds(outcome);
    seconds.start.min(end)..seconds.end.min(end)
}

/// Requests a second in the judged stages.
#[must_use]
pub fn judged_rate(outcome: &Outcome) -> f64 {
    as_f64(outcome.judged().counts.sent) / f64::from(judged_length(outcome).max(1))
}

/// Requests a second over `seconds`.
#[must_use]
pub fn rate(tally: &Tally, seconds: &Range<u32>) -> f64 {
    let length = seconds.end.saturating_sub(seconds.start).max(1);
    as_f64(tally.counts.sent) / f64::from(length)
}

/// The listed percentiles of `latency`, in milliseconds.
pub fn percentiles(latency: &Distribution) -> impl Iterator<Item = (&'static str, Option<f64>)> {
    PERCENTILES.into_iter().map(|(quantile, name)| (name, latency.quantile_ms(quantile)))
}

fn lateness(lag: &Distribution) -> Option<String> {
    let at = |quantile| lag.quantile_ms(quantile).map(milliseconds);
    Some(format!("P50 {}, P99 {}, at most {}", at(0.5)?, at(0.99)?, at(1.0)?))
}

fn mean_and_peak(values: &[f64]) -> Option<String> {
    let mean = values.iter().sum::<f64>() / as_f64(values.len() as u64);
    peak(values).map(|peak| format!("mean {mean:.0} %, at most {peak:.0} %"))
}

fn memory(bytes: &[f64]) -> Option<String> {
    let mib = |bytes: f64| bytes / 1_048_576.0;
    let (first, last) = (bytes.first()?, bytes.last()?);
    Some(format!(
        "{:.1} MiB at first, {:.1} MiB at last, at most {:.1} MiB",
        mib(*first),
        mib(*last),
        mib(peak(bytes)?)
    ))
}

fn pool(samples: &[&ResourceSample]) -> Option<String> {
    let in_use: Vec<f64> = samples.iter().filter_map(|sample| sample.service.pool_in_use).collect();
    let most = peak(&in_use)?;
    let limit = samples.iter().rev().find_map(|sample| sample.service.pool_max);
    let of = limit.map(|limit| format!(" of {limit:.0}")).unwrap_or_default();
    Some(format!("at most {most:.0}{of} in use"))
}

fn cache_hits(samples: &[&ResourceSample]) -> Option<String> {
    let (first, last) = (samples.first()?.service, samples.last()?.service);
    let hits = last.cache_hits? - first.cache_hits?;
    let looks = hits + last.cache_misses.unwrap_or(0.0) - first.cache_misses.unwrap_or(0.0);
    (looks > 0.0).then(|| format!("{:.1} % of {looks:.0}", hits * 100.0 / looks))
}

fn growth(values: &[f64]) -> Option<String> {
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
    fn the_rate_of_a_run_cut_short_is_that_of_the_seconds_it_had() {
        let mut outcome = example::outcome();
        assert_eq!(judged_length(&outcome), 30);
        for endpoint in &mut outcome.endpoints {
            endpoint.seconds.retain(|second| second.second < 15);
        }
        let sent = as_f64(outcome.judged().counts.sent);
        outcome.duration_s = 14.6;
        assert_eq!(judged_length(&outcome), 10);
        assert!((judged_rate(&outcome) - sent / 10.0).abs() < 1e-9);
        outcome.duration_s = 3.0;
        assert_eq!(judged_length(&outcome), 0, "it never came so far");
    }
}
