//! Performance agent plan, `test_sustained_load`: ten requests one after the other, then a pause of
//! 100 ms.

use std::time::Duration;

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionResult},
    transaction,
};

use super::{CHECKS, HEALTH, WAIT, get_health, start};
use crate::scenario::{Session, ThinkTime, UserClass};

/// Number of requests in a batch.
const BATCH_SIZE: usize = 10;

/// Pause after a batch, instead of the think time of the class.
const PAUSE: Duration = Duration::from_millis(100);

/// User class `AgentBatchUser`.
pub static CLASS: UserClass = UserClass {
    description: "requests the agent's health ten times in a row, then waits 0.1 s",
    wait: WAIT,
    checks: &CHECKS,
    start_user: Some(start),
    ..UserClass::new("AgentBatchUser", &[&HEALTH], &scenario)
};

fn scenario() -> Result<Scenario, GooseError> {
    Ok(Scenario::new(CLASS.name)
        .set_wait_time(WAIT.0, WAIT.1)?
        .register_transaction(transaction!(batch).set_name(HEALTH.name)))
}

async fn batch(user: &mut GooseUser) -> TransactionResult {
    for _ in 0..BATCH_SIZE {
        get_health(user).await?;
    }
    Session::get(user)?.extensions.insert(ThinkTime(PAUSE));
    Ok(())
}
