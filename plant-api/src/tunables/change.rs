//! Changes of stored values: by an operator at once, or by a rollout in stages.
//!
//! Each function runs in the transaction of its caller, which holds a lock from then on: changes of
//! all tunables are made one after the other. Repeating a change that was made is a success without effect.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Setting, Share, Tunable, TunableKind, Tunables, Unit, sql};
use crate::error::{Error, Result};

/// A tunable, its value, and its rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TunableState {
    /// Name.
    #[schema(example = "page_size_cap")]
    pub name: String,
    /// What the value controls.
    #[schema(example = "Maximum length of a page of a list")]
    pub description: String,
    /// How a new value is rolled out.
    pub kind: TunableKind,
    /// Unit of the values.
    pub unit: Unit,
    /// Lower bound.
    #[schema(example = 10)]
    pub min: i64,
    /// Upper bound.
    #[schema(example = 500)]
    pub max: i64,
    /// Configured value of the process that responds.
    #[schema(example = 500)]
    pub default: i64,
    /// Current value; during a rollout the old one.
    #[schema(example = 500)]
    pub value: i64,
    /// Whether the value was set; if not, each process uses its configured one.
    pub is_set: bool,
    /// The rollout in progress.
    pub rollout: Option<Rollout>,
    /// Version of all tunables at the last change of this one; 0 if it was never changed.
    #[schema(example = 3)]
    pub version: i64,
    /// Who made the last change.
    #[schema(example = "operator")]
    pub updated_by: Option<String>,
    /// When the last change was made.
    pub updated_at: Option<DateTime<Utc>>,
    #[serde(skip)]
    stored_value: Option<i64>,
    /// The last rollout that ended, and whether its value became the current one.
    #[serde(skip)]
    ended_rollout: Option<(Uuid, bool)>,
}

/// A rollout in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Rollout {
    /// Id of the rollout, such as that of a workflow.
    pub id: Uuid,
    /// The new value.
    #[schema(example = 100)]
    pub value: i64,
    /// Share of the requests that use the new value, or of the way to it, in percent.
    #[serde(rename = "share_percent", serialize_with = "serialize_percent")]
    #[schema(value_type = i16, example = 10)]
    pub share: Share,
}

fn serialize_percent<S: serde::Serializer>(
    share: &Share,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_i16(share.percent())
}

/// Which tunable is changed, by whom and when.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Name of the tunable.
    pub name: &'a str,
    /// Who makes the change.
    pub actor: &'a str,
    pub at: DateTime<Utc>,
}

/// Values that a change leaves.
struct Changed {
    value: Option<i64>,
    rollout: Option<Rollout>,
    ended_rollout: Option<(Uuid, bool)>,
}

impl Tunables {
    /// Returns the state of all tunables, in the order of the catalogue.
    ///
    /// # Errors
    /// Database errors.
    pub async fn list(&self, connection: &mut PgConnection) -> Result<Vec<TunableState>> {
        let rows = sql::list(connection).await?;
        let state = |tunable: &Tunable| {
            let row = rows.iter().find(|row| row.name.as_deref() == Some(&tunable.name));
            TunableState::new(tunable, row)
        };
        Ok(self.catalogue().iter().map(state).collect())
    }

    /// Returns the state of a tunable.
    ///
    /// # Errors
    /// [`Error::NotFound`]; database errors.
    pub async fn find(&self, connection: &mut PgConnection, name: &str) -> Result<TunableState> {
        let tunable = self.get(name)?;
        let rows = sql::list(connection).await?;
        let row = rows.iter().find(|row| row.name.as_deref() == Some(name));
        Ok(TunableState::new(tunable, row))
    }

    /// Locks all tunables until the end of the transaction and returns the state of one.
    ///
    /// # Errors
    /// As [`Tunables::find`].
    pub async fn lock(&self, connection: &mut PgConnection, name: &str) -> Result<TunableState> {
        self.get(name)?;
        sql::lock_version(&mut *connection).await?;
        self.find(connection, name).await
    }

    /// Sets the current value, or with `None` the configured one, for all requests and processes.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Validation`] if the value is out of bounds; [`Error::Conflict`] during a
    /// rollout; database errors.
    pub async fn set(
        &self,
        connection: &mut PgConnection,
        change: Change<'_>,
        value: Option<i64>,
    ) -> Result<TunableState> {
        let state = self.lock(&mut *connection, change.name).await?;
        state.check_bounds(value)?;
        if let Some(rollout) = state.rollout {
            return Err(rollout.conflict(change.name));
        }
        if state.stored_value == value {
            return Ok(state);
        }
        self.write(connection, change, Changed { value, rollout: None, ended_rollout: None }).await
    }

    /// Begins the rollout of a new value with this share. If it is in progress, its share stays.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Validation`] if the value is out of bounds; [`Error::Conflict`] during
    /// another rollout, or if this one has ended; database errors.
    pub async fn begin_rollout(
        &self,
        connection: &mut PgConnection,
        change: Change<'_>,
        rollout: Rollout,
    ) -> Result<TunableState> {
        let state = self.lock(&mut *connection, change.name).await?;
        state.check_bounds(Some(rollout.value))?;
        match state.rollout {
            Some(Rollout { id, value, .. }) if (id, value) == (rollout.id, rollout.value) => {
                return Ok(state);
            }
            Some(current) => return Err(current.conflict(change.name)),
            None => {}
        }
        if state.ended_rollout.is_some_and(|(id, _)| id == rollout.id) {
            return Err(state.no_such_rollout(rollout.id));
        }
        let value = state.stored_value;
        let changed = Changed { value, rollout: Some(rollout), ended_rollout: None };
        self.write(connection, change, changed).await
    }

    /// Changes the share of a rollout in progress.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if this rollout is not in progress; database errors.
    pub async fn set_share(
        &self,
        connection: &mut PgConnection,
        change: Change<'_>,
        rollout: Uuid,
        share: Share,
    ) -> Result<TunableState> {
        let state = self.lock(&mut *connection, change.name).await?;
        let Some(current) = state.rollout.filter(|current| current.id == rollout) else {
            return Err(state.no_such_rollout(rollout));
        };
        if current.share == share {
            return Ok(state);
        }
        let (value, next) = (state.stored_value, Rollout { share, ..current });
        let changed = Changed { value, rollout: Some(next), ended_rollout: None };
        self.write(connection, change, changed).await
    }

    /// Ends a rollout: its value becomes the current one.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if this rollout is not in progress and was not finished;
    /// database errors.
    pub async fn finish(
        &self,
        connection: &mut PgConnection,
        change: Change<'_>,
        rollout: Uuid,
    ) -> Result<TunableState> {
        let state = self.lock(&mut *connection, change.name).await?;
        match state.rollout.filter(|current| current.id == rollout) {
            Some(current) => {
                let (value, ended_rollout) = (Some(current.value), Some((rollout, true)));
                let changed = Changed { value, rollout: None, ended_rollout };
                self.write(connection, change, changed).await
            }
            None if state.ended_rollout == Some((rollout, true)) => Ok(state),
            None => Err(state.no_such_rollout(rollout)),
        }
    }

    /// Ends a rollout: the old value is in force again. A rollout that never began is rolled back already.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if this rollout was finished; database errors.
    pub async fn roll_back(
        &self,
        connection: &mut PgConnection,
        change: Change<'_>,
        rollout: Uuid,
    ) -> Result<TunableState> {
        let state = self.lock(&mut *connection, change.name).await?;
        if state.rollout.is_some_and(|current| current.id == rollout) {
            let (value, ended_rollout) = (state.stored_value, Some((rollout, false)));
            let changed = Changed { value, rollout: None, ended_rollout };
            return self.write(connection, change, changed).await;
        }
        if state.ended_rollout == Some((rollout, true)) {
            return Err(state.no_such_rollout(rollout));
        }
        Ok(state)
    }

    async fn write(
        &self,
        connection: &mut PgConnection,
        change: Change<'_>,
        changed: Changed,
    ) -> Result<TunableState> {
        let row = sql::Change {
            name: change.name,
            value: changed.value,
            rollout: changed.rollout.map(|new| (new.id, new.value, new.share.percent())),
            ended_rollout: changed.ended_rollout,
            updated_by: change.actor,
            updated_at: change.at,
        };
        sql::write(&mut *connection, &row).await?;
        self.find(connection, change.name).await
    }
}

impl Rollout {
    fn conflict(self, name: &str) -> Error {
        Error::Conflict(format!("`{name}` is in the rollout {}; wait until it has ended", self.id))
    }
}

impl TunableState {
    fn new(tunable: &Tunable, row: Option<&sql::Row>) -> Self {
        let stored_value = row.and_then(|row| row.value);
        Self {
            name: tunable.name.clone(),
            description: tunable.description.clone(),
            kind: tunable.kind,
            unit: tunable.unit,
            min: tunable.min,
            max: tunable.max,
            default: tunable.default,
            value: stored_value.unwrap_or(tunable.default),
            is_set: stored_value.is_some(),
            rollout: row.and_then(rollout),
            version: row.and_then(|row| row.row_version).unwrap_or_default(),
            updated_by: row.and_then(|row| row.updated_by.clone()),
            updated_at: row.and_then(|row| row.updated_at),
            stored_value,
            ended_rollout: row.and_then(|row| row.ended_rollout_id.zip(row.ended_rollout_finished)),
        }
    }

    fn check_bounds(&self, value: Option<i64>) -> Result<()> {
        let (min, max) = (self.min, self.max);
        match value {
            Some(value) if !(min..=max).contains(&value) => {
                Err(Error::invalid("value", "range", format!("must be {min} to {max}")))
            }
            _ => Ok(()),
        }
    }

    fn no_such_rollout(&self, rollout: Uuid) -> Error {
        Error::Conflict(format!("the rollout {rollout} of `{}` is not in progress", self.name))
    }
}

/// Returns the rollout of a row.
fn rollout(row: &sql::Row) -> Option<Rollout> {
    let share = Share::from_percent(row.rollout_share?)?;
    Some(Rollout { id: row.rollout_id?, value: row.rollout_value?, share })
}

/// Returns the setting of a row.
pub(super) fn setting(row: &sql::Row) -> Setting {
    let rollout = rollout(row).map(|rollout| (rollout.value, rollout.share));
    Setting { value: row.value, rollout }
}
