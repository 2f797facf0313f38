//! Changes of stored values.

use sqlx::PgPool;

use super::super::{Change, Share};
use super::{begin, change, finish, roll_back, rollout, set_share};
use crate::error::Error;
use crate::testing::TestApp;

const NAME: &str = "page_size_cap";

fn is_conflict<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Conflict(_)))
}

#[sqlx::test(migrations = "../migrations")]
async fn a_finished_rollout_makes_its_value_the_current_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let begun = begin(&app, NAME, rollout(1, 50, Share::Tenth)).await.unwrap();
    assert_eq!((begun.value, begun.is_set, begun.version), (500, false, 1));
    assert_eq!(begun.rollout, Some(rollout(1, 50, Share::Tenth)));
    assert_eq!(begun.updated_by.as_deref(), Some("workflow"));
    let half = set_share(&app, NAME, 1, Share::Half).await.unwrap();
    assert_eq!((half.value, half.version), (500, 2));
    assert_eq!(half.rollout, Some(rollout(1, 50, Share::Half)));
    let finished = finish(&app, NAME, 1).await.unwrap();
    assert_eq!((finished.value, finished.is_set, finished.rollout), (50, true, None));
    assert_eq!(finished.version, 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rolled_back_rollout_restores_the_old_value(pool: PgPool) {
    let app = TestApp::new(pool).await;
    begin(&app, NAME, rollout(1, 50, Share::Tenth)).await.unwrap();
    let back = roll_back(&app, NAME, 1).await.unwrap();
    assert_eq!((back.value, back.is_set, back.rollout), (500, false, None));
    // Also if the old value was set.
    let set = async |value| {
        change(&app, NAME, async |tunables, tx, change| tunables.set(tx, change, value).await)
            .await
            .unwrap()
    };
    set(Some(300)).await;
    begin(&app, NAME, rollout(2, 50, Share::All)).await.unwrap();
    let back = roll_back(&app, NAME, 2).await.unwrap();
    assert_eq!((back.value, back.is_set, back.rollout), (300, true, None));
    let configured = set(None).await;
    assert_eq!((configured.value, configured.is_set), (500, false));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_repeated_change_has_no_effect(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let first = begin(&app, NAME, rollout(1, 50, Share::Tenth)).await.unwrap();
    assert_eq!(begin(&app, NAME, rollout(1, 50, Share::Tenth)).await.unwrap(), first);
    let half = set_share(&app, NAME, 1, Share::Half).await.unwrap();
    assert_eq!(set_share(&app, NAME, 1, Share::Half).await.unwrap(), half);
    assert_eq!(begin(&app, NAME, rollout(1, 50, Share::Tenth)).await.unwrap(), half);
    let finished = finish(&app, NAME, 1).await.unwrap();
    assert_eq!(finish(&app, NAME, 1).await.unwrap(), finished);
    begin(&app, NAME, rollout(2, 60, Share::Tenth)).await.unwrap();
    let back = roll_back(&app, NAME, 2).await.unwrap();
    assert_eq!(roll_back(&app, NAME, 2).await.unwrap(), back);
    assert_eq!(roll_back(&app, NAME, 3).await.unwrap(), back, "it never began");
    let same =
        change(&app, NAME, async |tunables, tx, change| tunables.set(tx, change, Some(50)).await);
    assert_eq!(same.await.unwrap(), back);
}

#[sqlx::test(migrations = "../migrations")]
async fn one_rollout_of_a_tunable_is_in_progress_at_a_time(pool: PgPool) {
    let app = TestApp::new(pool).await;
    begin(&app, NAME, rollout(1, 50, Share::Tenth)).await.unwrap();
    assert!(is_conflict(&begin(&app, NAME, rollout(2, 50, Share::Tenth)).await));
    assert!(is_conflict(&begin(&app, NAME, rollout(1, 51, Share::Tenth)).await));
    assert!(is_conflict(&set_share(&app, NAME, 2, Share::Half).await));
    assert!(is_conflict(&finish(&app, NAME, 2).await));
    let untouched = roll_back(&app, NAME, 2).await.unwrap();
    assert_eq!(untouched.rollout, Some(rollout(1, 50, Share::Tenth)));
    let set =
        change(&app, NAME, async |tunables, tx, change| tunables.set(tx, change, Some(60)).await);
    assert!(is_conflict(&set.await));
    // Another tunable is free.
    begin(&app, "cache_ttl_seconds", rollout(2, 5, Share::Tenth)).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn an_ended_rollout_cannot_be_changed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    begin(&app, NAME, rollout(1, 50, Share::Tenth)).await.unwrap();
    finish(&app, NAME, 1).await.unwrap();
    assert!(is_conflict(&roll_back(&app, NAME, 1).await));
    assert!(is_conflict(&set_share(&app, NAME, 1, Share::Half).await));
    assert!(is_conflict(&begin(&app, NAME, rollout(1, 50, Share::Tenth)).await));
    begin(&app, NAME, rollout(2, 60, Share::Tenth)).await.unwrap();
    roll_back(&app, NAME, 2).await.unwrap();
    assert!(is_conflict(&finish(&app, NAME, 2).await));
    assert!(is_conflict(&begin(&app, NAME, rollout(2, 60, Share::Tenth)).await));
}

#[sqlx::test(migrations = "../migrations")]
async fn values_out_of_bounds_and_unknown_names_are_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for value in [9, 501, -1] {
        let refused = begin(&app, NAME, rollout(1, value, Share::Tenth)).await.unwrap_err();
        let Error::Validation(violations) = refused else { panic!("{refused}") };
        assert_eq!(violations[0].message, "must be 10 to 500");
    }
    for (id, value) in [(1, 10), (2, 500)] {
        begin(&app, NAME, rollout(id, value, Share::Zero)).await.unwrap();
        roll_back(&app, NAME, id).await.unwrap();
    }
    let unknown = begin(&app, "nothing", rollout(1, 1, Share::Tenth)).await;
    assert!(matches!(unknown, Err(Error::NotFound(_))));
}

#[sqlx::test(migrations = "../migrations")]
async fn of_two_concurrent_rollouts_one_begins(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let rollouts = [1, 2, 3].map(|id| begin(&app, NAME, rollout(id, 50, Share::Tenth)));
    let results = futures::future::join_all(rollouts).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(results.into_iter().filter(is_conflict).count(), 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_that_is_rolled_back_with_its_transaction_has_no_effect(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let by = Change { name: NAME, actor: "workflow", at: app.state.clock.now() };
    let begun = app.state.tunables.begin_rollout(&mut tx, by, rollout(1, 50, Share::All)).await;
    assert_eq!(begun.unwrap().version, 1);
    drop(tx);
    let mut connection = app.state.db.acquire().await.unwrap();
    let state = app.state.tunables.find(&mut connection, NAME).await.unwrap();
    assert_eq!((state.rollout, state.version), (None, 0));
    let all = app.state.tunables.list(&mut connection).await.unwrap();
    assert_eq!(all.len(), app.state.tunables.catalogue().len());
    assert!(all.iter().all(|state| state.value == state.default && state.updated_by.is_none()));
}
