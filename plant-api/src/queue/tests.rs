//! Tests against a real Redis; each test uses its own key prefix.

use super::*;
use crate::testing::proxy::{Mode, redis_behind_proxy};
use crate::testing::{redis_url, wait_until};

const LIST: &str = "list";
const OTHER: &str = "other";

/// Connects to Redis and waits until it is up.
async fn start() -> Queue {
    let redis = Redis::new(Some(&redis_url())).unwrap();
    tokio::spawn(redis.clone().run_heartbeat(CancellationToken::new()));
    let queue = Queue::new(redis, &format!("test:{}:", Uuid::new_v4()));
    wait_until(async || queue.is_up() && queue.len(LIST).await.is_some()).await;
    queue
}

fn ids(count: usize) -> Vec<Uuid> {
    (0..count).map(|_| Uuid::now_v7()).collect()
}

async fn content(queue: &Queue, list: &str) -> Vec<String> {
    let mut range = cmd("LRANGE");
    range.arg(queue.key(list)).arg(0).arg(-1);
    queue.redis().query(&range).await.unwrap()
}

async fn receive(popped: &mut mpsc::Receiver<&'static str>) -> &'static str {
    let next = tokio::time::timeout(Duration::from_secs(30), popped.recv()).await;
    next.expect("nothing was popped").unwrap()
}

#[tokio::test]
async fn pending_ids_are_pushed_to_their_lists_in_order() {
    let queue = start().await;
    let (first, second) = (ids(3), ids(1));
    // Before the loop runs.
    for id in &first {
        queue.push_later(LIST, *id);
    }
    let shutdown = CancellationToken::new();
    let push_loop = tokio::spawn(queue.clone().run_push_loop(shutdown.clone()));
    queue.push_later(OTHER, second[0]);
    wait_until(async || queue.len(OTHER).await == Some(1)).await;
    let expected: Vec<String> = first.iter().map(Uuid::to_string).collect();
    assert_eq!(content(&queue, LIST).await, expected);
    // There is one loop; a second one returns at once.
    queue.clone().run_push_loop(CancellationToken::new()).await;
    shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(30), push_loop).await;
    ended.expect("the loop goes on").unwrap();
}

#[tokio::test]
async fn pushes_beyond_the_capacity_are_dropped() {
    let queue = Queue::new(Redis::default(), "");
    for id in ids(MAX_PENDING_PUSHES + 1) {
        queue.push_later(LIST, id);
    }
    assert_eq!(queue.0.sender.capacity(), 0);
    assert_eq!((queue.is_up(), queue.len(LIST).await), (false, None));
}

#[tokio::test]
async fn reconciling_replaces_the_content_of_a_list() {
    let queue = start().await;
    queue.push(LIST, &ids(3)).await;
    queue.push(OTHER, &ids(2)).await;
    let new = ids(MAX_IDS_PER_COMMAND + 1);
    queue.reconcile(LIST, &new).await;
    let expected: Vec<String> = new.iter().map(Uuid::to_string).collect();
    assert_eq!(content(&queue, LIST).await, expected);
    queue.reconcile(LIST, &[]).await;
    assert_eq!((queue.len(LIST).await, queue.len(OTHER).await), (Some(0), Some(2)));
}

#[tokio::test]
async fn a_key_that_is_no_list_is_replaced() {
    let queue = start().await;
    for command in ["SET", "SADD"] {
        let mut spoil = cmd(command);
        spoil.arg(queue.key(LIST)).arg("garbage");
        queue.redis().query::<deadpool_redis::redis::Value>(&spoil).await.unwrap();
        assert_eq!(queue.len(LIST).await, Some(0), "{command}");
        queue.push(LIST, &ids(2)).await;
        assert_eq!(queue.len(LIST).await, Some(2), "{command}");
        queue.reconcile(LIST, &[]).await;
    }
}

#[tokio::test]
async fn ids_of_claimed_jobs_are_dropped_from_the_front() {
    let queue = start().await;
    let all = ids(5);
    queue.push(LIST, &all).await;
    queue.remove_ids(LIST, 3).await;
    assert_eq!(content(&queue, LIST).await, [all[3].to_string(), all[4].to_string()]);
    queue.remove_ids(LIST, 10).await;
    assert_eq!(queue.len(LIST).await, Some(0));
}

fn none_full() -> watch::Receiver<Vec<&'static str>> {
    watch::Sender::default().subscribe()
}

#[tokio::test]
async fn one_id_is_popped_at_a_time() {
    let queue = start().await;
    let (sender, mut popped) = mpsc::channel(1);
    let listener = tokio::spawn(queue.clone().listen(
        watch::Sender::new(vec![LIST, OTHER]).subscribe(),
        none_full(),
        sender,
    ));
    queue.push(OTHER, &ids(1)).await;
    assert_eq!(receive(&mut popped).await, OTHER);
    queue.push(LIST, &ids(5)).await;
    // One id in the channel, one waits for room in it.
    wait_until(async || queue.len(LIST).await == Some(3)).await;
    for _ in 0..5 {
        assert_eq!(receive(&mut popped).await, LIST);
    }
    drop(popped);
    let ended = tokio::time::timeout(Duration::from_secs(30), listener).await;
    ended.expect("the listener goes on").unwrap();
}

#[tokio::test]
async fn a_listener_connects_again_after_its_connection_was_closed() {
    let queue = start().await;
    let (redis, proxy) = redis_behind_proxy().await;
    let behind_proxy = Queue::new(redis, &queue.0.prefix);
    let (sender, mut popped) = mpsc::channel(1);
    tokio::spawn(behind_proxy.listen(
        watch::Sender::new(vec![LIST]).subscribe(),
        none_full(),
        sender,
    ));
    queue.push(LIST, &ids(1)).await;
    receive(&mut popped).await;
    proxy.set(Mode::Cut);
    // Redis may send an id to the connection that is being closed; it is lost then.
    queue.push(LIST, &ids(1)).await;
    proxy.set(Mode::Forward);
    wait_until(async || {
        queue.push(LIST, &ids(1)).await;
        popped.try_recv().is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_listener_gives_up_a_connection_that_does_not_respond() {
    let queue = start().await;
    let (redis, proxy) = redis_behind_proxy().await;
    let behind_proxy = Queue::new(redis, &queue.0.prefix);
    proxy.set(Mode::Stall);
    let result = behind_proxy.pop(&[LIST], &mut None).await;
    assert!(result.is_err(), "{result:?}");
    proxy.set(Mode::Forward);
    let mut connection = None;
    assert_eq!(behind_proxy.pop(&[LIST], &mut connection).await, Ok(None));
    proxy.set(Mode::Stall);
    let pop = behind_proxy.pop(&[LIST], &mut connection);
    let result = tokio::time::timeout(Duration::from_secs(30), pop).await;
    assert_eq!(result.expect("no response timeout"), Err("no response in time".to_owned()));
}
