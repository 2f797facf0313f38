//! Several processes of one database, and one without its database.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::super::{Share, Tunables};
use super::{begin, finish, roll_back, rollout, set_share};
use crate::testing::proxy::Mode;
use crate::testing::{TestApp, wait_until};

const NAME: &str = "page_size_cap";

/// Runs the heartbeat of a process, which receives notifications, and its refresh, which does not poll.
fn follow(app: &TestApp) -> CancellationToken {
    let shutdown = CancellationToken::new();
    let (db, tunables) = (app.state.db.clone(), app.state.tunables.clone());
    tokio::spawn(db.clone().run_heartbeat(CancellationToken::new()));
    let never = Duration::from_secs(3600);
    tokio::spawn(tunables.run_refresh_every(never, db, shutdown.clone()));
    shutdown
}

/// Returns the page size of the first and of the last cohort.
fn page_sizes(tunables: &Tunables) -> (i64, i64) {
    let in_force = tunables.in_force();
    let values = in_force.borrow();
    (values.for_cohort(0).page_size, values.for_cohort(99).page_size)
}

async fn is_in_force_everywhere(app: &TestApp, version: i64) -> bool {
    let mut connection = app.state.db.acquire().await.unwrap();
    app.state.tunables.is_in_force_everywhere(&mut connection, version).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn all_processes_apply_each_stage(pool: PgPool) {
    let (one, other) = (TestApp::new(pool.clone()).await, TestApp::new(pool).await);
    follow(&one);
    let stop_other = follow(&other);
    let both = [&one, &other];
    let apply = async |version: i64, expected: (i64, i64)| {
        wait_until(async || is_in_force_everywhere(&one, version).await).await;
        for app in both {
            assert_eq!(page_sizes(&app.state.tunables), expected);
            let gauge = format!("tunables_version {version}\n");
            assert!(app.get("/metrics").await.text.contains(&gauge));
        }
    };
    let reported = async || {
        let count = sqlx::query_scalar::<_, i64>("select count(*) from tunable_process");
        count.fetch_one(&one.owner).await.unwrap()
    };
    wait_until(async || reported().await == 2).await;
    begin(&one, NAME, rollout(1, 50, Share::Tenth)).await.unwrap();
    apply(1, (50, 500)).await;
    set_share(&other, NAME, 1, Share::All).await.unwrap();
    apply(2, (50, 50)).await;
    roll_back(&one, NAME, 1).await.unwrap();
    apply(3, (500, 500)).await;
    begin(&other, NAME, rollout(2, 60, Share::Half)).await.unwrap();
    finish(&other, NAME, 2).await.unwrap();
    apply(5, (60, 60)).await;
    stop_other.cancel();
    wait_until(async || reported().await == 1).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_process_that_has_not_applied_a_version_is_waited_for_until_its_report_expires(
    pool: PgPool,
) {
    let (one, other) = (TestApp::new(pool.clone()).await, TestApp::new(pool).await);
    for app in [&one, &other] {
        super::refresh(app).await;
    }
    begin(&one, NAME, rollout(1, 50, Share::Tenth)).await.unwrap();
    super::refresh(&one).await;
    let third = TestApp::new(one.owner.clone()).await;
    assert!(!is_in_force_everywhere(&third, 0).await, "it has not reported itself");
    assert!(is_in_force_everywhere(&one, 0).await);
    assert!(!is_in_force_everywhere(&one, 1).await);
    sqlx::query(
        "update tunable_process set reported_at = now() - interval '16 s' where version = 0",
    )
    .execute(&one.owner)
    .await
    .unwrap();
    assert!(is_in_force_everywhere(&one, 1).await);
    // A process whose own report has expired knows nothing of the others.
    let expire = "update tunable_process set reported_at = now() - interval '16 s'";
    sqlx::query(expire).execute(&one.owner).await.unwrap();
    assert!(!is_in_force_everywhere(&one, 1).await);
    super::refresh(&one).await;
    let reports: i64 = sqlx::query_scalar("select count(*) from tunable_process")
        .fetch_one(&one.owner)
        .await
        .unwrap();
    assert_eq!(reports, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_process_applies_the_stored_values(pool: PgPool) {
    let one = TestApp::new(pool.clone()).await;
    begin(&one, NAME, rollout(1, 50, Share::Half)).await.unwrap();
    let new = TestApp::new(pool).await;
    assert_eq!(page_sizes(&new.state.tunables), (500, 500));
    super::refresh(&new).await;
    assert_eq!(page_sizes(&new.state.tunables), (50, 500));
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_database_the_last_values_stay_in_force(pool: PgPool) {
    let healthy = TestApp::new(pool.clone()).await;
    let (app, proxy) = TestApp::with_proxy(pool).await;
    follow(&app);
    let tunables = &app.state.tunables;
    begin(&healthy, NAME, rollout(1, 50, Share::Half)).await.unwrap();
    wait_until(async || page_sizes(tunables) == (50, 500)).await;
    for (mode, share, expected) in
        [(Mode::Cut, Share::All, (50, 50)), (Mode::Stall, Share::Zero, (500, 500))]
    {
        let before = page_sizes(tunables);
        proxy.set(mode);
        wait_until(async || !app.state.db.is_up()).await;
        set_share(&healthy, NAME, 1, share).await.unwrap();
        assert!(tunables.refresh(&app.state.db).await.is_err());
        assert_eq!(page_sizes(tunables), before);
        proxy.set(Mode::Forward);
        wait_until(async || page_sizes(tunables) == expected).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_whose_notification_was_lost_is_applied_at_the_next_poll(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (db, tunables) = (app.state.db.clone(), app.state.tunables.clone());
    // Without a heartbeat there are no notifications.
    let (interval, shutdown) = (Duration::from_millis(10), CancellationToken::new());
    tokio::spawn(tunables.clone().run_refresh_every(interval, db, shutdown));
    begin(&app, NAME, rollout(1, 50, Share::All)).await.unwrap();
    wait_until(async || page_sizes(&tunables) == (50, 50)).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_is_applied_while_the_pool_is_exhausted(pool: PgPool) {
    let app = TestApp::new(pool).await;
    begin(&app, NAME, rollout(1, 50, Share::All)).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(app.state.db.acquire().await.unwrap());
    }
    super::refresh(&app).await;
    assert_eq!(page_sizes(&app.state.tunables), (50, 50));
}
