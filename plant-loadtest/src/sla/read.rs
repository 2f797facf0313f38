//! Reads an SLA file and checks that everything it names exists.

use std::ops::Range;

use super::{During, Figure, OverTime, Promise, Sla, Subject, UserRange, usage};
use crate::{
    outcome::FailureKind,
    profile::{ProfileError, Stage},
    scenarios::UserClass,
    timespan,
    toml_source::{Source, Table},
};

/// Reads `text`, which the user knows as `file`.
pub(super) fn parse(
    file: &str,
    text: &str,
    classes: &[&'static UserClass],
    stages: &[Stage],
) -> Result<Sla, ProfileError> {
    let mut source = Source::new(file, text);
    let endpoints = classes.iter().flat_map(|class| class.endpoints);
    let known = Known {
        endpoints: endpoints.map(|endpoint| endpoint.name).collect(),
        work: classes.iter().flat_map(|class| class.work).map(|work| work.name).collect(),
        stages: stages.iter().map(|stage| stage.name.as_str()).collect(),
    };
    let sla = read(&mut source, &known);
    let mistakes = source.into_mistakes();
    match sla {
        Some(sla) if mistakes.is_empty() => Ok(sla),
        _ => Err(ProfileError::Mistaken(mistakes)),
    }
}

/// What an SLA of this run may name.
pub(super) struct Known<'k> {
    endpoints: Vec<&'static str>,
    pub(super) work: Vec<&'static str>,
    stages: Vec<&'k str>,
}

/// By how many percent a percentile may miss its target before that is a failure; unknown: by any.
#[derive(Clone, Copy)]
struct Bands {
    p95: Option<f64>,
    all: Option<f64>,
}

fn read<'a>(source: &mut Source<'a>, known: &Known<'_>) -> Option<Sla> {
    let mut root = source.root();
    let name = root.text(source, "name");
    let bands = Bands {
        p95: root.optional_number(source, "p95_fails_over_percent"),
        all: root.optional_number(source, "fails_over_percent"),
    };
    let mut promises = Vec::new();
    for table in root.tables(source, "latency") {
        promises.extend(latency(source, table, known, bands));
    }
    for table in root.tables(source, "errors") {
        promises.extend(errors(source, table, known));
    }
    if let Some(table) = root.table(source, "survival") {
        promises.extend(survival(source, table));
    }
    for table in root.tables(source, "completion") {
        promises.extend(usage::completion(source, table, known));
    }
    for table in root.tables(source, "throughput") {
        promises.extend(usage::throughput(source, table, known));
    }
    for table in root.tables(source, "resource") {
        promises.extend(usage::resource(source, table, known));
    }
    let over_time = OverTime::read(source, &mut root);
    if promises.is_empty() {
        source.mistake(
            root.span.clone(),
            "an SLA needs some [[latency]], [[errors]], [[completion]], [[throughput]], \
             [[resource]] or [survival]",
        );
    }
    root.finish(source);
    Some(Sla { name: name?.0, promises, over_time })
}

/// When a promise must hold.
#[derive(Clone)]
pub(super) struct When {
    users: UserRange,
    during: During,
    every_s: Option<u32>,
}

impl When {
    /// Reads `users_from`, `users_to`, `during` and `every`.
    pub(super) fn read<'a>(
        source: &mut Source<'a>,
        table: &mut Table<'a>,
        known: &Known<'_>,
    ) -> Self {
        let users = users(source, table);
        Self { users, during: during(source, table, known), every_s: every(source, table) }
    }

    pub(super) fn promise(
        self,
        subject: Subject,
        class: &str,
        figure: Figure,
        below: f64,
        fail_over: Option<f64>,
    ) -> Promise {
        let Self { users, during, every_s } = self;
        Promise { subject, class: class.into(), figure, below, fail_over, users, during, every_s }
    }
}

fn every<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> Option<u32> {
    let (text, at) = table.optional_text(source, "every")?;
    match timespan::parse_positive(&text) {
        Ok(span) => u32::try_from(span.as_secs()).ok(),
        Err(message) => {
            source.mistake(at, format!("`every`: {message}"));
            None
        }
    }
}

/// The endpoints named, or with `endpoints = ["all"]` each that the profile requests.
fn subjects<'a>(source: &mut Source<'a>, table: &mut Table<'a>, known: &Known<'_>) -> Vec<Subject> {
    let endpoints = table.texts(source, "endpoints");
    if matches!(&endpoints[..], [(only, _)] if only == "all") {
        let mut all = known.endpoints.clone();
        all.sort_unstable();
        all.dedup();
        return all.into_iter().map(|name| Subject::Endpoint(name.into())).collect();
    }
    for (endpoint, at) in &endpoints {
        check_endpoint(source, known, endpoint, at.clone());
    }
    endpoints.into_iter().map(|(endpoint, _)| Subject::Endpoint(endpoint)).collect()
}

fn latency<'a>(
    source: &mut Source<'a>,
    mut table: Table<'a>,
    known: &Known<'_>,
    bands: Bands,
) -> Vec<Promise> {
    let class = table.text(source, "class").map_or_else(String::new, |(class, _)| class);
    let subjects = subjects(source, &mut table, known);
    let targets = [
        (Figure::P50, table.optional_number(source, "p50_ms")),
        (Figure::P95, table.optional_number(source, "p95_ms")),
        (Figure::P99, table.optional_number(source, "p99_ms")),
        (Figure::Mean, table.optional_number(source, "mean_ms")),
        (Figure::Max, table.optional_number(source, "max_ms")),
    ];
    let when = When::read(source, &mut table, known);
    if targets.iter().all(|(_, target)| target.is_none()) {
        source.mistake(
            table.span.clone(),
            "give at least one of `p50_ms`, `p95_ms`, `p99_ms`, `mean_ms`, `max_ms`",
        );
    }
    table.finish(source);

    let mut promises = Vec::new();
    for subject in subjects {
        for (figure, target) in &targets {
            let Some(below) = *target else { continue };
            let band = bands.p95.filter(|_| *figure == Figure::P95).or(bands.all);
            promises.push(Promise {
                subject: subject.clone(),
                class: class.clone(),
                figure: figure.clone(),
                below,
                fail_over: band.map(|percent| below * (1.0 + percent / 100.0)),
                users: when.users,
                during: when.during.clone(),
                every_s: when.every_s,
            });
        }
    }
    promises
}

fn errors<'a>(source: &mut Source<'a>, mut table: Table<'a>, known: &Known<'_>) -> Option<Promise> {
    let below = table.number(source, "below_percent");
    let fail_over = table.optional_number(source, "fail_over_percent");
    let kinds = kinds(source, &mut table);
    let when = When::read(source, &mut table, known);
    let subject = match table.optional_text(source, "endpoint") {
        Some((endpoint, at)) => {
            check_endpoint(source, known, &endpoint, at);
            Subject::Endpoint(endpoint)
        }
        None => Subject::AllRequests,
    };
    let at = table.span.clone();
    table.finish(source);
    let below = below?;
    if fail_over.is_some_and(|limit| limit < below) {
        source.mistake(at, "`fail_over_percent` is less than `below_percent`");
    }
    let figure = Figure::ErrorRate(kinds);
    Some(when.promise(subject, "errors", figure, below, fail_over))
}

/// That a service survives means both: it answers afterwards, and it is still the same process.
fn survival<'a>(source: &mut Source<'a>, mut table: Table<'a>) -> Vec<Promise> {
    let within = table.number(source, "answers_within_s");
    let when = When { users: users(source, &mut table), during: During::Run, every_s: None };
    table.finish(source);
    let promise = |figure, below| {
        when.clone().promise(Subject::Service, "survival", figure, below, Some(below))
    };
    let promises = within
        .map(|within| [promise(Figure::SecondsToHealthy, within), promise(Figure::Restarts, 0.0)]);
    promises.into_iter().flatten().collect()
}

fn kinds<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> Vec<FailureKind> {
    if !table.has("kinds") {
        return FailureKind::ALL.to_vec();
    }
    let mut kinds = Vec::new();
    for (name, at) in table.texts(source, "kinds") {
        match FailureKind::ALL.into_iter().find(|kind| kind.name() == name) {
            Some(kind) => kinds.push(kind),
            None => {
                let known = FailureKind::ALL.map(FailureKind::name).join(", ");
                source.mistake(at, format!("there is no failure `{name}`; there are {known}"));
            }
        }
    }
    kinds
}

fn users<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> UserRange {
    let from = table.optional_count(source, "users_from");
    let to = table.optional_count(source, "users_to");
    UserRange { from: from.unwrap_or(0), to: to.unwrap_or(u32::MAX) }
}

fn during<'a>(source: &mut Source<'a>, table: &mut Table<'a>, known: &Known<'_>) -> During {
    let Some((name, at)) = table.optional_text(source, "during") else { return During::Judged };
    if name == "run" {
        return During::Run;
    }
    if !known.stages.contains(&name.as_str()) {
        let stages = known.stages.join(", ");
        source.mistake(at, format!("the run has no stage `{name}`; it has {stages}, or say run"));
    }
    During::Stage(name)
}

fn check_endpoint(source: &mut Source<'_>, known: &Known<'_>, endpoint: &str, at: Range<usize>) {
    if !known.endpoints.contains(&endpoint) {
        let known = known.endpoints.join(", ");
        source.mistake(
            at,
            format!("no user class of this profile requests `{endpoint}`; they request {known}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios;

    fn parsed(text: &str) -> Result<Sla, ProfileError> {
        let class = scenarios::find("HealthCheckUser").unwrap();
        parse("x.toml", text, &[class], &[])
    }

    #[test]
    fn the_limits_of_seed_001_come_out_as_written() {
        let class = scenarios::find("PlantBackendUser").unwrap();
        let sla = Sla::find("plant-backend", &[class], &[]).unwrap();
        let of = |endpoint: &str| -> Vec<(f64, Option<f64>)> {
            let subject = Subject::Endpoint(endpoint.into());
            let ours = sla.promises.iter().filter(|promise| promise.subject == subject);
            ours.map(|promise| (promise.below, promise.fail_over)).collect()
        };
        assert_eq!(of("GET /health"), [(50.0, None), (100.0, Some(150.0)), (200.0, None)]);
        assert_eq!(
            of("POST /api/v1/agents/{id}/goals"),
            [(300.0, None), (800.0, Some(1200.0)), (1500.0, None)]
        );
        for endpoint in class.endpoints {
            assert_eq!(of(endpoint.name).len(), 3, "{}", endpoint.name);
        }
    }

    #[test]
    fn in_seed_000_every_missed_target_of_certification_fails() {
        let class = scenarios::find("GenesisUser").unwrap();
        let sla = Sla::find("certify", &[class], &[]).unwrap();
        let limits: Vec<f64> = sla.promises.iter().map(|promise| promise.below).collect();
        assert_eq!(limits[..3], [100.0, 500.0, 1000.0]);
        for promise in sla.promises {
            assert_eq!(promise.fail_over, Some(promise.below), "{promise:?}");
        }
    }

    #[test]
    fn a_rule_for_an_endpoint_that_nobody_requests_is_a_mistake_with_its_line() {
        let text = "name = \"x\"\n[[latency]]\nclass = \"c\"\nendpoints = [\n\"GET /elsewhere\"]\n\
                    p95_ms = 1\n";
        let error = parsed(text).unwrap_err().to_string();
        assert!(error.starts_with("x.toml:5: no user class"), "{error}");
    }

    #[test]
    fn an_unknown_stage_or_failure_is_a_mistake() {
        let text = "name = \"x\"\n[[errors]]\nbelow_percent = 1\nkinds = [\"bad-luck\"]\n\
                    during = \"dawn\"\n";
        let error = parsed(text).unwrap_err().to_string();
        assert!(error.contains("bad-luck") && error.contains("dawn"), "{error}");
    }
}
