//! Tests against a real Redis; each test uses its own key prefix.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deadpool_redis::redis::cmd;
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{
    Cache, CachedResponse, Generation, Lookup, MAX_KEY_BYTES, MAX_SCOPES, Scope, Topic,
    resolve_lookups,
};
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::redis::Redis;
use crate::testing::{TestApp, redis_url, wait_until};

const TTL: Duration = Duration::from_secs(60);
const AGENTS: Scope = Scope::of_topic(Topic::Agents);

fn cached(body: &'static str) -> CachedResponse {
    CachedResponse::new("v".into(), Some("</x>; rel=\"next\"".into()), body)
}

async fn start_cache(redis: &Redis, prefix: &str) -> (Cache, Metrics) {
    let metrics = Metrics::new().unwrap();
    let cache = Cache::new(redis.clone(), metrics.cache_requests.clone());
    cache.set_prefix(prefix.to_owned());
    tokio::spawn(cache.clone().run_refresh_loop(CancellationToken::new()));
    wait_until_active(&cache).await;
    (cache, metrics)
}

async fn wait_until_active(cache: &Cache) {
    wait_until(async || cache.is_active()).await;
}

fn connect_redis() -> Redis {
    let redis = Redis::new(Some(&redis_url())).unwrap();
    tokio::spawn(redis.clone().run_heartbeat(CancellationToken::new()));
    redis
}

fn random_prefix() -> String {
    format!("test:{}", uuid::Uuid::new_v4())
}

async fn read(
    cache: &Cache,
    fill: impl Future<Output = Result<CachedResponse>> + Send,
) -> Result<CachedResponse> {
    read_of(cache, AGENTS, fill).await
}

async fn read_of(
    cache: &Cache,
    scope: Scope,
    fill: impl Future<Output = Result<CachedResponse>> + Send,
) -> Result<CachedResponse> {
    cache.get_with(scope, "/agents", TTL, || fill).await.map(|response| (*response).clone())
}

/// Returns whether a write of the scope is pending.
async fn is_pending(cache: &Cache, scope: impl Into<Scope>) -> bool {
    let scope = scope.into();
    !cache.generations(&[scope]).await.unwrap()[&scope].shared
}

#[tokio::test]
async fn a_response_is_cached_until_its_topic_is_invalidated() {
    let (cache, metrics) = start_cache(&connect_redis(), &random_prefix()).await;
    assert_eq!(read(&cache, async { Ok(cached("[1]")) }).await.unwrap(), cached("[1]"));
    assert_eq!(read(&cache, async { Ok(cached("[2]")) }).await.unwrap(), cached("[1]"));
    cache.invalidate(&[Topic::Teams.into()]).await;
    assert_eq!(read(&cache, async { Ok(cached("[2]")) }).await.unwrap(), cached("[1]"));
    cache.invalidate(&[AGENTS]).await;
    assert_eq!(read(&cache, async { Ok(cached("[2]")) }).await.unwrap(), cached("[2]"));
    let count = |result| metrics.cache_requests.with_label_values(&["agents", result]).get();
    assert_eq!((count("miss"), count("hit"), count("bypass")), (2, 2, 0));
}

#[tokio::test]
async fn a_response_whose_key_is_too_long_is_not_cached() {
    let (cache, _) = start_cache(&connect_redis(), &random_prefix()).await;
    for (length, second) in [(MAX_KEY_BYTES, "[1]"), (MAX_KEY_BYTES + 1, "[2]")] {
        let key = "k".repeat(length);
        for (body, expected) in [("[1]", "[1]"), ("[2]", second)] {
            let response = cache.get_with(AGENTS, &key, TTL, || async { Ok(cached(body)) }).await;
            assert_eq!(response.unwrap().body, expected, "{length}");
        }
    }
}

#[test]
fn the_weight_of_a_response_includes_its_key_and_its_etag() {
    // Half of the body more for its compressed forms.
    assert_eq!(cached("[1,2]").weight() as usize, 5 + 2 + 1 + MAX_KEY_BYTES);
}

#[test]
fn only_a_list_without_items_is_empty() {
    assert!(cached("[]").is_empty_list());
    assert!(!cached("[1]").is_empty_list() && !cached("{}").is_empty_list());
}

#[tokio::test]
async fn processes_share_responses_and_invalidations() {
    let (redis, prefix) = (connect_redis(), random_prefix());
    let (one, _) = start_cache(&redis, &prefix).await;
    let (other, _) = start_cache(&redis, &prefix).await;
    read(&one, async { Ok(cached("[1]")) }).await.unwrap();
    assert_eq!(read(&other, async { Ok(cached("[2]")) }).await.unwrap(), cached("[1]"));
    other.invalidate(&[AGENTS]).await;
    assert_eq!(read(&one, async { Ok(cached("[3]")) }).await.unwrap(), cached("[3]"));
}

#[tokio::test]
async fn concurrent_misses_of_a_key_run_one_query() {
    let (cache, _) = start_cache(&connect_redis(), &random_prefix()).await;
    let queries = AtomicU32::new(0);
    let reads = (0..2000).map(|_| {
        read(&cache, async {
            queries.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(cached("[1]"))
        })
    });
    for response in futures::future::join_all(reads).await {
        assert_eq!(response.unwrap(), cached("[1]"));
    }
    assert_eq!(queries.into_inner(), 1);
}

#[tokio::test]
async fn an_error_is_not_cached() {
    let (cache, _) = start_cache(&connect_redis(), &random_prefix()).await;
    let failed = read(&cache, async { Err(Error::no_such("agent")) }).await;
    assert!(matches!(failed, Err(Error::NotFound(_))));
    assert_eq!(read(&cache, async { Ok(cached("[1]")) }).await.unwrap(), cached("[1]"));
}

#[tokio::test]
async fn a_response_read_before_a_write_is_not_served_after_it() {
    let (cache, _) = start_cache(&connect_redis(), &random_prefix()).await;
    let old = read(&cache, async {
        // A write commits and invalidates while this read still holds the previous rows.
        cache.invalidate(&[AGENTS]).await;
        Ok(cached("[old]"))
    });
    assert_eq!(old.await.unwrap(), cached("[old]"));
    assert_eq!(read(&cache, async { Ok(cached("[new]")) }).await.unwrap(), cached("[new]"));
}

/// A write whose process is killed after the commit, before the withdrawal.
async fn killed_write(cache: &Cache) {
    let commit = async |_| std::future::pending::<Result<()>>().await;
    let mut write = Box::pin(cache.invalidate_with(&[AGENTS], commit));
    let announced = async {
        while !is_pending(cache, AGENTS).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut write => unreachable!("the commit never ends"),
        () = announced => {}
    }
}

#[tokio::test]
async fn a_process_killed_after_its_commit_leaves_no_stale_response() {
    let (redis, prefix) = (connect_redis(), random_prefix());
    let (killed, _) = start_cache(&redis, &prefix).await;
    let (other, _) = start_cache(&redis, &prefix).await;
    read(&other, async { Ok(cached("[old]")) }).await.unwrap();
    killed_write(&killed).await;
    for body in ["[1]", "[2]"] {
        assert_eq!(read(&other, async { Ok(cached(body)) }).await.unwrap(), cached(body));
    }
    // The announcement expires.
    let mut expire = cmd("DEL");
    expire.arg(format!("{prefix}:pending:agents"));
    assert_eq!(redis.query::<i64>(&expire).await, Some(1));
    assert_eq!(read(&other, async { Ok(cached("[3]")) }).await.unwrap(), cached("[3]"));
    assert_eq!(read(&killed, async { Ok(cached("[4]")) }).await.unwrap(), cached("[3]"));
}

#[tokio::test]
async fn an_announcement_expires_and_concerns_its_topic_only() {
    let (redis, prefix) = (connect_redis(), random_prefix());
    let (cache, _) = start_cache(&redis, &prefix).await;
    killed_write(&cache).await;
    for topic in Topic::ALL {
        assert_eq!(is_pending(&cache, *topic).await, *topic == Topic::Agents, "{topic:?}");
    }
    let mut lifetime = cmd("PTTL");
    lifetime.arg(format!("{prefix}:pending:agents"));
    let lifetime = redis.query::<i64>(&lifetime).await.unwrap();
    assert!((1..=30_000).contains(&lifetime), "{lifetime}");
    // A member whose time has passed no longer counts, although the key exists.
    let mut past = cmd("EVAL");
    past.arg(
        "for _, m in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do \
              redis.call('ZADD', KEYS[1], 1, m) end",
    )
    .arg(1)
    .arg(format!("{prefix}:pending:agents"));
    redis.query::<()>(&past).await.unwrap();
    assert!(!is_pending(&cache, AGENTS).await);
}

#[tokio::test]
async fn concurrent_writes_are_pending_until_the_last_is_withdrawn() {
    let (cache, _) = start_cache(&connect_redis(), &random_prefix()).await;
    killed_write(&cache).await;
    cache.invalidate(&[AGENTS]).await;
    assert!(is_pending(&cache, AGENTS).await);
}

#[tokio::test]
async fn after_a_failed_commit_the_write_stays_pending() {
    let (cache, _) = start_cache(&connect_redis(), &random_prefix()).await;
    let failed = async |_| Err::<(), _>("connection lost");
    assert!(cache.invalidate_with(&[AGENTS], failed).await.is_err());
    assert!(is_pending(&cache, AGENTS).await);
}

#[tokio::test]
async fn concurrent_reads_during_a_write_share_a_query() {
    let (cache, _) = start_cache(&connect_redis(), &random_prefix()).await;
    killed_write(&cache).await;
    let queries = AtomicU32::new(0);
    let reads = (0..2000).map(|_| {
        read(&cache, async {
            queries.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(cached("[1]"))
        })
    });
    for response in futures::future::join_all(reads).await {
        assert_eq!(response.unwrap(), cached("[1]"));
    }
    // One for each lookup of the generations.
    assert!(queries.into_inner() <= 2);
}

#[tokio::test]
async fn a_reader_that_arrives_during_a_lookup_gets_the_next_one() {
    let (sender, mut pending) = tokio::sync::mpsc::unbounded_channel();
    let lookup = || {
        let (found, generation) = tokio::sync::oneshot::channel();
        (Lookup { scope: AGENTS, found }, generation)
    };
    let ((first, first_result), (late, mut late_result)) = (lookup(), lookup());
    let generation = Generation { id: 7, shared: true };
    let query = async |scopes: &[Scope]| {
        assert_eq!(scopes, [AGENTS]);
        assert!(sender.send(late).is_ok());
        Some([(AGENTS, generation)].into())
    };
    resolve_lookups(first, &mut pending, query).await;
    assert_eq!(first_result.await.unwrap(), Some(generation));
    assert!(late_result.try_recv().is_err(), "the late reader must wait for the next lookup");
    assert!(pending.try_recv().is_ok());
}

#[tokio::test]
async fn one_command_looks_up_a_limited_number_of_scopes() {
    let (sender, mut pending) = tokio::sync::mpsc::unbounded_channel();
    let lookup = |id| Lookup {
        scope: Topic::Goals.of(uuid::Uuid::from_u128(id)),
        found: tokio::sync::oneshot::channel().0,
    };
    for id in 1..1000 {
        assert!(sender.send(lookup(id)).is_ok());
    }
    let query = async |scopes: &[Scope]| {
        assert_eq!(scopes.len(), MAX_SCOPES);
        Some(HashMap::new())
    };
    resolve_lookups(lookup(0), &mut pending, query).await;
    assert_eq!(pending.len(), 1000 - (MAX_SCOPES - 1));
}

#[tokio::test]
async fn a_write_of_one_entity_invalidates_its_responses_only() {
    let (cache, _) = start_cache(&connect_redis(), &random_prefix()).await;
    let [one, other] = [1, 2].map(|id| Topic::Goals.of(uuid::Uuid::from_u128(id)));
    let cached_of = async |scope, body| read_of(&cache, scope, async { Ok(cached(body)) }).await;
    for scope in [one, other] {
        assert_eq!(cached_of(scope, "[1]").await.unwrap(), cached("[1]"));
    }
    cache.invalidate(&[one]).await;
    assert_eq!(cached_of(one, "[2]").await.unwrap(), cached("[2]"));
    assert_eq!(cached_of(other, "[2]").await.unwrap(), cached("[1]"));
    // Nor is the same key of another topic concerned.
    assert_eq!(read(&cache, async { Ok(cached("[a]")) }).await.unwrap(), cached("[a]"));
    cache.invalidate(&[one]).await;
    assert_eq!(read(&cache, async { Ok(cached("[b]")) }).await.unwrap(), cached("[a]"));
}

#[tokio::test]
async fn a_write_of_a_topic_invalidates_the_responses_of_its_entities() {
    let (cache, _) = start_cache(&connect_redis(), &random_prefix()).await;
    let goals = Topic::Goals.of(uuid::Uuid::from_u128(1));
    for (body, expected) in [("[1]", "[1]"), ("[2]", "[1]")] {
        let read = read_of(&cache, goals, async { Ok(cached(body)) }).await;
        assert_eq!(read.unwrap(), cached(expected));
    }
    let announced = async |_| {
        assert!(is_pending(&cache, Topic::Goals).await);
        let read = read_of(&cache, goals, async { Ok(cached("[3]")) }).await;
        read.map(|response| assert_eq!(response, cached("[3]")))
    };
    cache.invalidate_with(&[Topic::Goals.into()], announced).await.unwrap();
    assert_eq!(read_of(&cache, goals, async { Ok(cached("[4]")) }).await.unwrap(), cached("[4]"));
}

#[tokio::test]
async fn generations_are_kept_for_two_minutes() {
    let (redis, prefix) = (connect_redis(), random_prefix());
    let (cache, _) = start_cache(&redis, &prefix).await;
    let goals = Topic::Goals.of(uuid::Uuid::nil());
    let lifetime = async || {
        let mut ttl = cmd("TTL");
        ttl.arg(format!("{prefix}:generation:{goals}"));
        redis.query::<i64>(&ttl).await.unwrap()
    };
    cache.generations(&[goals]).await.unwrap();
    assert!((60..=120).contains(&lifetime().await));
    cache.invalidate(&[goals]).await;
    assert!((60..=120).contains(&lifetime().await));
}

#[tokio::test]
async fn a_deleted_generation_is_replaced_by_a_new_one() {
    let (redis, prefix) = (connect_redis(), random_prefix());
    let (cache, _) = start_cache(&redis, &prefix).await;
    read(&cache, async { Ok(cached("[1]")) }).await.unwrap();
    let mut delete = cmd("DEL");
    delete.arg(format!("{prefix}:generation:agents"));
    redis.query::<i64>(&delete).await.unwrap();
    assert_eq!(read(&cache, async { Ok(cached("[2]")) }).await.unwrap(), cached("[2]"));
    assert_eq!(read(&cache, async { Ok(cached("[3]")) }).await.unwrap(), cached("[2]"));
}

#[tokio::test]
async fn after_a_redis_failure_reads_bypass_the_cache_until_all_generations_are_replaced() {
    let redis = connect_redis();
    let (cache, metrics) = start_cache(&redis, &random_prefix()).await;
    read(&cache, async { Ok(cached("[1]")) }).await.unwrap();
    // Any failed command counts as a failure.
    assert!(redis.query::<String>(&cmd("NOSUCHCOMMAND")).await.is_none());
    assert!(!cache.is_active());
    assert_eq!(read(&cache, async { Ok(cached("[2]")) }).await.unwrap(), cached("[2]"));
    assert_eq!(metrics.cache_requests.with_label_values(&["agents", "bypass"]).get(), 1);
    wait_until_active(&cache).await;
    assert_eq!(read(&cache, async { Ok(cached("[3]")) }).await.unwrap(), cached("[3]"));
}

#[tokio::test]
async fn without_redis_every_read_runs_the_query() {
    let metrics = Metrics::new().unwrap();
    let cache = Cache::new(Redis::default(), metrics.cache_requests.clone());
    for body in ["[1]", "[2]"] {
        assert_eq!(read(&cache, async { Ok(cached(body)) }).await.unwrap(), cached(body));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn every_write_of_the_catalogue_is_seen_by_the_next_read(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let lists = ["industries", "skills", "job-roles", "teams", "agents"];
    let count = async |list: &str| {
        let page = app.get(&format!("/api/v1/{list}")).await.expect(200);
        page.as_array().unwrap().len()
    };
    for list in lists {
        assert_eq!(count(list).await, 0);
    }
    let ids = app.create_agent("Asha").await;
    for list in lists {
        assert_eq!(count(list).await, 1, "{list}");
    }
    let path = format!("/api/v1/agents/{}", ids.agent);
    assert_eq!(app.get(&path).await.expect(200)["name"], "Asha");
    for n in 0..20 {
        let name = format!("Asha {n}");
        app.patch(&path, json!({"name": name})).await.expect(200);
        assert_eq!(app.get(&path).await.expect(200)["name"], name);
        assert_eq!(app.get("/api/v1/agents").await.expect(200)[0]["name"], name);
    }
    let hits = app.state.metrics.cache_requests.with_label_values(&["agents", "hit"]).get();
    app.get(&path).await.expect(200);
    let after = app.state.metrics.cache_requests.with_label_values(&["agents", "hit"]).get();
    assert_eq!(after, hits + 1, "the cache must have been in use");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_write_of_a_process_without_redis_is_seen_by_the_others(pool: PgPool) {
    let other = TestApp::with_redis(pool.clone()).await;
    let (db, cache) = (other.state.db.clone(), other.state.cache.clone());
    let notifications = db.cache_notifications();
    tokio::spawn(db.clone().run_heartbeat(CancellationToken::new()));
    tokio::spawn(cache.run_notification_loop(notifications.clone(), CancellationToken::new()));
    wait_until(async || *notifications.borrow() > 0).await;
    other.wait_for_cache().await;
    let id = other.create("/api/v1/industries", json!({"name": "Sales"})).await;
    let list = async || other.get("/api/v1/industries").await.expect(200);
    let path = format!("/api/v1/industries/{id}");
    assert_eq!(list().await.as_array().unwrap().len(), 1);

    let unreachable = Redis::new(Some("redis://127.0.0.1:1/")).unwrap();
    let cut_off = TestApp::with_redis_at(pool, unreachable).await;
    assert_eq!(cut_off.get(&path).await.expect(200)["name"], "Sales");
    cut_off.create("/api/v1/industries", json!({"name": "Law"})).await;
    // Without the notification the cached list would live for a minute.
    wait_until(async || list().await.as_array().unwrap().len() == 2).await;
}
