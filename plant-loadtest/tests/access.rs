//! Services that demand tokens are logged in to, and what that takes is no part of the load.

mod harness;
mod locked;

use std::fs;

use harness::{Done, first_line, folder, loadtest};
use locked::{Doors, Locked};
use plant_loadtest::{
    outcome::{Access, Endpoint},
    stub::{Behaviour, Stub},
};

const CUSTOMERS: [&str; 3] = ["PlantBackendUser", "PlantUser", "GenesisUser"];
const CLOSED: &str = "users = 40\nspawn_rate = 40\n";
const OPEN: &str = "model = \"open\"\nusers = 10\nrate = 40\n";

/// Runs a load of `classes` against `host` for two seconds.
fn run(test: &str, host: &str, load: &str, classes: &[&str], more: &[&str]) -> Done {
    let folder = folder(test);
    let mut profile = format!(
        "name = \"test\"\ndescription = \"A test.\"\nrun_time = \"2s\"\nsla = \"smoke\"\n{load}"
    );
    for class in classes {
        profile += &format!("[[class]]\nname = \"{class}\"\nweight = 1\n");
    }
    fs::write(folder.join("test.toml"), profile).unwrap();
    let arguments = ["run", "test.toml", "--json", "out.json", "--host", host];
    loadtest(&folder, &[&arguments, more].concat())
}

#[test]
fn users_of_either_engine_log_in_once_for_all_and_ask_for_their_own_things() {
    for (test, load) in [("locked-closed", CLOSED), ("locked-open", OPEN)] {
        let service = Locked::start(Doors::default());
        let done = run(test, &service.host(), load, &CUSTOMERS, &[]);
        assert!(first_line(&done).starts_with("PASS"), "{}{}", done.stdout, done.stderr);
        let seen = service.seen();
        // Refused was only the question whether tokens are demanded.
        assert_eq!((seen.logins, seen.refused, seen.foreign), (5, 1, 0), "{test}");
        let outcome = done.outcome.unwrap();
        assert_eq!(outcome.target.access, Some(Access { accounts: 5, logins: 5 }));
        assert_eq!(outcome.whole().counts.errors(), 0);
        assert!(outcome.whole().counts.sent > 20);
        assert!(outcome.endpoints.iter().all(|endpoint| !endpoint.name.contains("/auth/")));
        assert!(done.stdout.contains("5 accounts were logged in before"), "{}", done.stdout);
    }
}

#[test]
fn where_no_tokens_are_demanded_nobody_logs_in() {
    let service = Locked::start(Doors { locked: false, ..Doors::default() });
    let done = run("unlocked", &service.host(), CLOSED, &CUSTOMERS, &[]);
    assert_eq!(done.exit, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(service.seen().logins, 0);
    assert_eq!(done.outcome.unwrap().target.access, None);
}

#[test]
fn who_asks_for_nobodys_things_does_not_log_in() {
    let service = Locked::start(Doors::default());
    let classes = ["HealthCheckUser", "AgentListUser"];
    let done = run("nobodys", &service.host(), CLOSED, &classes, &[]);
    assert_eq!(done.exit, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!((service.seen().logins, service.seen().refused), (0, 0));
}

#[test]
fn a_wrong_password_is_told_before_the_load() {
    let service = Locked::start(Doors { password: "another one", ..Doors::default() });
    let host = service.host();
    let done = run("wrong-password", &host, CLOSED, &CUSTOMERS, &[]);
    assert_eq!(done.exit, 3, "{}", done.stdout);
    let told = format!("{host} demands tokens, and loadtest_1@test.local cannot log in: no such");
    assert!(done.stderr.contains(&told), "{}", done.stderr);
    assert!(done.stderr.contains("seed_test_data --users=5"), "{}", done.stderr);
    assert!(done.outcome.is_none());

    let right = ["--password", "another one"];
    let done = run("right-password", &host, CLOSED, &CUSTOMERS, &right);
    assert_eq!(done.exit, 0, "{}{}", done.stdout, done.stderr);
}

#[test]
fn a_service_too_busy_to_log_anybody_in_is_asked_again() {
    let service = Locked::start(Doors { busy_for: 3, ..Doors::default() });
    let done = run("busy-login", &service.host(), CLOSED, &CUSTOMERS, &[]);
    assert_eq!(done.exit, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(service.seen().logins, 5);
}

#[test]
fn a_token_that_is_taken_no_more_is_replaced_without_an_error() {
    for (test, load) in [("forgot-closed", CLOSED), ("forgot-open", OPEN)] {
        let service = Locked::start(Doors { forgets_after: Some(25), ..Doors::default() });
        let done = run(test, &service.host(), load, &CUSTOMERS, &[]);
        let seen = service.seen();
        assert!(seen.logins > 5 && seen.refused > 1, "{seen:?}");
        let outcome = done.outcome.unwrap();
        assert_eq!(outcome.whole().counts.errors(), 0, "{}", done.stdout);
        let access = outcome.target.access.unwrap();
        assert_eq!((access.accounts, access.logins), (5, seen.logins));
        let refused = |endpoint: &Endpoint| endpoint.statuses.contains_key(&401);
        assert!(!outcome.endpoints.iter().any(refused), "one request, however often it was sent");
    }
}

#[test]
fn who_has_an_account_of_its_own_logs_in_again_when_its_token_is_refused() {
    let service = Locked::start(Doors { forgets_after: Some(40), ..Doors::default() });
    let done = run("forgot-own", &service.host(), OPEN, &["GenerationUser"], &[]);
    let outcome = done.outcome.unwrap_or_else(|| panic!("{}", done.stderr));
    let seen = service.seen();
    let counts = outcome.whole().counts;
    // Ten users each logged in before the load.
    assert!(seen.logins > 10, "{seen:?}");
    assert_eq!(counts.errors(), counts.client_errors);
    assert!(counts.errors() < counts.sent / 2, "{counts:?}");
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    // Half of no time is over at once, so every request finds its token old, and still good.
    let service = Locked::start(Doors { expires_in: 0, ..Doors::default() });
    let done = run("renewed", &service.host(), CLOSED, &CUSTOMERS, &[]);
    assert_eq!(done.exit, 0, "{}{}", done.stdout, done.stderr);
    let seen = service.seen();
    assert!(seen.logins > 5, "{seen:?}");
    assert_eq!(seen.refused, 1);
}

#[test]
fn the_users_of_the_auth_profile_register_before_they_log_in() {
    let stub = Stub::start(0, Behaviour::default()).unwrap();
    let more = ["--sla", "auth"];
    let done = run("auth", &stub.host(), CLOSED, &["AuthUser"], &more);
    assert_ne!(done.exit, 1, "{}{}", done.stdout, done.stderr);
    let outcome = done.outcome.unwrap();
    assert_eq!(outcome.whole().counts.errors(), 0, "{:?}", outcome.failures);
    let sent = |name: &str| {
        let endpoint = outcome.endpoints.iter().find(|endpoint| endpoint.name == name);
        endpoint.unwrap().whole().counts.sent
    };
    assert!(sent("POST /api/v1/auth/register") >= 40, "everybody's first step");
    assert!(sent("POST /api/v1/auth/login") > 0);
}
