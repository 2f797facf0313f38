//! Secret settings and the stricter rules for production.

use std::fmt;

use clap::Args;

use super::{AccessMode, Config, Environment};

/// Default of `JWT_SECRET` and `PLANT_PAYMENT_WEBHOOK_SECRET`, for development only.
const DEVELOPMENT_SECRET: &str = "known-to-everybody-so-for-development-only";
/// HS256 requires a key of at least 256 bits (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Secret settings, not yet validated.
#[derive(Clone, Args)]
pub struct SecretOptions {
    /// Key for signing tokens and for HMACs of bodies with a password; at least 32 bytes.
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

    /// Admin key, a bearer token for all but account data; at least 32 bytes; empty: disabled.
    #[arg(long, env = "PLANT_ADMIN_KEY", default_value = "", hide_env_values = true)]
    pub admin_key: String,
}

impl fmt::Debug for SecretOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Validates the length of the secrets, and for production that access is not open and that the
/// secrets are neither the default nor the same.
pub fn check(config: &Config, problems: &mut Vec<String>) {
    let too_short = |name: &str, secret: &Secret<String>| {
        let length = secret.0.len();
        (length < MIN_SECRET_BYTES).then(|| {
            format!("{name}: {length} bytes; at least {MIN_SECRET_BYTES} bytes are required")
        })
    };
    problems.extend(too_short("JWT_SECRET", &config.jwt_secret));
    problems.extend(too_short("PLANT_PAYMENT_WEBHOOK_SECRET", &config.webhook_secret));
    problems.extend(config.admin_key.as_ref().and_then(|key| too_short("PLANT_ADMIN_KEY", key)));
    if config.environment == Environment::Development {
        return;
    }
    if config.access_mode == AccessMode::Open {
        problems
            .push("PLANT_ACCESS: production rejects `open` access; set it to `required`".into());
    }
    if config.jwt_secret.is_default() {
        problems.push(
            "JWT_SECRET: production rejects the default, which is public; set one of your own"
                .into(),
        );
    }
    if config.webhook_secret.is_default() {
        problems.push(
            "PLANT_PAYMENT_WEBHOOK_SECRET: production rejects the default, which is public; set one \
             of your own"
                .into(),
        );
    } else if config.webhook_secret == config.jwt_secret {
        problems.push("PLANT_PAYMENT_WEBHOOK_SECRET: must not be the same as JWT_SECRET".into());
    }
    if config.admin_key.as_ref() == Some(&config.jwt_secret) {
        problems.push("PLANT_ADMIN_KEY: must not be the same as JWT_SECRET".into());
    }
}

/// A value that `Debug` prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(pub T);

impl Secret<String> {
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
