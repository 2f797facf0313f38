//! The number of open connections, in all and from each client address.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use crate::limit::{ClientIp, ConnectionLimit};

/// Maximum number of connections without a slot. They answer health checks when all slots are
/// taken.
const MAX_EXTRA: usize = 64;

/// Slots for connections.
#[derive(Debug)]
pub struct Slots {
    max: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
    /// The connections without a slot, oldest first; some have ended.
    extra: VecDeque<AbortHandle>,
}

/// The slot of an open connection; free again when dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    address: IpAddr,
}

impl Slots {
    pub fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { max, max_per_address, open: Mutex::default() })
    }

    /// Takes a slot for a connection of this client.
    ///
    /// # Errors
    /// Returns the limit that is reached.
    pub fn take(self: &Arc<Self>, client: ClientIp) -> Result<Slot, ConnectionLimit> {
        let mut open = self.lock();
        if open.total >= self.max {
            return Err(ConnectionLimit::All);
        }
        let address = client.key();
        let from_address = open.by_address.entry(address).or_default();
        if *from_address >= self.max_per_address {
            return Err(ConnectionLimit::Address);
        }
        *from_address += 1;
        open.total += 1;
        Ok(Slot { slots: self.clone(), address })
    }

    /// Adds a connection without a slot. If there are too many of them, the oldest is aborted, so
    /// that the newest is always served.
    pub fn add_extra(&self, connection: AbortHandle) {
        let mut open = self.lock();
        open.extra.push_back(connection);
        if open.extra.len() > MAX_EXTRA
            && let Some(oldest) = open.extra.pop_front()
        {
            oldest.abort();
        }
    }

    /// Returns the number of connections with a slot.
    pub fn open(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.lock();
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn client(address: &str) -> ClientIp {
        ClientIp(address.parse().unwrap())
    }

    #[test]
    fn slots_are_limited_in_all_and_per_address() {
        let slots = Slots::new(3, 2);
        let first = slots.take(client("192.0.2.1")).unwrap();
        let _second = slots.take(client("192.0.2.1")).unwrap();
        assert_eq!(slots.take(client("192.0.2.1")).unwrap_err(), ConnectionLimit::Address);
        let other = slots.take(client("192.0.2.2")).unwrap();
        assert_eq!(slots.take(client("192.0.2.3")).unwrap_err(), ConnectionLimit::All);
        assert_eq!(slots.open(), 3);
        drop((first, other));
        assert_eq!(slots.open(), 1);
        assert_eq!(slots.lock().by_address.len(), 1);
        let _third = slots.take(client("192.0.2.1")).unwrap();
    }

    #[test]
    fn a_refused_connection_leaves_no_entry() {
        let slots = Slots::new(0, 2);
        assert_eq!(slots.take(client("192.0.2.1")).unwrap_err(), ConnectionLimit::All);
        assert!(slots.lock().by_address.is_empty());
    }

    #[tokio::test]
    async fn only_the_newest_extra_connections_are_kept() {
        let slots = Slots::new(0, 0);
        let tasks: Vec<_> =
            (0..=MAX_EXTRA).map(|_| tokio::spawn(std::future::pending::<()>())).collect();
        for task in &tasks {
            slots.add_extra(task.abort_handle());
        }
        let mut tasks = tasks.into_iter();
        let oldest = tokio::time::timeout(Duration::from_secs(20), tasks.next().unwrap());
        assert!(oldest.await.unwrap().unwrap_err().is_cancelled());
        tokio::task::yield_now().await;
        assert!(tasks.all(|task| !task.is_finished()));
    }
}
