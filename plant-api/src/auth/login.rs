//! Logging in, and what keeps passwords from being guessed.
//!
//! An address that has no account takes the same statements and the same hashing as one that has,
//! and the answer is the same. Five failures in a minute close an address until the minute is
//! over, to the right password as well. They are counted in the database, which all replicas
//! share; and they are looked at again when the password has been verified, so that a hundred
//! guesses at once are told no more than five one after the other.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::session::{self, Login};
use super::{Credentials, PASSWORD_MAX, normal, sql};
use crate::check::{Checks, NAME_MAX};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::state::Gate;

/// Failures within [`WINDOW`] that close an address.
pub const FAILURES_MAX: i32 = 5;
/// How long failures count, from the first of them.
pub const WINDOW: TimeDelta = TimeDelta::minutes(1);

/// Failed logins of one address since the first that counts.
#[derive(Debug, Clone, Copy)]
pub struct Failures {
    pub count: i32,
    pub since: DateTime<Utc>,
}

impl Failures {
    /// [`Error::RateLimited`] when there were more than `most` in the minute before `now`.
    fn refuse_beyond(self, most: i32, now: DateTime<Utc>) -> Result<()> {
        let left = (self.since + WINDOW - now).to_std().unwrap_or_default();
        if self.count > most && !left.is_zero() { Err(closed(left)) } else { Ok(()) }
    }
}

fn closed(retry_after: Duration) -> Error {
    Error::RateLimited { what: "too many failed logins with this address", retry_after }
}

/// Begins a session.
///
/// # Errors
/// [`Error::Unauthenticated`] for an unknown address and a wrong password alike,
/// [`Error::Forbidden`] when the account may not log in, [`Error::RateLimited`] after too many
/// failures, [`Error::Unavailable`] when there is more to hash than can be hashed in time.
pub async fn login(db: &Db, clock: &Clock, gate: &Gate, sent: Credentials) -> Result<Login> {
    let email = normal(&sent.email);
    let mut checks = Checks::default();
    checks.at_most("email", &email, NAME_MAX);
    checks.at_most("password", &sent.password, PASSWORD_MAX);
    checks.done()?;
    let place = gate.passwords.place()?;

    let (account, failures) = {
        let mut connection = db.acquire().await?;
        sql::find_login(&mut *connection, &email).await?
    };
    if let Some(failures) = failures {
        failures.refuse_beyond(FAILURES_MAX - 1, clock.now())?;
    }
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    // No connection is held meanwhile.
    let right = place.verify(sent.password, hash).await?;

    let now = clock.now();
    let mut connection = db.acquire().await?;
    let account = match account {
        Some(account) if right => account,
        _ => {
            let failures = sql::count_failure(&mut *connection, &email, now, now - WINDOW).await?;
            failures.refuse_beyond(FAILURES_MAX, now)?;
            return Err(Error::Unauthenticated("the address or the password is wrong"));
        }
    };
    account.refuse_unless_welcome(gate.verification)?;
    let began = session::begin(&mut connection, clock, gate, account, failures.is_some()).await?;
    began.ok_or_else(|| closed(WINDOW.to_std().unwrap_or_default()))
}
