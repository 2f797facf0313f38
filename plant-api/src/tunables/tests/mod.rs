//! Tests of tunables.

mod changes;
mod effects;
mod processes;
mod values;

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Change, Defaults, Rollout, Share, TunableState, Tunables};
use crate::error::Result;
use crate::metrics::Metrics;
use crate::testing::TestApp;

/// Defaults with two topics and two kinds of jobs.
fn defaults() -> Defaults {
    Defaults {
        cache_ttl: Duration::from_secs(60),
        topics: vec!["agents", "skills"],
        page_size: 500,
        statement_timeout: Duration::from_secs(10),
        workers: vec![("generation", 256), ("payment", 3)],
    }
}

fn tunables(defaults: &Defaults) -> Tunables {
    Tunables::new(defaults, Metrics::new().unwrap().tunables_version)
}

fn rollout(id: u128, value: i64, share: Share) -> Rollout {
    Rollout { id: Uuid::from_u128(id), value, share }
}

/// Makes a change of a tunable in a transaction of its own.
async fn change(
    app: &TestApp,
    name: &str,
    make: impl AsyncFnOnce(&Tunables, &mut sqlx::PgConnection, Change<'_>) -> Result<TunableState>,
) -> Result<TunableState> {
    let mut tx = app.state.db.begin().await?;
    let change = Change { name, actor: "workflow", at: app.state.clock.now() };
    let state = make(&app.state.tunables, &mut tx, change).await?;
    tx.commit().await?;
    Ok(state)
}

async fn begin(app: &TestApp, name: &str, rollout: Rollout) -> Result<TunableState> {
    change(app, name, async |tunables, tx, change| {
        tunables.begin_rollout(tx, change, rollout).await
    })
    .await
}

async fn set_share(app: &TestApp, name: &str, id: u128, share: Share) -> Result<TunableState> {
    let id = Uuid::from_u128(id);
    change(app, name, async |tunables, tx, change| tunables.set_share(tx, change, id, share).await)
        .await
}

async fn finish(app: &TestApp, name: &str, id: u128) -> Result<TunableState> {
    let id = Uuid::from_u128(id);
    change(app, name, async |tunables, tx, change| tunables.finish(tx, change, id).await).await
}

async fn roll_back(app: &TestApp, name: &str, id: u128) -> Result<TunableState> {
    let id = Uuid::from_u128(id);
    change(app, name, async |tunables, tx, change| tunables.roll_back(tx, change, id).await).await
}

/// Sets a tunable by its route and applies it in this process.
async fn set(app: &TestApp, name: &str, value: impl Into<Value>) {
    let path = format!("/api/v1/admin/tunables/{name}");
    app.put(&path, json!({"value": value.into()})).await.expect(200);
    refresh(app).await;
}

/// Applies the stored values in this process.
async fn refresh(app: &TestApp) {
    app.state.tunables.refresh(&app.state.db).await.unwrap();
}
