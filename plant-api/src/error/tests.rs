use std::time::Duration;

use axum::http::header;
use axum::response::IntoResponse;
use sqlx::PgPool;
use sqlx::migrate::MigrateError;

use super::{Error, OnConstraint, Problem};

/// Returns the error of a statement that raises this SQLSTATE.
async fn raised(pool: &PgPool, code: &str) -> sqlx::Error {
    let sql = format!("do $$ begin raise exception 'scripted' using errcode = '{code}'; end $$");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(pool).await.unwrap_err()
}

fn io_error() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())
}

#[sqlx::test(migrations = false)]
async fn an_outage_of_the_database_is_503_with_retry_after(pool: PgPool) {
    let mut outages = vec![
        Error::from(sqlx::Error::PoolTimedOut),
        sqlx::Error::PoolClosed.into(),
        sqlx::Error::WorkerCrashed.into(),
        sqlx::Error::Protocol("cut".into()).into(),
        sqlx::Error::Tls("cut".into()).into(),
        io_error().into(),
        MigrateError::Execute(io_error()).into(),
        MigrateError::ExecuteMigration(io_error(), 1).into(),
    ];
    for code in
        ["08006", "53300", "57014", "57P01", "25006", "25P03", "25P04", "40001", "40P01", "55P03"]
    {
        outages.push(raised(&pool, code).await.into());
    }
    for error in outages {
        assert!(error.is_outage(), "{error}");
        assert_eq!((error.status().as_u16(), error.code()), (503, "unavailable"));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(error.clone_lossy().status(), 503);
        let response = error.into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let problem = response.extensions().get::<Problem>().unwrap();
        assert_eq!(problem.detail, "the database is unavailable; try again shortly");
    }
}

#[sqlx::test(migrations = false)]
async fn another_database_error_is_500_without_its_text(pool: PgPool) {
    let bugs = [
        Error::from(raised(&pool, "23505").await),
        raised(&pool, "25P02").await.into(),
        raised(&pool, "40002").await.into(),
        sqlx::Error::RowNotFound.into(),
        MigrateError::VersionMissing(1).into(),
    ];
    for error in bugs {
        assert!(!error.is_outage(), "{error}");
        assert_eq!((error.status().as_u16(), error.code()), (500, "internal"));
        assert_eq!((error.retry_after(), error.clone_lossy().status().as_u16()), (None, 500));
        let response = error.into_response();
        assert!(response.headers().get(header::RETRY_AFTER).is_none());
        let problem = response.extensions().get::<Problem>().unwrap();
        assert_eq!(problem.detail, "internal error; the log has the details under this request id");
    }
}

#[sqlx::test(migrations = false)]
async fn a_violated_constraint_is_mapped_by_its_name(pool: PgPool) {
    for sql in [
        "create table shelf (id integer constraint shelf_pkey primary key)",
        "insert into shelf values (1)",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    let insert = async || sqlx::query("insert into shelf values (1)").execute(&pool).await;
    let mapped = insert()
        .await
        .on_constraint("other_key", || Error::no_such("other"))
        .on_constraint("shelf_pkey", || Error::Duplicate("taken".into()));
    assert!(matches!(mapped, Err(Error::Duplicate(_))), "{mapped:?}");
    let unmapped = insert().await.on_constraint("other_key", || Error::no_such("other"));
    assert!(matches!(unmapped, Err(Error::Internal(_))), "{unmapped:?}");
}

#[test]
fn the_wait_is_rounded_up_to_at_least_a_second() {
    for (milliseconds, expected) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (59_001, "60")] {
        let retry_after = Duration::from_millis(milliseconds);
        for error in [
            Error::Unavailable { what: "a part", retry_after },
            Error::RateLimited { what: "too many", retry_after },
        ] {
            assert_eq!(error.into_response().headers()[header::RETRY_AFTER], expected);
        }
    }
}
