//! Thresholds in one line, of the command line and of profiles: a limit, with an optional scope before
//! a colon, such as `p95 < 300ms` or `class PaymentUser: errors < 1%`. Every violation is a failure.

use super::{
    During, OverTime, Sla, Threshold, UserRange,
    notation::{self, Parsed},
    scope::{AllowedNames, Scope},
};

impl Sla {
    /// Adds a threshold in one line.
    ///
    /// # Errors
    /// Returns a message if the line is invalid or names something that the run does not have.
    pub fn add_inline(&mut self, text: &str, names: &AllowedNames<'_>) -> Result<(), String> {
        self.thresholds.extend(read(text, names, &mut self.over_time)?);
        Ok(())
    }
}

/// Checks a threshold in one line.
///
/// # Errors
/// Returns a message if the line is invalid or names something that the run does not have.
pub fn check_inline(text: &str, names: &AllowedNames<'_>) -> Result<(), String> {
    read(text, names, &mut OverTime::default()).map(|_| ())
}

fn read(
    text: &str,
    names: &AllowedNames<'_>,
    over_time: &mut OverTime,
) -> Result<Vec<Threshold>, String> {
    // A limit contains no colon, the name of an endpoint may.
    let (scope, limit) = match text.rsplit_once(':') {
        None => (Ok(Scope::All), text),
        Some((scope, limit)) => (Scope::parse(scope.trim(), names), limit),
    };
    let scope = scope.map_err(|problem| format!("`{text}`: {problem}"));
    let (scope, limit) = match (scope, notation::parse(limit.trim())) {
        (Ok(scope), Ok(limit)) => (scope, limit),
        (Err(of_scope), Err(of_limit)) => return Err(format!("{of_scope}; {of_limit}")),
        (Err(problem), _) | (_, Err(problem)) => return Err(problem),
    };
    let (metric, limit) = match limit {
        Parsed::Limit(metric, limit) => (metric, limit),
        Parsed::OverTime(limit) if scope != Scope::All => {
            return Err(format!("`{text}`: `{}` is of the whole run", limit.name()));
        }
        Parsed::OverTime(limit) => {
            names.check_over_time(limit).map_err(|problem| format!("`{text}`: {problem}"))?;
            return match over_time.add(limit) {
                true => Ok(Vec::new()),
                false => Err(format!("`{text}`: `{}` has a limit already", limit.name())),
            };
        }
    };
    let subjects = scope.subjects(&metric, names);
    let subjects = subjects.and_then(|subjects| names.check_measured(&metric).map(|()| subjects));
    let subjects = subjects.map_err(|problem| format!("`{text}`: {problem}"))?;
    let during = if metric.is_of_whole_run() { During::Run } else { During::Judged };
    let thresholds = subjects.into_iter().map(|subject| Threshold {
        subject,
        group: String::new(),
        metric: metric.clone(),
        limit,
        fail_limit: Some(limit),
        users: UserRange::ANY,
        during: during.clone(),
        window_s: None,
        required: true,
        abort_after_s: None,
    });
    Ok(thresholds.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sla::{Limit, Metric, Subject};

    fn names() -> AllowedNames<'static> {
        AllowedNames {
            endpoints: vec!["GET /health", "POST /items/{id}:activate"],
            outside_tasks: vec![],
            classes: vec!["Shopper"],
            tags: vec!["read"],
            work: vec!["generation"],
            counters: vec!["orders"],
            ..AllowedNames::default()
        }
    }

    fn subjects(text: &str) -> Vec<String> {
        let mut sla = Sla::empty();
        sla.add_inline(text, &names()).unwrap_or_else(|error| panic!("{error}"));
        for threshold in &sla.thresholds {
            assert!(threshold.has_no_warning() && threshold.required, "{text}");
        }
        sla.thresholds.iter().map(|threshold| threshold.subject.to_string()).collect()
    }

    #[test]
    fn the_scope_before_the_colon_selects_the_requests() {
        for (text, expected) in [
            ("p95 < 300ms", "all requests"),
            ("GET /health: p95 < 300ms", "GET /health"),
            ("POST /items/{id}:activate: p95 < 300ms", "POST /items/{id}:activate"),
            ("class Shopper: errors < 1%", "class Shopper"),
            ("tag read:p99<1s", "tag read"),
            ("work generation: drain < 30s", "accepted work: generation"),
            ("count(orders) >= 5", "the run"),
            ("memory < 2GiB", "the service"),
        ] {
            assert_eq!(subjects(text), [expected], "{text}");
        }
        assert_eq!(subjects("*: errors <= 0%"), ["GET /health", "POST /items/{id}:activate"]);
    }

    #[test]
    fn a_line_adds_to_the_thresholds_that_exist() {
        let mut sla = Sla::empty();
        sla.add_inline("p95 < 300ms", &names()).unwrap();
        sla.add_inline("p95 < 1s", &names()).unwrap();
        sla.add_inline("recovery < 10%", &names()).unwrap();
        let limits: Vec<Limit> = sla.thresholds.iter().map(|one| one.limit).collect();
        assert_eq!(limits, [Limit::below(300.0), Limit::below(1000.0)]);
        assert_eq!(sla.thresholds[0].metric, Metric::P95);
        assert_eq!(sla.thresholds[0].subject, Subject::AllRequests);
        assert!(sla.over_time.recovery.is_some());
        assert!(sla.add_inline("recovery < 20%", &names()).is_err(), "one limit only");
    }

    #[test]
    fn an_error_quotes_the_line_and_lists_the_names() {
        for (text, part) in [
            ("GET /nowhere: p95 < 1s", "no user class of this profile requests `GET /nowhere`"),
            ("class Nobody: p95 < 1s", "no user class `Nobody`; expected one of: Shopper"),
            ("tag write: p95 < 1s", "expected one of: read"),
            ("work tickets: p95 < 1s", "expected one of: generation"),
            ("work generation: rate >= 1/s", "accepted work has no `rate`"),
            ("work generation: errors(connection) < 1%", "without kinds"),
            ("drain < 30s", "`drain` needs `work`"),
            ("not_ended <= 0", "`not_ended` needs `work`"),
            ("work generation: queue_after <= 0", "no metric of requests"),
            ("count(oders) >= 5", "no user class of this profile has the counter `oders`"),
            ("tag read: memory < 1GiB", "no metric of requests"),
            ("tag read: drift < 1% window 5m", "of the whole run"),
            ("GET /health: p95 fast", "expected <, <="),
            ("class Nobody: p95 fast", "`Nobody`; expected one of: Shopper; `p95 fast`"),
            ("", "expected a metric first"),
        ] {
            let error = check_inline(text, &names()).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let of_none = check_inline("tag read: p95 < 1s", &AllowedNames::default()).unwrap_err();
        assert!(of_none.ends_with("the tag `read`; there is none"), "{of_none}");
    }
}
