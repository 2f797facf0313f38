//! Secret settings and the stricter rules for production.

use std::collections::BTreeSet;
use std::fmt;

use clap::Args;
use serde::Deserialize;

use super::{AccessMode, Config, Environment};

/// Default of `JWT_SECRET`, `PLANT_PAYMENT_WEBHOOK_SECRET` and `PLANT_SECRET_KEY`, for development only.
const DEVELOPMENT_SECRET: &str = "known-to-everybody-so-for-development-only";
/// HS256 requires a key of at least 256 bits (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;
/// Different characters of a secret in production; 32 random hex digits have fewer once in millions.
const MIN_SECRET_CHARACTERS: usize = 8;

/// Secret settings, not yet validated.
#[derive(Clone, Args)]
pub struct SecretOptions {
    /// Key for signing tokens and for HMACs of bodies with a password; at least 32 bytes in production.
    #[arg(long, env = "JWT_SECRET", default_value = DEVELOPMENT_SECRET, hide_env_values = true)]
    pub jwt_secret: String,

    /// Secret that signs the events of the payment provider; at least 32 bytes.
    #[arg(
        long,
        env = "PLANT_PAYMENT_WEBHOOK_SECRET",
        default_value = DEVELOPMENT_SECRET,
        hide_env_values = true
    )]
    pub payment_webhook_secret: String,

    /// Key that seals the secrets of tenants in the database; at least 32 bytes.
    #[arg(
        long,
        env = "PLANT_SECRET_KEY",
        default_value = DEVELOPMENT_SECRET,
        hide_env_values = true
    )]
    pub secret_key: String,

    /// Former values of `PLANT_SECRET_KEY`, comma-separated; what they sealed can still be opened.
    #[arg(long, env = "PLANT_SECRET_KEYS_OLD", default_value = "", hide_env_values = true)]
    pub secret_keys_old: String,

    /// Admin key, a bearer token for all but account data; at least 32 bytes; empty: disabled.
    #[arg(long, env = "PLANT_ADMIN_KEY", default_value = "", hide_env_values = true)]
    pub admin_key: String,
}

impl fmt::Debug for SecretOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Splits a comma-separated list of secrets.
pub fn split(list: &str) -> Vec<Secret<String>> {
    let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| Secret(part.to_owned())).collect()
}

/// Returns the minimum length in bytes of a secret. Load tests may sign their tokens themselves, with a
/// secret of any length, so in development that of tokens only must not be empty.
fn min_bytes(name: &str, environment: Environment) -> usize {
    match (name, environment) {
        ("JWT_SECRET", Environment::Development) => 1,
        _ => MIN_SECRET_BYTES,
    }
}

/// Validates the length of the secrets, and for production that access is not open and that the
/// secrets are neither the default nor easy to guess nor the same.
pub fn check(config: &Config, problems: &mut Vec<String>) {
    let all = [
        ("JWT_SECRET", Some(&config.jwt_secret)),
        ("PLANT_PAYMENT_WEBHOOK_SECRET", Some(&config.webhook_secret)),
        ("PLANT_SECRET_KEY", Some(&config.secret_key)),
        ("PLANT_ADMIN_KEY", config.admin_key.as_ref()),
    ];
    let secrets: Vec<(&str, &Secret<String>)> =
        all.into_iter().filter_map(|(name, secret)| Some((name, secret?))).collect();
    let old_keys = config.old_secret_keys.iter().map(|key| ("PLANT_SECRET_KEYS_OLD", key));
    for (name, secret) in secrets.iter().copied().chain(old_keys) {
        let (length, min) = (secret.0.len(), min_bytes(name, config.environment));
        if length < min {
            let unit = if min == 1 { "byte is" } else { "bytes are" };
            problems.push(format!("{name}: {length} bytes; at least {min} {unit} required"));
        }
    }
    if config.environment == Environment::Development {
        return;
    }
    if config.access_mode == AccessMode::Open {
        problems
            .push("PLANT_ACCESS: production rejects `open` access; set it to `required`".into());
    }
    for (index, (name, secret)) in secrets.iter().enumerate() {
        let same = secrets[..index].iter().find(|(_, other)| other == secret);
        if secret.is_default() {
            problems.push(format!(
                "{name}: production rejects the default, which is public; set one of your own"
            ));
        } else if let Some((other, _)) = same {
            problems.push(format!("{name}: must not be the same as {other}"));
        } else if secret.0.len() >= MIN_SECRET_BYTES && secret.has_few_characters() {
            problems.push(format!(
                "{name}: fewer than {MIN_SECRET_CHARACTERS} different characters; set a random one"
            ));
        }
    }
}

/// A value that `Debug` prints as `***`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(pub T);

impl Secret<String> {
    /// Returns whether it consists of so few different characters that it is not random.
    fn has_few_characters(&self) -> bool {
        self.0.chars().collect::<BTreeSet<_>>().len() < MIN_SECRET_CHARACTERS
    }

    /// Returns whether it has fewer than the 32 bytes that production requires.
    pub fn is_short(&self) -> bool {
        self.0.len() < MIN_SECRET_BYTES
    }

    /// Returns whether this is the default of the secrets, which is public.
    pub fn is_default(&self) -> bool {
        self.0 == DEVELOPMENT_SECRET
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
