//! Tests with a service that requires authentication: users log in, and the logins are not part of
//! the load.

mod auth_stub;
mod harness;

use std::fs;

use auth_stub::{AuthOptions, AuthStub};
use harness::{ProgramOutput, first_line, loadtest, new_test_folder};
use plant_loadtest::{
    outcome::{EndpointResults, LoginSummary},
    plant::stub_responses::start_stub,
    stub::Behavior,
};

const CUSTOMER_CLASSES: [&str; 3] = ["PlantBackendUser", "PlantUser", "GenesisUser"];
const CLOSED: &str = "users = 40\nspawn_rate = 40\n";
const OPEN: &str = "model = \"open\"\nusers = 10\nrate = 40\n";

/// Runs a load of `classes` against `host` for two seconds.
fn run(test: &str, host: &str, load: &str, classes: &[&str], more: &[&str]) -> ProgramOutput {
    let folder = new_test_folder(test);
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
fn users_of_both_engines_share_one_login_per_customer() {
    for (test, load) in [("auth-closed", CLOSED), ("auth-open", OPEN)] {
        let service = AuthStub::start(AuthOptions::default());
        let output = run(test, &service.host(), load, &CUSTOMER_CLASSES, &[]);
        assert!(first_line(&output).starts_with("PASS"), "{}{}", output.stdout, output.stderr);
        let stats = service.stats();
        // The rejected request is the check whether authentication is required.
        assert_eq!((stats.logins, stats.rejected, stats.cross_customer), (5, 1, 0), "{test}");
        let outcome = output.outcome.unwrap();
        assert_eq!(outcome.target.access, Some(LoginSummary { accounts: 5, logins: 5 }));
        assert_eq!(outcome.tally_all().counts.errors(), 0);
        assert!(outcome.tally_all().counts.sent > 20);
        assert!(outcome.endpoints.iter().all(|endpoint| !endpoint.name.contains("/auth/")));
        assert!(output.stdout.contains("5 accounts were logged in before"), "{}", output.stdout);
    }
}

#[test]
fn no_login_if_the_service_requires_no_authentication() {
    let service = AuthStub::start(AuthOptions { auth_required: false, ..AuthOptions::default() });
    let output = run("no-auth", &service.host(), CLOSED, &CUSTOMER_CLASSES, &[]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    assert_eq!(service.stats().logins, 0);
    assert_eq!(output.outcome.unwrap().target.access, None);
}

#[test]
fn users_of_public_endpoints_do_not_log_in() {
    let service = AuthStub::start(AuthOptions::default());
    let classes = ["HealthCheckUser", "AgentListUser"];
    let output = run("public", &service.host(), CLOSED, &classes, &[]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    assert_eq!((service.stats().logins, service.stats().rejected), (0, 0));
}

#[test]
fn a_wrong_password_is_reported_before_the_load() {
    let service =
        AuthStub::start(AuthOptions { password: "another one", ..AuthOptions::default() });
    let host = service.host();
    let output = run("wrong-password", &host, CLOSED, &CUSTOMER_CLASSES, &[]);
    assert_eq!(output.exit_code, 3, "{}", output.stdout);
    let expected = format!(
        "{host} is not ready: it requires authentication, but the login as loadtest_1@test.local \
         failed: unknown account"
    );
    assert!(output.stderr.contains(&expected), "{}", output.stderr);
    assert!(output.stderr.contains("seed_test_data --users=5"), "{}", output.stderr);
    assert!(output.outcome.is_none());

    let right = ["--password", "another one"];
    let output = run("right-password", &host, CLOSED, &CUSTOMER_CLASSES, &right);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
}

#[test]
fn a_login_is_retried_while_the_service_is_unavailable() {
    let service = AuthStub::start(AuthOptions { unavailable_logins: 3, ..AuthOptions::default() });
    let output = run("unavailable-login", &service.host(), CLOSED, &CUSTOMER_CLASSES, &[]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    assert_eq!(service.stats().logins, 5);
}

#[test]
fn a_revoked_token_is_replaced_without_an_error() {
    for (test, load) in [("revoked-closed", CLOSED), ("revoked-open", OPEN)] {
        let service =
            AuthStub::start(AuthOptions { revoke_every: Some(25), ..AuthOptions::default() });
        let output = run(test, &service.host(), load, &CUSTOMER_CLASSES, &[]);
        let stats = service.stats();
        assert!(stats.logins > 5 && stats.rejected > 1, "{stats:?}");
        let outcome = output.outcome.unwrap();
        assert_eq!(outcome.tally_all().counts.errors(), 0, "{}", output.stdout);
        let access = outcome.target.access.unwrap();
        assert_eq!((access.accounts, access.logins), (5, stats.logins));
        let has_401 = |endpoint: &EndpointResults| endpoint.statuses.contains_key(&401);
        assert!(!outcome.endpoints.iter().any(has_401), "the retry is not a request of its own");
    }
}

#[test]
fn a_user_with_its_own_account_logs_in_again_when_its_token_is_rejected() {
    let service = AuthStub::start(AuthOptions { revoke_every: Some(40), ..AuthOptions::default() });
    let output = run("revoked-own", &service.host(), OPEN, &["GenerationUser"], &[]);
    let outcome = output.outcome.unwrap_or_else(|| panic!("{}", output.stderr));
    let stats = service.stats();
    let counts = outcome.tally_all().counts;
    // Each of the ten users has logged in before the load.
    assert!(stats.logins > 10, "{stats:?}");
    assert_eq!(counts.errors(), counts.client_errors);
    assert!(counts.errors() < counts.sent / 2, "{counts:?}");
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    // With a lifetime of 0 s the token is due for renewal at every request, while it is still
    // valid.
    let service = AuthStub::start(AuthOptions { expires_in_s: 0, ..AuthOptions::default() });
    let output = run("renewed", &service.host(), CLOSED, &CUSTOMER_CLASSES, &[]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    let stats = service.stats();
    assert!(stats.logins > 5, "{stats:?}");
    assert_eq!(stats.rejected, 1);
}

#[test]
fn users_of_the_auth_profile_register_before_they_log_in() {
    let stub = start_stub(0, Behavior::default()).unwrap();
    let more = ["--sla", "auth"];
    let output = run("auth", &stub.host(), CLOSED, &["AuthUser"], &more);
    assert_ne!(output.exit_code, 1, "{}{}", output.stdout, output.stderr);
    let outcome = output.outcome.unwrap();
    assert_eq!(outcome.tally_all().counts.errors(), 0, "{:?}", outcome.failures);
    let sent = |name: &str| {
        let endpoint = outcome.endpoints.iter().find(|endpoint| endpoint.name == name);
        endpoint.unwrap().tally_all().counts.sent
    };
    assert!(sent("POST /api/v1/auth/register") >= 40, "the first step of every user");
    assert!(sent("POST /api/v1/auth/login") > 0);
}
