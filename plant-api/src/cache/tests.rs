//! Against a real Redis, under a prefix of each test's own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deadpool_redis::redis::cmd;
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Cache, Stored, Topic};
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::redis::Redis;
use crate::testing::{TestApp, redis_url};

fn stored(body: &'static str) -> Stored {
    Stored { etag: "v".into(), link: Some("</x>; rel=\"next\"".into()), body: body.into() }
}

async fn a_cache(redis: &Redis, prefix: &str) -> (Cache, Metrics) {
    let metrics = Metrics::new().unwrap();
    let ttl = Duration::from_secs(60);
    let cache = Cache::new(redis.clone(), prefix, ttl, metrics.cache_requests.clone());
    tokio::spawn(cache.clone().keep(CancellationToken::new()));
    until_trusted(&cache).await;
    (cache, metrics)
}

async fn until_trusted(cache: &Cache) {
    while !cache.is_trusted() {
        tokio::task::yield_now().await;
    }
}

fn a_redis() -> Redis {
    let redis = Redis::new(Some(&redis_url())).unwrap();
    tokio::spawn(redis.clone().beat(CancellationToken::new()));
    redis
}

fn prefix() -> String {
    format!("test:{}", uuid::Uuid::new_v4())
}

async fn read(cache: &Cache, fill: impl Future<Output = Result<Stored>> + Send) -> Result<Stored> {
    cache.read(Topic::Agents, "/agents", fill).await.map(|stored| (*stored).clone())
}

#[tokio::test]
async fn what_was_read_is_kept_until_it_is_forgotten() {
    let (cache, metrics) = a_cache(&a_redis(), &prefix()).await;
    assert_eq!(read(&cache, async { Ok(stored("[1]")) }).await.unwrap(), stored("[1]"));
    assert_eq!(read(&cache, async { Ok(stored("[2]")) }).await.unwrap(), stored("[1]"));
    cache.forget(Topic::Teams).await;
    assert_eq!(read(&cache, async { Ok(stored("[2]")) }).await.unwrap(), stored("[1]"));
    cache.forget(Topic::Agents).await;
    assert_eq!(read(&cache, async { Ok(stored("[2]")) }).await.unwrap(), stored("[2]"));
    let count = |result| metrics.cache_requests.with_label_values(&["agents", result]).get();
    assert_eq!((count("miss"), count("hit"), count("bypass")), (2, 2, 0));
}

#[tokio::test]
async fn another_process_shares_what_was_read_and_what_was_forgotten() {
    let (redis, prefix) = (a_redis(), prefix());
    let (one, _) = a_cache(&redis, &prefix).await;
    let (other, _) = a_cache(&redis, &prefix).await;
    read(&one, async { Ok(stored("[1]")) }).await.unwrap();
    assert_eq!(read(&other, async { Ok(stored("[2]")) }).await.unwrap(), stored("[1]"));
    other.forget(Topic::Agents).await;
    assert_eq!(read(&one, async { Ok(stored("[3]")) }).await.unwrap(), stored("[3]"));
}

#[tokio::test]
async fn of_two_thousand_simultaneous_misses_one_asks() {
    let (cache, _) = a_cache(&a_redis(), &prefix()).await;
    let asked = AtomicU32::new(0);
    let reads = (0..2000).map(|_| {
        read(&cache, async {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(stored("[1]"))
        })
    });
    for answer in futures::future::join_all(reads).await {
        assert_eq!(answer.unwrap(), stored("[1]"));
    }
    assert_eq!(asked.into_inner(), 1);
}

#[tokio::test]
async fn an_error_is_not_kept() {
    let (cache, _) = a_cache(&a_redis(), &prefix()).await;
    let failed = read(&cache, async { Err(Error::no_such("agent")) }).await;
    assert!(matches!(failed, Err(Error::NotFound(_))));
    assert_eq!(read(&cache, async { Ok(stored("[1]")) }).await.unwrap(), stored("[1]"));
}

#[tokio::test]
async fn a_refill_that_began_before_a_write_does_not_outlive_it() {
    let (cache, _) = a_cache(&a_redis(), &prefix()).await;
    let old = read(&cache, async {
        // The write commits and forgets while this read still holds what was there before.
        cache.forget(Topic::Agents).await;
        Ok(stored("[old]"))
    });
    assert_eq!(old.await.unwrap(), stored("[old]"));
    assert_eq!(read(&cache, async { Ok(stored("[new]")) }).await.unwrap(), stored("[new]"));
}

#[tokio::test]
async fn an_emptied_redis_starts_another_generation() {
    let (redis, prefix) = (a_redis(), prefix());
    let (cache, _) = a_cache(&redis, &prefix).await;
    read(&cache, async { Ok(stored("[1]")) }).await.unwrap();
    let mut delete = cmd("DEL");
    delete.arg(format!("{prefix}:generation:agents"));
    redis.ask::<i64>(&delete).await.unwrap();
    assert_eq!(read(&cache, async { Ok(stored("[2]")) }).await.unwrap(), stored("[2]"));
    assert_eq!(read(&cache, async { Ok(stored("[3]")) }).await.unwrap(), stored("[2]"));
}

#[tokio::test]
async fn after_a_loss_nothing_is_trusted_until_all_is_replaced() {
    let redis = a_redis();
    let (cache, metrics) = a_cache(&redis, &prefix()).await;
    read(&cache, async { Ok(stored("[1]")) }).await.unwrap();
    // A command that fails is a loss: nobody knows what became of it.
    assert!(redis.ask::<String>(&cmd("NOSUCHCOMMAND")).await.is_none());
    assert!(!cache.is_trusted());
    assert_eq!(read(&cache, async { Ok(stored("[2]")) }).await.unwrap(), stored("[2]"));
    assert_eq!(metrics.cache_requests.with_label_values(&["agents", "bypass"]).get(), 1);
    until_trusted(&cache).await;
    assert_eq!(read(&cache, async { Ok(stored("[3]")) }).await.unwrap(), stored("[3]"));
}

#[tokio::test]
async fn without_redis_every_read_asks() {
    let metrics = Metrics::new().unwrap();
    let ttl = Duration::from_secs(60);
    let cache = Cache::new(Redis::default(), "none", ttl, metrics.cache_requests.clone());
    for body in ["[1]", "[2]"] {
        assert_eq!(read(&cache, async { Ok(stored(body)) }).await.unwrap(), stored(body));
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
    let of = app.an_agent("Asha").await;
    for list in lists {
        assert_eq!(count(list).await, 1, "{list}");
    }
    let path = format!("/api/v1/agents/{}", of.agent);
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
