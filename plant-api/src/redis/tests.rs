//! Tests against a real Redis, partly through a proxy.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::proxy::{Mode, Proxy, redis_behind_proxy};
use crate::testing::{redis_url, wait_until};

/// Starts a client that connects through a proxy, with its heartbeat.
async fn start_behind_proxy() -> (Redis, Proxy, CancellationToken) {
    let (redis, proxy) = redis_behind_proxy().await;
    assert_eq!(redis.status(), RedisStatus::Unavailable);
    let shutdown = CancellationToken::new();
    tokio::spawn(redis.clone().run_heartbeat(shutdown.clone()));
    wait_until(async || redis.status() == RedisStatus::Connected).await;
    (redis, proxy, shutdown)
}

fn echo() -> Cmd {
    let mut echo = cmd("ECHO");
    echo.arg("lotus");
    echo
}

#[tokio::test]
async fn without_a_url_there_is_no_redis() {
    let redis = Redis::new(None).unwrap();
    assert_eq!(redis.status(), RedisStatus::NotConfigured);
    assert_eq!((redis.failure_count(), redis.pool_usage()), (None, (0, 0)));
    assert_eq!(redis.query::<String>(&echo()).await, None);
    assert_eq!(redis.execute_with_retry::<String>(&echo()).await, None);
    assert!(redis.dedicated_connection().await.is_err());
    // Returns at once.
    redis.run_heartbeat(CancellationToken::new()).await;
}

#[tokio::test]
async fn commands_are_executed_on_the_shared_connection() {
    let (redis, _proxy, shutdown) = start_behind_proxy().await;
    assert_eq!(redis.query::<String>(&echo()).await.as_deref(), Some("lotus"));
    assert_eq!(redis.execute_with_retry::<String>(&echo()).await.as_deref(), Some("lotus"));
    assert_eq!(redis.failure_count(), Some(0));
    let mut dedicated = redis.dedicated_connection().await.unwrap();
    assert_eq!(echo().query_async::<String>(&mut dedicated).await.unwrap(), "lotus");
    shutdown.cancel();
}

#[tokio::test]
async fn the_connection_for_pings_is_idle_between_them() {
    let redis = Redis::new(Some(&redis_url())).unwrap();
    let Some(server) = &redis.0 else { panic!("Redis is not configured") };
    server.ping().await.unwrap();
    assert_eq!(redis.pool_usage(), (0, 1));
    let _in_use = server.pool.get().await.unwrap();
    assert_eq!(redis.pool_usage(), (1, 0));
}

#[tokio::test]
async fn a_failed_command_is_counted_and_its_connection_replaced() {
    let (redis, _proxy, _) = start_behind_proxy().await;
    assert_eq!(redis.query::<String>(&cmd("UNKNOWN")).await, None);
    assert_eq!(redis.failure_count(), Some(1));
    wait_until(async || redis.query::<String>(&echo()).await.is_some()).await;
    assert_eq!(redis.failure_count(), Some(1));
}

#[tokio::test]
async fn a_command_without_response_fails_in_time() {
    let (redis, proxy, _) = start_behind_proxy().await;
    proxy.set(Mode::Stall);
    let echo = echo();
    let command = redis.query::<String>(&echo);
    let result = tokio::time::timeout(Duration::from_secs(30), command).await;
    assert_eq!(result.expect("no command timeout"), None);
    assert!(redis.failure_count().unwrap() > 0);
    let before = redis.failure_count().unwrap();
    let retried = redis.execute_with_retry::<String>(&echo);
    let result = tokio::time::timeout(Duration::from_secs(30), retried).await;
    assert_eq!(result.expect("no command timeout"), None);
    assert!(redis.failure_count().unwrap() > before);
    wait_until(async || redis.status() == RedisStatus::Unavailable).await;
    proxy.set(Mode::Forward);
    wait_until(async || redis.query::<String>(&echo).await.is_some()).await;
    assert_eq!(redis.status(), RedisStatus::Connected);
}

#[tokio::test]
async fn a_closed_connection_is_detected_and_replaced() {
    let (redis, proxy, _) = start_behind_proxy().await;
    proxy.set(Mode::Cut);
    wait_until(async || redis.status() == RedisStatus::Unavailable).await;
    assert!(redis.failure_count().unwrap() > 0);
    assert_eq!(redis.query::<String>(&echo()).await, None);
    proxy.set(Mode::Forward);
    wait_until(async || redis.query::<String>(&echo()).await.is_some()).await;
}

#[tokio::test]
async fn a_retry_uses_a_new_connection() {
    let redis = Redis::new(Some(&redis_url())).unwrap();
    // No heartbeat has opened the shared connection.
    assert_eq!(redis.query::<String>(&echo()).await, None);
    // On a slow machine opening a connection may take longer than a command may.
    wait_until(async || redis.execute_with_retry::<String>(&echo()).await.is_some()).await;
}

#[tokio::test]
async fn the_heartbeat_ends_at_shutdown() {
    let redis = Redis::new(Some(&redis_url())).unwrap();
    let shutdown = CancellationToken::new();
    let heartbeat = tokio::spawn(redis.clone().run_heartbeat(shutdown.clone()));
    wait_until(async || redis.status() == RedisStatus::Connected).await;
    shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(30), heartbeat).await;
    ended.expect("the heartbeat goes on").unwrap();
}
