//! The files in `seeds/`, and the rows that are made of them.

use std::collections::HashSet;

use clap::Parser;

use crate::check::Checks;
use crate::seed::catalogue::Catalogue;
use crate::seed::hires::{DELIVERABLES_MAX, GOALS_MAX};
use crate::seed::names::Names;
use crate::seed::{Options, Plan};

const PLAN: Plan = Plan { agents: 200_000, skills: 500, customers: 5, users: 5, seed: 42 };

#[test]
fn the_files_hold_what_planting_relies_on() {
    let names = Names::read().unwrap();
    for industry in &names.industries {
        assert!((1..=GOALS_MAX).contains(&industry.goals.len()), "{}", industry.name);
        for goal in &industry.goals {
            assert!((1..=DELIVERABLES_MAX).contains(&goal.deliverables.len()), "{}", goal.title);
        }
        // With the fifty skills of the default every job role has all it requires.
        let known: HashSet<_> = names.skills.iter().take(50).map(|skill| &skill.name).collect();
        for role in &industry.roles {
            assert!(role.skills.iter().all(|skill| known.contains(skill)), "{}", role.name);
        }
    }
    for industry in ["marketing", "education", "sales"] {
        assert!(names.industries.iter().any(|known| known.name == industry));
    }
}

#[test]
fn no_name_comes_twice_and_every_entity_could_be_certified() {
    let names = Names::read().unwrap();
    let catalogue = Catalogue::new(&names, PLAN);
    let agents = catalogue.agents(0..PLAN.agents as usize);
    let distinct: HashSet<_> = agents.iter().map(|row| &row.content.name).collect();
    assert_eq!(distinct.len(), agents.len());
    let skills = catalogue.skills(0..PLAN.skills as usize);
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
    assert!(checks.iter().all(|check| check.holds));
}

#[test]
fn a_few_skills_are_enough_for_every_job_role() {
    let names = Names::read().unwrap();
    let catalogue = Catalogue::new(&names, Plan { skills: 1, ..PLAN });
    for row in catalogue.job_roles() {
        assert_eq!(row.content.required_skills.len(), 1, "{}", row.content.name);
    }
}

#[test]
fn settings_hold_no_secrets() {
    let names = Names::read().unwrap();
    let mut checks = Checks::default();
    for configuration in &names.people.configurations {
        checks.no_secrets("settings", &configuration.settings);
    }
    for goal in names.industries.iter().flat_map(|industry| &industry.goals) {
        checks.no_secrets("settings", &goal.settings);
    }
    checks.done().unwrap();
}

#[test]
fn every_problem_with_the_arguments_is_listed() {
    let args = ["seed_test_data", "--agents=0", "--skills=10001", "--load-test-database-url=x"];
    let problems = Options::parse_from(args).check().unwrap_err().0;
    let named = |name: &str| problems.iter().any(|problem| problem.starts_with(name));
    assert!(named("--agents") && named("--skills") && named("LOAD_TEST_DATABASE_URL"));
    assert_eq!(problems.len(), 3, "{problems:?}");
}
