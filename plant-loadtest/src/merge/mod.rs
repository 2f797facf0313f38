//! Merges the outcomes of several load generators that loaded one service at the same time.
//!
//! Counts are added, and distributions are merged bucket by bucket, so that every percentile equals that of
//! one recorder of the same samples. The seconds of the merged run count from its first start by the clock:
//! generators that start on a whole second, as workers of Locust's master and those with `--start-at` do,
//! have cells that fit exactly; others are shifted by less than half a second. Clocks must be synchronized.
//!
//! The outcome of a generator that was killed ends with its last results: what it had sent and had no result
//! yet counts as lost.

mod load;
mod measurements;
mod samples;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

use crate::outcome::{Ended, LoginSummary, Outcome, Target, VERSION, Worker};

/// Maximum time in which no generator ran, in seconds: for it all of them were lost.
const MAX_GAP_S: u32 = 3600;

/// The outcome of one load generator.
#[derive(Clone, Debug)]
pub struct Part {
    /// Name of the generator.
    pub name: String,
    /// Its outcome; `None` if it has no results.
    pub outcome: Option<Outcome>,
}

/// A part with results.
struct Measured {
    name: String,
    outcome: Outcome,
    /// Second of the merged run at which it started.
    offset_s: u32,
}

impl Measured {
    /// Returns a second of the part as one of the merged run.
    fn second(&self, second: u32) -> u32 {
        second.saturating_add(self.offset_s)
    }

    /// Returns the second of the merged run after its last whole one.
    fn end_s(&self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a duration is not negative, and a float's cast to an integer saturates"
        )]
        let duration_s = self.outcome.duration_s as u32;
        self.second(duration_s)
    }
}

/// Merges `parts` into one outcome.
///
/// # Errors
/// Returns a message if none has results, or two are not of the same load test.
pub fn merge(parts: Vec<Part>) -> Result<Outcome, String> {
    let mut silent = Vec::new();
    let mut measured = Vec::new();
    for Part { name, outcome } in parts {
        match outcome {
            Some(outcome) => measured.push((name, outcome)),
            None => silent.push(name),
        }
    }
    let Some(started_at) = measured.iter().map(|(_, outcome)| outcome.started_at).min() else {
        return Err("no outcome has results".into());
    };
    let mut parts: Vec<Measured> = measured
        .into_iter()
        .map(|(name, outcome)| Measured {
            name,
            offset_s: whole_seconds(started_at, outcome.started_at),
            outcome,
        })
        .collect();
    check(&parts)?;
    check_clocks(&parts)?;
    silent.extend(load::missing_shares(&parts)?);
    for part in parts.iter_mut().filter(|part| part.outcome.ended == Ended::Killed) {
        let endpoints = &mut part.outcome.endpoints;
        endpoints
            .iter_mut()
            .flat_map(|endpoint| &mut endpoint.cells)
            .for_each(|cell| cell.counts.lose_unfinished());
    }
    let first = &parts[0].outcome;
    let mut advisory: Vec<String> =
        parts.iter().flat_map(|part| part.outcome.advisory.iter().cloned()).collect();
    advisory.sort();
    advisory.dedup();
    Ok(Outcome {
        version: VERSION,
        load: load::merge(&parts),
        target: target(&parts),
        generator: first.generator.clone(),
        started_at,
        duration_s: parts
            .iter()
            .map(|part| f64::from(part.offset_s) + part.outcome.duration_s)
            .fold(0.0, f64::max),
        ended: ended(&parts),
        aborted: parts.iter().find_map(|part| {
            let mut aborted = part.outcome.aborted.clone()?;
            aborted.after_s = part.second(aborted.after_s);
            Some(aborted)
        }),
        endpoints: measurements::endpoints(&parts),
        failures: measurements::failures(&parts),
        samples: samples::merge(&parts),
        arrivals: measurements::arrivals(&parts),
        iterations: measurements::iterations(&parts),
        actions: measurements::actions(&parts),
        counters: measurements::counters(&parts),
        completions: measurements::completions(&parts),
        advisory,
        sla: first.sla.clone(),
        workers: parts
            .iter()
            .map(worker)
            .chain(silent.into_iter().map(worker_without_results))
            .collect(),
    })
}

/// Checks that the parts belong to one load test.
fn check(parts: &[Measured]) -> Result<(), String> {
    let Some((first, others)) = parts.split_first() else { return Ok(()) };
    if let Some(merged) = parts.iter().find(|part| !part.outcome.workers.is_empty()) {
        return Err(format!("{} is a merged outcome; merge its parts", merged.name));
    }
    for other in others {
        let differs =
            |what: &str| Err(format!("{} and {} have different {what}", first.name, other.name));
        let (one, two) = (&first.outcome, &other.outcome);
        if one.load.profile != two.load.profile || one.load.model != two.load.model {
            return differs("profiles");
        }
        if one.load.time_scale.to_bits() != two.load.time_scale.to_bits() {
            return differs("time scales");
        }
        if one.load.share.is_some() && !load::has_same_stages(first, other) {
            return differs(
                "stages: shares of a load start at the same second and run for the same time",
            );
        }
        if one.sla != two.sla {
            return differs("thresholds");
        }
        if one.target.host != two.target.host {
            return differs("targets");
        }
        let is_long = one.load.cell_s > 1 || two.load.cell_s > 1;
        if is_long && (one.load.cell_s != two.load.cell_s || first.offset_s != other.offset_s) {
            return differs("cells: such long runs must start at the same second");
        }
    }
    Ok(())
}

/// Checks that no part started long after the end of all before it, and that none is there twice.
fn check_clocks(parts: &[Measured]) -> Result<(), String> {
    let mut by_start: Vec<&Measured> = parts.iter().collect();
    by_start.sort_by_key(|part| part.offset_s);
    for (number, part) in by_start.iter().enumerate() {
        let earlier = &by_start[..number];
        let has_requests = part.outcome.counts_all().sent > 0;
        let mut twins =
            earlier.iter().filter(|other| has_requests && other.outcome == part.outcome);
        if let Some(twin) = twins.next() {
            return Err(format!("{} and {} are the same outcome", twin.name, part.name));
        }
        let ends = earlier.iter().map(|other| other.second(other.outcome.planned_seconds()));
        if let Some(end) = ends.max()
            && part.offset_s > end.saturating_add(MAX_GAP_S)
        {
            return Err(format!(
                "{} started {} seconds after the end of the others; are the clocks synchronized?",
                part.name,
                part.offset_s - end
            ));
        }
    }
    Ok(())
}

/// Rounds to whole seconds. `to` is not before `from`.
fn whole_seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> u32 {
    let millis = (to - from).num_milliseconds();
    u32::try_from(millis.saturating_add(500) / 1000).unwrap_or(u32::MAX)
}

/// Returns how the run ended: as planned if one of its parts did; [`Worker`] has the others.
fn ended(parts: &[Measured]) -> Ended {
    [Ended::AsPlanned, Ended::Aborted, Ended::Interrupted]
        .into_iter()
        .find(|ended| parts.iter().any(|part| part.outcome.ended == *ended))
        .unwrap_or(Ended::Killed)
}

fn target(parts: &[Measured]) -> Target {
    let targets = || parts.iter().map(|part| &part.outcome.target);
    let accesses = targets().filter_map(|target| target.access);
    let is_unhealthy = |part: &Measured| {
        let Outcome { target, ended, .. } = &part.outcome;
        target.healthy_after_s.is_none() && !target.health_cut_short && *ended != Ended::Killed
    };
    let longest = targets().filter_map(|target| target.healthy_after_s).reduce(f64::max);
    let healthy_after_s = longest.filter(|_| !parts.iter().any(is_unhealthy));
    Target {
        access: accesses.reduce(|one, two| LoginSummary {
            accounts: one.accounts + two.accounts,
            logins: one.logins + two.logins,
        }),
        healthy_after_s,
        health_cut_short: healthy_after_s.is_none() && !parts.iter().any(is_unhealthy),
        queue_after: targets().filter_map(|target| target.queue_after).reduce(f64::max),
        ..parts[0].outcome.target.clone()
    }
}

fn worker(part: &Measured) -> Worker {
    let Measured { name, outcome, offset_s } = part;
    let counts = outcome.counts_all();
    Worker {
        name: name.clone(),
        generator: Some(outcome.generator.clone()),
        from_s: *offset_s,
        duration_s: outcome.duration_s,
        ended: outcome.ended,
        sent: counts.sent,
        lost: counts.lost,
        samples: samples::of_generator(part),
    }
}

fn worker_without_results(name: String) -> Worker {
    Worker {
        name,
        generator: None,
        from_s: 0,
        duration_s: 0.0,
        ended: Ended::Killed,
        sent: 0,
        lost: 0,
        samples: Vec::new(),
    }
}
