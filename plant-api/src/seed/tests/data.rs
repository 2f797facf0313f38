//! Tests of the files in `seeds/`, of the rows computed from them and of the options.

use std::collections::HashSet;

use clap::Parser;

use crate::check::Checks;
use crate::seed::catalogue::Catalogue;
use crate::seed::files::SeedFiles;
use crate::seed::hires::{MAX_DELIVERABLES_PER_GOAL, MAX_GOALS_PER_HIRE};
use crate::seed::{Options, SeedSpec};

const SPEC: SeedSpec = SeedSpec { agents: 200_000, skills: 500, customers: 5, users: 5, seed: 42 };

#[test]
fn seed_files_meet_the_limits_of_the_seeder() {
    let files = SeedFiles::read().unwrap();
    for industry in &files.industries {
        assert!((1..=MAX_GOALS_PER_HIRE).contains(&industry.goals.len()), "{}", industry.name);
        for goal in &industry.goals {
            assert!(
                (1..=MAX_DELIVERABLES_PER_GOAL).contains(&goal.deliverables.len()),
                "{}",
                goal.title
            );
        }
        // The default count of 50 skills must cover the required skills of every job role.
        let default_skills: HashSet<_> =
            files.skills.iter().take(50).map(|skill| &skill.name).collect();
        for role in &industry.roles {
            assert!(
                role.skills.iter().all(|skill| default_skills.contains(skill)),
                "{}",
                role.name
            );
        }
    }
    for industry in ["marketing", "education", "sales"] {
        assert!(files.industries.iter().any(|other| other.name == industry));
    }
}

#[test]
fn names_are_unique_and_every_entity_passes_its_checks() {
    let files = SeedFiles::read().unwrap();
    let catalogue = Catalogue::new(&files, SPEC);
    let agents = catalogue.agents(0..SPEC.agents as usize);
    let distinct: HashSet<_> = agents.iter().map(|row| &row.content.name).collect();
    assert_eq!(distinct.len(), agents.len());
    let skills = catalogue.skills(0..SPEC.skills as usize);
    let distinct: HashSet<_> = skills.iter().map(|row| &row.content.skill_key).collect();
    assert_eq!(distinct.len(), skills.len());
    let roles = catalogue.job_roles();
    let distinct: HashSet<_> = roles.iter().map(|row| &row.content.name).collect();
    assert_eq!(distinct.len(), roles.len());
    let teams = catalogue.teams();
    let distinct: HashSet<_> = teams.iter().map(|row| &row.content.name).collect();
    assert_eq!(distinct.len(), teams.len());

    let mut checks = skills.iter().flat_map(|row| row.content.check_l1()).collect::<Vec<_>>();
    checks.extend(roles.iter().flat_map(|row| row.content.check_l1()));
    assert!(checks.iter().all(|check| check.passed));
}

#[test]
fn every_job_role_requires_a_skill_even_if_only_one_is_seeded() {
    let files = SeedFiles::read().unwrap();
    let catalogue = Catalogue::new(&files, SeedSpec { skills: 1, ..SPEC });
    for row in catalogue.job_roles() {
        assert_eq!(row.content.required_skills.len(), 1, "{}", row.content.name);
    }
}

#[test]
fn settings_contain_no_secrets() {
    let files = SeedFiles::read().unwrap();
    let mut checks = Checks::default();
    for configuration in &files.people.configurations {
        checks.settings("settings", &configuration.settings);
    }
    for goal in files.industries.iter().flat_map(|industry| &industry.goals) {
        checks.settings("settings", &goal.settings);
    }
    checks.into_result().unwrap();
}

#[test]
fn every_invalid_argument_is_listed() {
    let args = ["seed_test_data", "--agents=0", "--skills=10001", "--load-test-database-url=x"];
    let problems = Options::parse_from(args).check().unwrap_err().0;
    let reported = |name: &str| problems.iter().any(|problem| problem.starts_with(name));
    assert!(reported("--agents") && reported("--skills") && reported("LOAD_TEST_DATABASE_URL"));
    assert_eq!(problems.len(), 3, "{problems:?}");
}
