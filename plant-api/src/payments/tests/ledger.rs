//! Constraints of the ledger and of the log of events.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{app_with_account, balances, create_payment, event, post_event};
use crate::testing::TestApp;

/// Posts the events of a successful payment and returns its id.
async fn create_succeeded(app: &TestApp) -> Uuid {
    let payment = create_payment(app).await;
    for kind in ["waiting_for_capture", "succeeded"] {
        post_event(app, &event(Uuid::new_v4(), kind, payment)).await.expect(200);
    }
    payment
}

fn constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error().and_then(|error| error.constraint())
}

async fn insert_transaction(db: &mut PgConnection, id: Uuid, payment: Uuid) {
    sqlx::query("insert into ledger_transaction values ($1, $2, 'capture', now())")
        .bind(id)
        .bind(payment)
        .execute(db)
        .await
        .unwrap();
}

async fn insert_entry(db: &mut PgConnection, id: Uuid, (account, amount, currency): Entry) {
    sqlx::query("insert into ledger_entry values ($1, $2, $3, $4)")
        .bind(id)
        .bind(account)
        .bind(currency)
        .bind(amount)
        .execute(db)
        .await
        .unwrap();
}

type Entry = (&'static str, i64, &'static str);

#[sqlx::test(migrations = "../migrations")]
async fn unbalanced_entries_fail_at_the_commit(pool: PgPool) {
    let app = app_with_account(pool).await;
    let payment = create_payment(&app).await;
    let unbalanced: [&[Entry]; 5] = [
        &[],
        &[("provider", 100, "EUR")],
        &[("provider", 100, "EUR"), ("revenue", -99, "EUR")],
        &[("provider", 100, "EUR"), ("revenue", -100, "USD")],
        &[("provider", 100, "EUR"), ("revenue", -100, "EUR"), ("refunds", 1, "USD")],
    ];
    for entries in unbalanced {
        let mut tx = app.state.db.begin().await.unwrap();
        let id = Uuid::new_v4();
        insert_transaction(&mut tx, id, payment).await;
        for entry in entries {
            insert_entry(&mut tx, id, *entry).await;
        }
        let error = tx.commit().await.unwrap_err();
        assert_eq!(constraint(&error), Some("ledger_transaction_balanced"), "{entries:?}: {error}");
    }
    let mut tx = app.state.db.begin().await.unwrap();
    let id = Uuid::new_v4();
    insert_transaction(&mut tx, id, payment).await;
    insert_entry(&mut tx, id, ("provider", 100, "EUR")).await;
    insert_entry(&mut tx, id, ("revenue", -100, "EUR")).await;
    tx.commit().await.unwrap();
    assert_eq!(balances(&app).await, ["provider 100 EUR", "revenue -100 EUR"]);

    // An entry that is added later is checked as well.
    let mut tx = app.state.db.begin().await.unwrap();
    insert_entry(&mut tx, id, ("refunds", 1, "EUR")).await;
    tx.commit().await.unwrap_err();
}

#[sqlx::test(migrations = "../migrations")]
async fn not_even_the_owner_can_unbalance_a_transaction(pool: PgPool) {
    let app = app_with_account(pool).await;
    create_succeeded(&app).await;
    for statement in [
        "update ledger_entry set amount = amount + 1 where account = 'provider'",
        "update ledger_entry set currency = 'USD' where account = 'provider'",
        "delete from ledger_entry where account = 'provider'",
        "delete from ledger_entry",
    ] {
        let error = sqlx::query(statement).execute(&app.owner).await.unwrap_err();
        assert_eq!(constraint(&error), Some("ledger_transaction_balanced"), "{statement}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_service_can_neither_change_nor_delete_money_records(pool: PgPool) {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    let app = app_with_account(pool).await;
    create_succeeded(&app).await;
    for statement in [
        "update ledger_entry set amount = amount",
        "delete from ledger_entry",
        "truncate ledger_entry",
        "update ledger_transaction set kind = kind",
        "delete from ledger_transaction",
        "update payment set amount = amount",
        "update payment set account_id = account_id",
        "delete from payment",
        "update payment_event set kind = kind",
        "delete from payment_event",
    ] {
        let mut service = app.state.db.acquire().await.unwrap();
        let error = sqlx::query(statement).execute(&mut *service).await.unwrap_err();
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        assert_eq!(code.as_deref(), Some(INSUFFICIENT_PRIVILEGE), "{statement}: {error}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_payment_is_captured_once_and_an_event_applied_once(pool: PgPool) {
    let app = app_with_account(pool).await;
    let payment = create_succeeded(&app).await;
    let again = sqlx::query("insert into ledger_transaction values ($1, $2, 'capture', now())")
        .bind(Uuid::new_v4())
        .bind(payment)
        .execute(&app.owner)
        .await;
    let expected = Some("ledger_transaction_payment_id_kind_key");
    assert_eq!(constraint(&again.unwrap_err()), expected);
    for (event_id, constraint_name) in [
        ("event_id", "payment_event_applied_key"),
        ("gen_random_uuid()", "payment_event_status_key"),
    ] {
        let again = format!(
            "insert into payment_event (
                provider, event_id, kind, payment_id, amount, currency, occurred_at, received_at,
                outcome, applied_at
            )
            select provider, {event_id}, kind, payment_id, amount, currency, occurred_at,
                received_at, outcome, applied_at
            from payment_event"
        );
        let again = sqlx::query(sqlx::AssertSqlSafe(again)).execute(&app.owner).await;
        assert_eq!(constraint(&again.unwrap_err()), Some(constraint_name));
    }
}
