use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc;

use super::*;

/// Returns a pool of one thread, which is busy until the sender is dropped.
fn busy_pool(
    max_latency: Duration,
) -> (PasswordHasher, mpsc::Sender<()>, impl Future<Output = Result<()>>) {
    let hasher = PasswordHasher::start(NonZeroUsize::new(1), max_latency).unwrap();
    let (release, released) = mpsc::channel();
    let slot = hasher.reserve(CLIENT).unwrap();
    let running = slot.run(move |_| {
        let _ = released.recv();
        Ok(())
    });
    (hasher, release, running)
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn verification_accepts_only_the_hashed_password() {
    let hasher = PasswordHasher::start(NonZeroUsize::new(2), Duration::from_secs(600)).unwrap();
    let hash = hasher.reserve(CLIENT).unwrap().hash("correct horse".into()).await.unwrap();
    for (password, expected) in [("correct horse", true), ("wrong horse", false)] {
        let slot = hasher.reserve(CLIENT).unwrap();
        assert_eq!(
            slot.verify(password.into(), Some(hash.clone())).await.unwrap().matches,
            expected
        );
    }
    let slot = hasher.reserve(CLIENT).unwrap();
    assert!(!slot.verify("correct horse".into(), None).await.unwrap().matches);
}

#[tokio::test]
async fn reservations_beyond_the_latency_limit_fail_at_once() {
    let (hasher, release, running) = busy_pool(MAX_HASH_LATENCY);
    let running = tokio::spawn(running);
    let mut slots = Vec::new();
    let refused = loop {
        match hasher.reserve(CLIENT) {
            Ok(slot) => slots.push(slot),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code(), "unavailable");
    // One hash that runs and those that wait: as many as fit into the latency limit.
    let max_slots = MAX_HASH_LATENCY.as_millis() / INITIAL_ESTIMATE.as_millis();
    assert_eq!(slots.len() as u128 + 1, max_slots);
    slots.pop();
    slots.push(hasher.reserve(CLIENT).unwrap());
    // A client that fills the queue does not shut out the others.
    let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let _other = hasher.reserve(other).unwrap();
    assert!(hasher.reserve(other).is_err());
    drop(release);
    running.await.unwrap().unwrap();
    hasher.reserve(CLIENT).unwrap();
}

#[tokio::test]
async fn an_idle_thread_accepts_a_hash_even_if_the_last_one_was_slow() {
    let hasher = PasswordHasher::start(NonZeroUsize::new(1), MAX_HASH_LATENCY).unwrap();
    hasher.0.0.record_duration(Duration::from_secs(60));
    let slot = hasher.reserve(CLIENT).unwrap();
    assert!(hasher.reserve(CLIENT).is_err());
    slot.run(|_| Ok(())).await.unwrap();
    hasher.reserve(CLIENT).unwrap();
}

#[tokio::test]
async fn a_canceled_hash_is_skipped() {
    let (hasher, release, running) = busy_pool(Duration::from_secs(600));
    let running = tokio::spawn(running);
    let (ran, has_run) = mpsc::channel();
    let canceled = hasher.reserve(CLIENT).unwrap().run(move |_| {
        let _ = ran.send(());
        Ok(())
    });
    // The temporary future is dropped after one poll.
    assert!(futures::poll!(Box::pin(canceled)).is_pending());
    drop(release);
    running.await.unwrap().unwrap();
    hasher.reserve(CLIENT).unwrap().run(|_| Ok(())).await.unwrap();
    assert!(has_run.recv().is_err());
}

#[test]
fn the_default_is_half_of_the_cores_and_at_least_two_of_several() {
    assert_eq!([1, 2, 3, 8].map(default_threads), [1, 2, 2, 4]);
}

#[test]
fn the_threads_stop_with_the_last_handle() {
    let hasher = PasswordHasher::start(NonZeroUsize::new(2), Duration::from_secs(600)).unwrap();
    let pool = Arc::downgrade(&hasher.0.0);
    drop(hasher.clone());
    assert!(!pool.upgrade().unwrap().queue().closed);
    drop(hasher);
    while pool.upgrade().is_some() {
        thread::yield_now();
    }
}
