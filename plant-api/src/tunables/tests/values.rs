//! Values in force, computed from stored ones.

use std::collections::HashMap;
use std::time::Duration;

use super::super::RequestTunables;
use super::super::values::{COHORTS, InForce, Setting, Share, interpolate};
use super::{defaults, tunables};

fn in_force(settings: &[(&str, Setting)]) -> InForce {
    let settings = settings.iter().map(|(name, setting)| ((*name).to_owned(), *setting));
    InForce::new(tunables(&defaults()).catalogue(), 7, &settings.collect())
}

fn rollout(value: i64, new: i64, share: Share) -> Setting {
    Setting { value: Some(value), rollout: Some((new, share)) }
}

/// Returns the cohorts that use this page size.
fn cohorts(in_force: &InForce, page_size: i64) -> Vec<usize> {
    (0..COHORTS).filter(|cohort| in_force.for_cohort(*cohort).page_size == page_size).collect()
}

#[test]
fn names_are_unique_and_bounds_include_the_configured_value() {
    let tunables = tunables(&defaults());
    let names: Vec<_> = tunables.catalogue().iter().map(|tunable| &*tunable.name).collect();
    let expected = [
        "cache_ttl_seconds",
        "page_size_cap",
        "admission_limit",
        "statement_timeout_ms",
        "cache_agents",
        "cache_skills",
        "workers_generation",
        "workers_payment",
    ];
    assert_eq!(names, expected);
    for tunable in tunables.catalogue() {
        assert!(tunable.allows(tunable.default) && tunable.min >= 0, "{}", tunable.name);
        assert!(!tunable.allows(tunable.min - 1) && !tunable.allows(tunable.max + 1));
    }
    let payment = tunables.get("workers_payment").unwrap();
    assert_eq!((payment.min, payment.default, payment.max), (1, 3, 12));
    assert!(tunables.get("workers_other").is_err());
}

#[test]
fn configured_values_outside_the_usual_bounds_are_within_the_bounds() {
    let mut defaults = defaults();
    defaults.cache_ttl = Duration::from_secs(86_400);
    defaults.statement_timeout = Duration::from_millis(100);
    let tunables = tunables(&defaults);
    assert_eq!(tunables.get("cache_ttl_seconds").unwrap().max, 86_400);
    let timeout = tunables.get("statement_timeout_ms").unwrap();
    assert_eq!((timeout.min, timeout.max), (100, 100));
}

#[test]
fn without_settings_the_configured_values_are_in_force() {
    let values = in_force(&[]);
    assert_eq!(values.statement_timeout, Duration::from_secs(10));
    assert_eq!(values.workers("payment"), Some(3));
    assert_eq!(values.workers("other"), None);
    for cohort in 0..COHORTS {
        let request = values.for_cohort(cohort);
        assert_eq!(request.cache_ttl, Duration::from_secs(60));
        assert_eq!((request.page_size, request.admission_limit), (500, 1_000_000));
        assert!(request.is_cached(0) && request.is_cached(1));
    }
}

#[test]
fn a_share_of_the_cohorts_is_exact_and_includes_every_smaller_share() {
    let shares = [Share::Zero, Share::Tenth, Share::Half, Share::All];
    let mut previous = Vec::new();
    for (share, expected) in shares.into_iter().zip([0, 10, 50, 100]) {
        let values = in_force(&[("page_size_cap", rollout(500, 20, share))]);
        let new = cohorts(&values, 20);
        assert_eq!(new.len(), expected);
        assert_eq!(cohorts(&values, 500).len(), 100 - expected);
        assert!(previous.iter().all(|cohort| new.contains(cohort)));
        previous = new;
    }
}

#[test]
fn all_values_of_a_request_are_of_one_cohort() {
    let values = in_force(&[
        ("page_size_cap", rollout(500, 20, Share::Tenth)),
        ("cache_ttl_seconds", rollout(60, 5, Share::Tenth)),
        ("cache_skills", rollout(1, 0, Share::Half)),
        ("admission_limit", rollout(1_000_000, 10, Share::Half)),
    ]);
    for cohort in 0..COHORTS {
        let RequestTunables { cache_ttl, page_size, admission_limit, .. } =
            values.for_cohort(cohort);
        let request = values.for_cohort(cohort);
        assert_eq!(page_size == 20, cohort < 10);
        assert_eq!(cache_ttl == Duration::from_secs(5), cohort < 10);
        assert_eq!(admission_limit == 10, cohort < 50);
        assert_eq!(request.is_cached(1), cohort >= 50);
        assert!(request.is_cached(0));
    }
}

#[test]
fn draws_are_of_all_cohorts() {
    let tunables = tunables(&defaults());
    let settings = HashMap::from([("page_size_cap".to_owned(), rollout(500, 20, Share::Tenth))]);
    tunables.0.in_force.send_replace(InForce::new(tunables.catalogue(), 1, &settings));
    let draws = 100_000;
    let new = (0..draws).filter(|_| tunables.draw().page_size == 20).count();
    // Ten standard deviations of a binomial distribution.
    assert!((9_050..=10_950).contains(&new), "{new}");
}

#[test]
fn a_pool_wide_value_moves_by_the_share_of_the_way() {
    for (old, new, expected) in [
        (10, 20, [10, 11, 15, 20]),
        (20, 10, [20, 19, 15, 10]),
        (16, 17, [16, 16, 17, 17]),
        (17, 16, [17, 17, 16, 16]),
        (5, 5, [5; 4]),
        (1, 1_000_000, [1, 100_001, 500_001, 1_000_000]),
        (0, i64::MAX, [0, 922_337_203_685_477_581, 4_611_686_018_427_387_904, i64::MAX]),
    ] {
        let shares = [Share::Zero, Share::Tenth, Share::Half, Share::All];
        assert_eq!(shares.map(|share| interpolate(old, new, share)), expected, "{old} to {new}");
    }
    let values = in_force(&[
        ("workers_generation", rollout(256, 156, Share::Tenth)),
        ("statement_timeout_ms", rollout(10_000, 2_000, Share::Half)),
    ]);
    assert_eq!(values.workers("generation"), Some(246));
    assert_eq!(values.statement_timeout, Duration::from_secs(6));
}

#[test]
fn values_of_a_process_with_other_bounds_are_limited_to_its_own() {
    let values = in_force(&[
        ("workers_payment", Setting { value: Some(1000), rollout: None }),
        ("page_size_cap", rollout(9000, 1, Share::Half)),
        ("cache_skills", Setting { value: Some(0), rollout: None }),
        ("unknown", Setting { value: Some(1), rollout: None }),
    ]);
    assert_eq!(values.workers("payment"), Some(12));
    assert_eq!(values.for_cohort(0).page_size, 10);
    assert_eq!(values.for_cohort(99).page_size, 500);
    assert!(!values.for_cohort(99).is_cached(1) && values.for_cohort(99).is_cached(0));
}

#[test]
fn only_the_stages_of_a_rollout_are_shares() {
    for percent in [0, 10, 50, 100] {
        assert_eq!(Share::from_percent(percent).unwrap().percent(), percent);
    }
    for percent in [-10, 1, 20, 99, 101] {
        assert_eq!(Share::from_percent(percent), None);
    }
}
