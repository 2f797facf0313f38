//! Requests that a first run against a service that matters must not send.

use super::names::variable_name;

/// Why such a request is a comment.
pub const REASON: &str = "it deletes data or ends a session; remove the # to send it";

/// Words in the last segment of a path or in an operation's id that announce a loss of data.
const DELETING: [&str; 10] = [
    "delete", "purge", "reset", "truncate", "shutdown", "destroy", "drop", "wipe", "clear",
    "revoke",
];

/// Words that announce the end of the session that all other requests need, also of a GET.
const ENDING: [&str; 6] = ["logout", "logoff", "signout", "signoff", "log_out", "sign_out"];

/// Whether a request deletes data or ends a session, as far as its method, path and operation id
/// show.
pub fn is_destructive(method: &str, path: &str, id: &str) -> bool {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let words = format!("_{}_{}_", variable_name(last), variable_name(id));
    let has = |word: &&str| words.contains(&format!("_{word}_"));
    method == "DELETE" || ENDING.iter().any(has) || (method != "GET" && DELETING.iter().any(has))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deletes_or_ends_a_session_is_destructive() {
        for (method, path, expected) in [
            ("DELETE", "/items/1", true),
            ("POST", "/cache/purge-all", true),
            ("GET", "/logout", true),
            ("POST", "/auth/sign-out/", true),
            ("GET", "/reset", false),
            ("POST", "/presets", false),
            ("POST", "/items", false),
        ] {
            assert_eq!(is_destructive(method, path, ""), expected, "{method} {path}");
        }
        assert!(is_destructive("POST", "/items/{id}", "clearItem"));
    }
}
