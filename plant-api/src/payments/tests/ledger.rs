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
    assert_eq!(balances(&app).await, [] as [&str; 0]);
}

#[sqlx::test(migrations = "../migrations")]
async fn entries_of_another_amount_currency_or_status_fail_at_the_commit(pool: PgPool) {
    let app = app_with_account(pool).await;
    let payment = create_payment(&app).await;
    for (entries, violated) in [
        ([("provider", 100, "EUR"), ("revenue", -100, "EUR")], "ledger_transaction_balanced"),
        ([("provider", 2999, "USD"), ("revenue", -2999, "USD")], "ledger_transaction_balanced"),
        ([("provider", -2999, "EUR"), ("revenue", 2999, "EUR")], "ledger_transaction_balanced"),
        // The entries are right, but the payment is pending.
        ([("provider", 2999, "EUR"), ("revenue", -2999, "EUR")], "payment_agrees_with_ledger"),
    ] {
        let mut tx = app.state.db.begin().await.unwrap();
        let id = Uuid::new_v4();
        insert_transaction(&mut tx, id, payment).await;
        for entry in entries {
            insert_entry(&mut tx, id, entry).await;
        }
        let error = tx.commit().await.unwrap_err();
        assert_eq!(constraint(&error), Some(violated), "{entries:?}: {error}");
    }
    // A status without its entries.
    let mut service = app.state.db.acquire().await.unwrap();
    for (status, violated) in
        [("succeeded", "payment_status_follows"), ("refunded", "payment_status_follows")]
    {
        let update = format!("update payment set status = '{status}'");
        let error =
            sqlx::query(sqlx::AssertSqlSafe(update)).execute(&mut *service).await.unwrap_err();
        assert_eq!(constraint(&error), Some(violated), "{status}");
    }
    sqlx::query("update payment set status = 'waiting_for_capture'")
        .execute(&mut *service)
        .await
        .unwrap();
    let error = sqlx::query("update payment set status = 'succeeded'")
        .execute(&mut *service)
        .await
        .unwrap_err();
    assert_eq!(constraint(&error), Some("payment_agrees_with_ledger"));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_finished_payment_gets_no_further_entries_and_no_earlier_status(pool: PgPool) {
    let app = app_with_account(pool).await;
    let payment = create_succeeded(&app).await;
    let mut service = app.state.db.acquire().await.unwrap();
    for (statement, violated) in [
        (
            "insert into ledger_entry select id, a, 'USD', n from ledger_transaction,
                (values ('provider', 5), ('revenue', -5)) as more (a, n)",
            "ledger_transaction_balanced",
        ),
        ("update payment set status = 'pending'", "payment_status_follows"),
        ("update payment set status = 'refunded'", "payment_agrees_with_ledger"),
    ] {
        let error = sqlx::query(statement).execute(&mut *service).await.unwrap_err();
        assert_eq!(constraint(&error), Some(violated), "{statement}: {error}");
    }
    post_event(&app, &event(Uuid::new_v4(), "refunded", payment)).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_temporary_table_does_not_stand_in_for_the_ledger(pool: PgPool) {
    let app = app_with_account(pool).await;
    let payment = create_payment(&app).await;
    let mut service = app.state.db.acquire().await.unwrap();
    let create = "create temporary table ledger_entry (like public.ledger_entry)";
    sqlx::query(create).execute(&mut *service).await.unwrap_err();
    // The owner of the database may create one, and the checks do not see it.
    let mut tx = app.owner.begin().await.unwrap();
    sqlx::query(create).execute(&mut *tx).await.unwrap();
    let id = Uuid::new_v4();
    insert_transaction(&mut tx, id, payment).await;
    sqlx::query("insert into public.ledger_entry values ($1, 'provider', 'EUR', 7)")
        .bind(id)
        .execute(&mut *tx)
        .await
        .unwrap();
    let error = tx.commit().await.unwrap_err();
    assert_eq!(constraint(&error), Some("ledger_transaction_balanced"));
}

#[sqlx::test(migrations = "../migrations")]
async fn not_even_the_owner_can_unbalance_a_transaction(pool: PgPool) {
    let app = app_with_account(pool).await;
    create_succeeded(&app).await;
    for statement in [
        "update ledger_entry set amount = amount + 1 where account = 'provider'",
        "update ledger_entry set currency = 'USD'",
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
