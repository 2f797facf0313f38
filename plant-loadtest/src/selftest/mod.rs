//! The self-test: runs this program against servers of known truth, and checks that every verdict is
//! the right one and names the cause, and that all counts equal the servers' own logs.
//!
//! Server and load generator are processes of their own, as in a real run, so that they can be killed,
//! stopped and watched.

pub mod behavior;
pub mod case;
pub mod cases;
mod metrics;
mod process;
pub mod runner;
pub mod server;
pub mod summary;
mod truth;

use case::Case;

/// Returns the case named `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Case> {
    cases::CASES.iter().chain([&cases::NULL]).find(|case| case.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{harness::Harness, profile::Profile, sla::Sla};

    #[test]
    fn cases_have_different_names_and_valid_files() {
        let names: BTreeSet<&str> = cases::CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases::CASES.len());
        assert!(names.len() >= 30);
        let folder = std::env::temp_dir().join(format!("plant-selftest-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for case in cases::CASES.iter().chain([&cases::NULL]) {
            let sla = folder.join("sla.toml");
            std::fs::write(&sla, runner::sla_text(case)).unwrap();
            let path = folder.join("case.toml");
            std::fs::write(&path, runner::profile_text(case)).unwrap();
            let profile = Profile::find(&Harness::new("selftest"), path.to_str().unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let plan = crate::profile::Plan::new(&profile, &Default::default()).unwrap();
            Sla::find(&[], sla.to_str().unwrap(), &plan.allowed_names())
                .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
