//! The test customers and their accounts.

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    access::{Account, LoginError},
    login::Login,
    scenario::{Check, CheckContext, CheckFuture},
};

/// Test customers that the program `seed_test_data` always creates. Virtual users send requests as
/// these.
pub(super) const TEST_CUSTOMERS: [&str; 5] = [
    "test-customer-001",
    "test-customer-002",
    "test-customer-003",
    "test-customer-004",
    "test-customer-005",
];

/// Password of all accounts that the program `seed_test_data` creates (`--users`). Not a secret.
pub(super) const TEST_PASSWORD: &str = "load-test-password";

/// Logs in to the accounts of the test customers if the service requires authentication.
pub(super) static LOG_IN: Check = Check { name: "accounts of the test customers", run: log_in };

/// Path of the login.
pub(super) const LOGIN_PATH: &str = "/api/v1/auth/login";

/// Returns the login of an account.
pub(super) fn login(email: &str, password: &str) -> Login {
    Login {
        account: email.to_owned(),
        path: LOGIN_PATH,
        body: json!({ "email": email, "password": password }).to_string(),
        token: "/access_token",
        lifetime: "/expires_in",
    }
}

fn log_in(context: &mut CheckContext) -> CheckFuture<'_> {
    Box::pin(async move {
        if !requires_authentication(context).await {
            return Ok(());
        }
        let password = context.password.as_deref().unwrap_or(TEST_PASSWORD);
        for number in 1..=TEST_CUSTOMERS.len() {
            let login = login(&format!("loadtest_{number}@test.local"), password);
            let account = Account::log_in(context.http.clone(), &context.host, login).await;
            context.accounts.push(account.map_err(|error| describe(&error))?);
        }
        Ok(())
    })
}

fn describe(error: &LoginError) -> String {
    let hint = match error {
        LoginError::InvalidCredentials { .. } => {
            ". Run seed_test_data --users=5, or set the password of the accounts with --password"
        }
        LoginError::Failed { .. } => "",
    };
    format!("it requires authentication, but the {error}{hint}")
}

/// Returns whether the service requires authentication for the data of a customer: whether a request
/// without a token gets a 401. Returns false if it fails otherwise.
async fn requires_authentication(context: &CheckContext) -> bool {
    let url = format!("{}/api/v1/customers/{}/agents", context.host, TEST_CUSTOMERS[0]);
    // Other failures are reported by the health check and the checks of the test data.
    let response = context.http.get(url).send().await;
    response.is_ok_and(|response| response.status() == StatusCode::UNAUTHORIZED)
}
