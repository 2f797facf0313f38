//! The thresholds of a run: of the SLA file and of the profile itself.

use super::{Plan, Profile};
use crate::{
    built_in::FileLoadError,
    harness::Harness,
    service_metrics,
    sla::{AllowedNames, Sla},
    toml_source::{FileError, Place},
};

/// A threshold that is written in a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileThreshold {
    /// The threshold in one line.
    pub text: String,
    /// Where it is written.
    pub place: Place,
}

impl Profile {
    /// Returns the names that thresholds of this run may contain, without the metrics that the service
    /// does not have.
    #[must_use]
    pub fn allowed_names<'p>(&self, harness: &Harness, plan: &'p Plan) -> AllowedNames<'p> {
        let unmeasured = service_metrics::never_measured(&self.service(harness));
        AllowedNames { unmeasured, ..plan.allowed_names() }
    }

    /// Returns the thresholds of the SLA file `sla`, if it is given; otherwise those of the SLA file of
    /// the profile and of the profile itself. The SLA is empty if there are none.
    ///
    /// # Errors
    /// Returns an error if there is no such file, or with all mistakes that the thresholds have.
    pub fn find_sla(
        &self,
        harness: &Harness,
        names: &AllowedNames<'_>,
        sla: Option<&str>,
    ) -> Result<Sla, FileLoadError> {
        if let Some(name) = sla {
            return Sla::find(harness.slas, name, names);
        }
        let (mut found, mut errors) = match &self.sla {
            None => (Sla::empty(), Vec::new()),
            Some(name) => match Sla::find(harness.slas, name, names) {
                Ok(found) => (found, Vec::new()),
                Err(FileLoadError::Invalid(errors)) => (Sla::empty(), errors),
                Err(error) => return Err(error),
            },
        };
        for ProfileThreshold { text, place } in &self.thresholds {
            if let Err(message) = found.add_inline(text, names) {
                errors.push(FileError { file: self.file.clone(), place: place.clone(), message });
            }
        }
        if !errors.is_empty() {
            return Err(FileLoadError::Invalid(errors));
        }
        if self.sla.is_none() && !self.thresholds.is_empty() {
            found.name = format!("thresholds of {}", self.name);
        }
        Ok(found)
    }
}
