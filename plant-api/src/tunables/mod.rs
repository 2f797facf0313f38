//! Tunables: settings that can be changed while the service runs, for all processes of a database.
//!
//! Values are stored in PostgreSQL; without a stored value the configured one is in force. Each
//! process keeps the values in memory, so that reading them costs neither a query nor a wait.
//!
//! A new value can be rolled out in stages of 10, 50 and 100 %. A value that can differ between
//! requests ([`TunableKind::PerRequest`]) is used by that share of them: a request draws its cohort once, and
//! uses it for all values. A value of the whole process ([`TunableKind::PoolWide`]) moves by that share of
//! the way from the old to the new one.
//!
//! A change notifies all processes with its commit; each then reads all values, and reports the version
//! that it applies. Processes also read them at intervals and after a lost connection. Without a
//! database the last values stay in force.

mod catalogue;
mod change;
mod refresh;
mod sql;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::watch;
use uuid::Uuid;

use crate::error::{Error, Result};

pub use catalogue::{Defaults, Tunable, TunableKind, Unit, catalogue};
pub use change::{Change, Rollout, TunableState};
pub use values::{COHORTS, InForce, RequestTunables, Setting, Share, interpolate};

/// The tunables of this process. Clones share the state.
#[derive(Debug, Clone)]
pub struct Tunables(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    catalogue: Vec<Tunable>,
    in_force: watch::Sender<InForce>,
    /// Id of this process, under which it reports the version that it applies.
    process: Uuid,
    /// The version that this process applies.
    version: IntGauge,
}

impl Tunables {
    /// Creates tunables with their configured values. `version` shows the version of the stored values
    /// that this process applies.
    pub fn new(defaults: &Defaults, version: IntGauge) -> Self {
        let catalogue = catalogue(defaults);
        let in_force = watch::Sender::new(InForce::new(&catalogue, 0, &HashMap::new()));
        Self(Arc::new(Inner { catalogue, in_force, process: Uuid::new_v4(), version }))
    }

    /// Returns all tunables, in a fixed order.
    pub fn catalogue(&self) -> &[Tunable] {
        &self.0.catalogue
    }

    /// Returns the id of this process.
    pub fn process(&self) -> Uuid {
        self.0.process
    }

    /// Returns the tunable of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn get(&self, name: &str) -> Result<&Tunable> {
        let mut all = self.0.catalogue.iter();
        all.find(|tunable| tunable.name == name).ok_or_else(|| Error::no_such("tunable"))
    }

    /// Returns a receiver of the values in force, which changes with them.
    pub fn in_force(&self) -> watch::Receiver<InForce> {
        self.0.in_force.subscribe()
    }

    /// Draws the cohort of a request and returns the values for it.
    pub fn draw(&self) -> RequestTunables {
        self.0.in_force.borrow().for_cohort(fastrand::usize(..COHORTS))
    }
}
