use std::sync::mpsc;

use super::*;

/// A pool of one thread which is busy until the sender goes away.
fn busy() -> (Passwords, mpsc::Sender<()>, impl Future<Output = Result<()>>) {
    let passwords = Passwords::start(NonZeroUsize::new(1), PATIENCE).unwrap();
    let (end, ended) = mpsc::channel();
    let place = passwords.place().unwrap();
    let running = place.run(move |_| {
        let _ = ended.recv();
        Ok(())
    });
    (passwords, end, running)
}

#[tokio::test]
async fn what_was_hashed_is_verified() {
    let passwords = Passwords::start(NonZeroUsize::new(2), Duration::from_secs(600)).unwrap();
    let hash = passwords.place().unwrap().hash("correct horse".into()).await.unwrap();
    for (password, right) in [("correct horse", true), ("wrong horse", false)] {
        let place = passwords.place().unwrap();
        assert_eq!(place.verify(password.into(), Some(hash.clone())).await.unwrap(), right);
    }
    let place = passwords.place().unwrap();
    assert!(!place.verify("correct horse".into(), None).await.unwrap());
}

#[tokio::test]
async fn who_would_wait_too_long_is_told_at_once() {
    let (passwords, end, running) = busy();
    let running = tokio::spawn(running);
    let mut places = Vec::new();
    let refused = loop {
        match passwords.place() {
            Ok(place) => places.push(place),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code(), "unavailable");
    // One that runs and those that wait: as many as fit into the patience.
    let fit = PATIENCE.as_millis() / FIRST_GUESS.as_millis();
    assert_eq!(places.len() as u128 + 1, fit);
    places.pop();
    places.push(passwords.place().unwrap());
    drop(end);
    running.await.unwrap().unwrap();
    passwords.place().unwrap();
}

#[tokio::test]
async fn an_idle_thread_is_never_refused_however_slow_the_last_hash_was() {
    let passwords = Passwords::start(NonZeroUsize::new(1), PATIENCE).unwrap();
    passwords.0.0.took(Duration::from_secs(60));
    let place = passwords.place().unwrap();
    assert!(passwords.place().is_err());
    place.run(|_| Ok(())).await.unwrap();
    passwords.place().unwrap();
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_done() {
    let (passwords, end, running) = busy();
    let running = tokio::spawn(running);
    let (done, was_done) = mpsc::channel();
    let given_up = passwords.place().unwrap().run(move |_| {
        let _ = done.send(());
        Ok(())
    });
    // Asked for, then given up.
    assert!(futures::poll!(Box::pin(given_up)).is_pending());
    drop(end);
    running.await.unwrap().unwrap();
    passwords.place().unwrap().run(|_| Ok(())).await.unwrap();
    assert!(was_done.recv().is_err());
}

#[test]
fn half_of_the_cores_hash_and_at_least_one() {
    assert_eq!([1, 2, 3, 8].map(share_of), [1, 1, 1, 4]);
}

#[test]
fn the_threads_end_with_the_last_handle() {
    let passwords = Passwords::start(NonZeroUsize::new(2), Duration::from_secs(600)).unwrap();
    let pool = Arc::downgrade(&passwords.0.0);
    drop(passwords.clone());
    assert!(!pool.upgrade().unwrap().queue().closed);
    drop(passwords);
    while pool.upgrade().is_some() {
        thread::yield_now();
    }
}
