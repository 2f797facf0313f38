//! The thresholds of a run: of the SLA file and of the profile itself.

use super::{Plan, Profile};
use crate::{built_in::FileLoadError, harness::Harness, sla::Sla, toml_source::FileError};

impl Profile {
    /// Returns the thresholds of the SLA file `sla`, if it is given; otherwise those of the SLA file of
    /// the profile and of the profile itself. The SLA is empty if there are none.
    ///
    /// # Errors
    /// Returns an error if there is no such file or it is invalid.
    pub fn find_sla(
        &self,
        harness: &Harness,
        plan: &Plan,
        sla: Option<&str>,
    ) -> Result<Sla, FileLoadError> {
        let names = plan.allowed_names();
        if let Some(name) = sla {
            return Sla::find(harness.slas, name, &names);
        }
        let mut found = match &self.sla {
            Some(name) => Sla::find(harness.slas, name, &names)?,
            None => Sla::empty(),
        };
        for text in &self.thresholds {
            found.add_inline(text, &names).map_err(|message| {
                let file = self.name.clone();
                FileLoadError::Invalid(vec![FileError { file, line: 1, message }])
            })?;
        }
        if self.sla.is_none() && !self.thresholds.is_empty() {
            found.name = format!("thresholds of {}", self.name);
        }
        Ok(found)
    }
}
