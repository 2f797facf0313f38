//! The locustfile for a master whose workers run the user classes of a profile: their names, weights and wait
//! times, and the messages by which the master writes the outcomes of the workers to files.

use super::message::{COLLECT_OUTCOMES, OUTCOME_LINE};
use crate::{profile::Plan, scenario::UserClass};

/// The part that is the same for all profiles.
const COLLECTOR: &str = include_str!("locustfile.py");

/// Returns the locustfile for workers of this `program` that run the classes of `plan`. `host` is the base URL
/// that the web UI proposes.
///
/// # Errors
/// Returns a message if the name of a class is no name in Python.
pub fn render(program: &str, plan: &Plan, host: &str) -> Result<String, String> {
    let profile = in_docstring(&plan.profile);
    let mut text = format!(
        "\"\"\"User classes of the profile {profile}, for a Locust master.\n\n\
         The workers run them: {program} worker {profile} --master-host HOST\n\
         Written by: {program} locustfile {profile}\n\"\"\"\n\n"
    );
    let collector = COLLECTOR
        .replace("COLLECT_OUTCOMES", COLLECT_OUTCOMES)
        .replace("OUTCOME_LINE", OUTCOME_LINE)
        .replace("PROGRAM", program)
        .replace("\"SERVICE\"", &quoted(host));
    text += &collector;
    for weighted in &plan.classes {
        let UserClass { name, description, wait, .. } = weighted.class;
        check_name(name)?;
        let wait = match plan.saturate || wait.1.is_zero() {
            true => "constant(0)".to_owned(),
            false => format!("between({:?}, {:?})", wait.0.as_secs_f64(), wait.1.as_secs_f64()),
        };
        text += &format!("\n\nclass {name}(User):\n");
        if !description.is_empty() {
            text += &format!("    \"\"\"{}\"\"\"\n\n", in_docstring(description));
        }
        text += &format!(
            "    host = HOST\n    weight = {}\n    wait_time = {wait}\n    tasks = [run_by_workers]\n",
            weighted.weight
        );
    }
    Ok(text)
}

fn check_name(name: &str) -> Result<(), String> {
    let mut characters = name.chars();
    let is_start = |character: char| character.is_ascii_alphabetic() || character == '_';
    let is_name = characters.next().is_some_and(is_start)
        && characters.all(|character| is_start(character) || character.is_ascii_digit());
    match is_name && !IMPORTED.contains(&name) && !KEYWORDS.contains(&name) {
        true => Ok(()),
        false => Err(format!(
            "the user class {name} cannot be in a locustfile: its name is no free name in Python"
        )),
    }
}

/// Names that the locustfile uses itself.
const IMPORTED: [&str; 8] = [
    "HOST",
    "MasterRunner",
    "OUTCOMES",
    "Outcomes",
    "STATE_MISSING",
    "User",
    "between",
    "constant",
];

/// Keywords of Python.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Returns `text` as a string of Python: that of JSON is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn in_docstring(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "'").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plant,
        profile::{Overrides, Profile},
    };

    fn plan(name: &str) -> Plan {
        let profile = Profile::find(&plant::harness(), name).unwrap();
        Plan::new(&profile, &Overrides::default()).unwrap()
    }

    #[test]
    fn it_has_the_classes_of_the_profile_with_their_weights_and_wait_times() {
        let text = render("plant-loadtest", &plan("platform"), "http://127.0.0.1:8001").unwrap();
        for expected in [
            "class AuthUser(User):\n",
            "class GenerationUser(User):\n",
            "class PaymentUser(User):\n",
            "    wait_time = between(1.0, 3.0)\n",
            "HOST = \"http://127.0.0.1:8001\"\n",
            "    host = HOST\n    weight = 1\n",
            "register_message(\"outcome_line\"",
            "\"collect_outcomes\"",
        ] {
            assert!(text.contains(expected), "{expected} is missing in {text}");
        }
        assert!(!text.contains("PROGRAM"), "{text}");
    }

    #[test]
    fn the_name_of_a_profile_does_not_end_the_docstring() {
        let plan = Plan { profile: "a\"\"\"\nimport os\\".into(), ..plan("smoke") };
        let text = render("x", &plan, "http://[::1]").unwrap();
        assert!(
            text.starts_with("\"\"\"User classes of the profile a''' import os\\\\, for"),
            "{text}"
        );
    }

    #[test]
    fn a_class_without_think_time_does_not_wait() {
        let text = render("x", &Plan { saturate: true, ..plan("smoke") }, "http://[::1]").unwrap();
        assert!(text.contains("wait_time = constant(0)"), "{text}");
    }

    #[test]
    fn names_must_be_free_in_python() {
        for name in ["Visitor", "_Visitor2"] {
            assert_eq!(check_name(name), Ok(()));
        }
        for name in ["", "2nd", "my-user", "Bés", "class", "User", "a b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert_eq!(quoted("a\"b\\"), r#""a\"b\\""#);
    }
}
