//! Group commit: writes that arrive while others of their key are being committed share the next
//! transaction, so that a commit costs many of them little more than one.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::error::{Error, Result};
use crate::traces::in_current_trace;

/// Maximum number of transactions of one key at a time. A write waits only while there are as many.
const MAX_TRANSACTIONS: usize = 4;

/// Maximum number of writes in one transaction.
const MAX_GROUP: usize = 64;

/// Writes of items `T` with results `R`, grouped by keys `K`. Clones share the groups.
pub struct GroupCommit<K, T, R> {
    lanes: Arc<Mutex<HashMap<K, Lane<T, R>>>>,
}

/// The writes of one key.
struct Lane<T, R> {
    transactions: usize,
    waiting: VecDeque<Waiting<T, R>>,
}

type Waiting<T, R> = (T, oneshot::Sender<R>);

impl<K, T, R> Clone for GroupCommit<K, T, R> {
    fn clone(&self) -> Self {
        Self { lanes: self.lanes.clone() }
    }
}

impl<K, T, R> Default for GroupCommit<K, T, R> {
    fn default() -> Self {
        Self { lanes: Arc::default() }
    }
}

impl<K, T, R> GroupCommit<K, T, R>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Send + 'static,
    R: Send + 'static,
{
    /// Writes `item`, and returns its result. `write` is called with items of `key` in the order of
    /// their arrival, at most 64, and returns a result for each. It runs in a task of `tasks`: it is not
    /// cancelled when the returned future is dropped, but an item whose future was dropped before is
    /// not written.
    ///
    /// # Errors
    /// [`Error::Internal`] when `write` panics.
    pub async fn write<W, F>(&self, tasks: &TaskTracker, key: K, item: T, write: W) -> Result<R>
    where
        W: Fn(K, Vec<T>) -> F + Send + 'static,
        F: Future<Output = Vec<R>> + Send + 'static,
    {
        let (sender, result) = oneshot::channel();
        if self.join(&key, (item, sender)) {
            let run = in_current_trace(self.clone().run(key, write));
            tasks.spawn(run.in_current_span());
        }
        result.await.map_err(|error| Error::Internal(Box::new(error)))
    }

    /// Adds a write to those that wait. Returns whether another transaction has to be begun.
    fn join(&self, key: &K, waiting: Waiting<T, R>) -> bool {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes
            .entry(key.clone())
            .or_insert_with(|| Lane { transactions: 0, waiting: VecDeque::new() });
        lane.waiting.push_back(waiting);
        let begin = lane.transactions < MAX_TRANSACTIONS;
        lane.transactions += usize::from(begin);
        begin
    }

    /// Writes groups until no write of the key waits.
    async fn run<W, F>(self, key: K, write: W)
    where
        W: Fn(K, Vec<T>) -> F,
        F: Future<Output = Vec<R>>,
    {
        while let Some(group) = self.next_group(&key) {
            let (items, senders): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            let written = AssertUnwindSafe(write(key.clone(), items)).catch_unwind().await;
            for (sender, result) in senders.into_iter().zip(written.unwrap_or_default()) {
                // The request may have been canceled.
                drop(sender.send(result));
            }
        }
    }

    /// Returns the writes of the next transaction; `None`, ending this one, if there are none.
    fn next_group(&self, key: &K) -> Option<Vec<Waiting<T, R>>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.get_mut(key)?;
        lane.waiting.retain(|(_, sender)| !sender.is_closed());
        if !lane.waiting.is_empty() {
            let size = lane.waiting.len().min(MAX_GROUP);
            return Some(lane.waiting.drain(..size).collect());
        }
        lane.transactions -= 1;
        if lane.transactions == 0 {
            lanes.remove(key);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    type Groups = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Writes items to `groups`, one group for each permit.
    fn writer(
        groups: &Groups,
        permits: &Arc<Semaphore>,
    ) -> impl Fn(&'static str, Vec<u32>) -> futures::future::BoxFuture<'static, Vec<u32>>
    + Clone
    + Send
    + 'static {
        let (groups, permits) = (groups.clone(), permits.clone());
        move |_, items| {
            let (groups, permits) = (groups.clone(), permits.clone());
            async move {
                groups.lock().unwrap().push(items.clone());
                permits.acquire().await.unwrap().forget();
                assert!(!items.contains(&666), "an item that makes the write panic");
                items.into_iter().map(|item| item * 10).collect()
            }
            .boxed()
        }
    }

    /// Submits items in their order, and returns the task that collects their results.
    async fn submit(
        lanes: &GroupCommit<&'static str, u32, u32>,
        tasks: &TaskTracker,
        key: &'static str,
        items: std::ops::Range<u32>,
        write: impl Fn(&'static str, Vec<u32>) -> futures::future::BoxFuture<'static, Vec<u32>>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> tokio::task::JoinHandle<Vec<Result<u32>>> {
        let (lanes, tasks) = (lanes.clone(), tasks.clone());
        let submitted = tokio::spawn(async move {
            join_all(items.map(|item| lanes.write(&tasks, key, item, write.clone()))).await
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        submitted
    }

    fn results(results: Vec<Result<u32>>) -> Vec<u32> {
        results.into_iter().map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn writes_that_wait_share_the_next_transaction() {
        let (groups, permits) = (Groups::default(), Arc::new(Semaphore::new(0)));
        let (lanes, tasks) = (GroupCommit::default(), TaskTracker::new());
        let write = writer(&groups, &permits);
        let mut begun = Vec::new();
        for item in 0..4 {
            begun.push(submit(&lanes, &tasks, "a", item..item + 1, write.clone()).await);
        }
        let waiting = submit(&lanes, &tasks, "a", 4..100, write.clone()).await;
        // Four have begun at once, each alone; another key does not wait for them.
        assert_eq!(*groups.lock().unwrap(), [[0], [1], [2], [3]]);
        let other = submit(&lanes, &tasks, "b", 7..8, write).await;
        assert_eq!(groups.lock().unwrap().last().unwrap(), &[7]);
        permits.add_permits(100);
        let expected: Vec<u32> = (4..100).map(|item| item * 10).collect();
        assert_eq!(results(waiting.await.unwrap()), expected);
        for (task, expected) in begun.into_iter().zip([0, 10, 20, 30]) {
            assert_eq!(results(task.await.unwrap()), [expected]);
        }
        assert_eq!(results(other.await.unwrap()), [70]);
        let sizes: Vec<usize> = groups.lock().unwrap()[5..].iter().map(Vec::len).collect();
        assert_eq!(sizes, [64, 32]);
        assert!(lanes.lanes.lock().unwrap().is_empty(), "no lane is left");
    }

    #[tokio::test]
    async fn a_write_that_was_given_up_before_its_turn_is_not_written() {
        let (groups, permits) = (Groups::default(), Arc::new(Semaphore::new(0)));
        let (lanes, tasks) = (GroupCommit::default(), TaskTracker::new());
        let write = writer(&groups, &permits);
        let mut begun = Vec::new();
        for item in 0..4 {
            begun.push(submit(&lanes, &tasks, "a", item..item + 1, write.clone()).await);
        }
        let given_up = submit(&lanes, &tasks, "a", 4..5, write.clone()).await;
        let last = submit(&lanes, &tasks, "a", 5..6, write).await;
        given_up.abort();
        assert!(given_up.await.is_err());
        permits.add_permits(100);
        assert_eq!(join_all(begun).await.len(), 4);
        assert_eq!(results(last.await.unwrap()), [50]);
        assert_eq!(groups.lock().unwrap()[4..], [[5]]);
    }

    #[tokio::test]
    async fn begun_writes_end_although_their_requests_were_given_up() {
        let (groups, permits) = (Groups::default(), Arc::new(Semaphore::new(0)));
        let (lanes, tasks) = (GroupCommit::default(), TaskTracker::new());
        let given_up = submit(&lanes, &tasks, "a", 0..1, writer(&groups, &permits)).await;
        given_up.abort();
        assert!(given_up.await.is_err());
        permits.add_permits(1);
        tasks.close();
        tasks.wait().await;
        assert_eq!(permits.available_permits(), 0, "it took its permit after that");
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_group_only() {
        let (groups, permits) = (Groups::default(), Arc::new(Semaphore::new(100)));
        let (lanes, tasks) = (GroupCommit::default(), TaskTracker::new());
        let write = writer(&groups, &permits);
        let failed = submit(&lanes, &tasks, "a", 666..667, write.clone()).await.await.unwrap();
        assert!(matches!(failed[..], [Err(Error::Internal(_))]));
        let next = submit(&lanes, &tasks, "a", 0..9, write).await.await.unwrap();
        assert_eq!(next.len(), 9);
        assert!(next.iter().all(Result::is_ok));
        assert!(lanes.lanes.lock().unwrap().is_empty(), "no lane is left");
    }
}
