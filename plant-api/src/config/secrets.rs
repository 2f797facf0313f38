//! Secrets, and what production asks of them.

use std::fmt;

use clap::Args;

use super::{Access, Config, Environment};

/// What tokens are signed with where nothing is at stake.
const DEVELOPMENT_SECRET: &str = "known-to-everybody-so-for-development-only";
/// Fewer bytes than HS256 asks of a key can be guessed.
const SECRET_MIN: usize = 32;

/// What tokens are signed with and who administers.
#[derive(Clone, Args)]
pub struct SecretOptions {
    /// What tokens are signed with; whoever knows it is whoever he likes. At least 32 bytes.
    #[arg(long, env = "JWT_SECRET", default_value = DEVELOPMENT_SECRET, hide_env_values = true)]
    pub jwt_secret: String,

    /// A bearer token that may do everything, at least 32 bytes; empty: there is none.
    #[arg(long, env = "PLANT_ADMIN_KEY", default_value = "", hide_env_values = true)]
    pub admin_key: String,
}

impl fmt::Debug for SecretOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Secrets must be long enough anywhere; production wants its own, and nothing open.
pub fn check(config: &Config, found: &mut Vec<String>) {
    let short = |name: &str, secret: &Secret<String>| {
        let length = secret.0.len();
        (length < SECRET_MIN)
            .then(|| format!("{name}: {length} bytes are too few; it takes {SECRET_MIN} at least"))
    };
    found.extend(short("JWT_SECRET", &config.jwt_secret));
    found.extend(config.admin_key.as_ref().and_then(|key| short("PLANT_ADMIN_KEY", key)));
    if config.environment == Environment::Development {
        return;
    }
    if config.access == Access::Open {
        found.push("PLANT_ACCESS: production refuses `open` access".into());
    }
    if config.jwt_secret.is_the_default() {
        found.push("JWT_SECRET: production refuses the default, which everybody knows".into());
    }
    if config.admin_key.as_ref() == Some(&config.jwt_secret) {
        found.push("PLANT_ADMIN_KEY: must not be the same as JWT_SECRET".into());
    }
}

/// A value that never shows itself in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(pub T);

impl Secret<String> {
    /// Whether it is the one that everybody knows.
    pub fn is_the_default(&self) -> bool {
        self.0 == DEVELOPMENT_SECRET
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
