//! What a server is started with. Starting it is `server`'s business.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::database::Database;
use crate::server::{Server, fresh_dir};

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) variables: Vec<(String, OsString)>,
    pub(crate) data_dir: Option<Arc<TempDir>>,
    pub(crate) database: Database,
    pub(crate) open_files: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { variables: Vec::new(), data_dir: None, database: Database { url: None }, open_files: None }
    }
}

impl Settings {
    /// Sets a variable of its environment.
    #[must_use]
    pub fn set(mut self, variable: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((variable.to_owned(), value.into()));
        self
    }

    /// Gives it the folder of another server instead of a fresh one.
    #[must_use]
    pub fn data_of(mut self, other: &Server) -> Self {
        self.data_dir = Some(other.data_dir.clone());
        self
    }

    /// Gives it a fresh folder, the same for all that are started with these
    /// settings.
    ///
    /// # Errors
    /// None can be made.
    pub fn in_a_fresh_folder(mut self) -> anyhow::Result<Self> {
        self.data_dir = Some(fresh_dir()?);
        Ok(self)
    }

    /// Gives it a fresh folder in this one.
    ///
    /// # Errors
    /// None can be made.
    pub fn folder_in(mut self, parent: &Path) -> anyhow::Result<Self> {
        self.data_dir = Some(Arc::new(tempfile::tempdir_in(parent)?));
        Ok(self)
    }

    /// Starts it with this soft limit of open files.
    #[must_use]
    pub fn open_files(mut self, limit: u32) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// Gives it this database.
    #[must_use]
    pub fn database(mut self, database: &Database) -> Self {
        self.database = database.clone();
        self
    }
}
