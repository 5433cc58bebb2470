//! Why the store did not do what it was asked to.

/// A failure of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or written: busy, full, read-only, gone.
    #[error("the database cannot be reached or written: {0}")]
    Unavailable(String),
    /// It did not answer in time; whether it did the work is not known.
    #[error("the database did not answer within {0:?}")]
    TimedOut(std::time::Duration),
    /// Disk or memory of the database is used up.
    #[error("the database has no room left: {0}")]
    Exhausted(String),
    /// What was to be stored violates a constraint.
    #[error("the database refused the data: {0}")]
    Constraint(String),
    /// The database answered what this program does not understand.
    #[error("the database and this program disagree: {0}")]
    Unexpected(String),
    /// The writer has stopped.
    #[error("the store is shutting down")]
    Closed,
}

impl StoreError {
    /// Whether trying the items of a failed batch one by one can help: it
    /// cannot where the database itself is unwell.
    pub fn may_be_one_items_fault(&self) -> bool {
        matches!(self, Self::Constraint(_) | Self::Unexpected(_))
    }

    /// Whether SQLite may have begun a transaction of which sqlx does not know,
    /// or has its file open for reading only: any error but its 5, a lock.
    pub(super) fn spoils_connection(error: &sqlx::Error) -> bool {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|number| number & 0xff != 5)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(database) = &error else {
            return match error {
                sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Decode(_)
                | sqlx::Error::Encode(_)
                | sqlx::Error::RowNotFound
                | sqlx::Error::TypeNotFound { .. } => Self::Unexpected(error.to_string()),
                _ => Self::Unavailable(error.to_string()),
            };
        };
        if database.is_unique_violation()
            || database.is_check_violation()
            || database.is_foreign_key_violation()
        {
            return Self::Constraint(error.to_string());
        }
        let code = database.code().unwrap_or_default();
        match code.parse::<u32>() {
            // SQLite: the low byte is the primary result code. 1 is a generic
            // error, 7 memory, 13 disk, 18 too big, 19 constraint, 20 mismatch,
            // 25 range.
            Ok(number) if code.len() < 5 => match number & 0xff {
                18 | 19 | 20 | 25 => Self::Constraint(error.to_string()),
                1 => Self::Unexpected(error.to_string()),
                7 | 13 => Self::Exhausted(error.to_string()),
                _ => Self::Unavailable(error.to_string()),
            },
            // PostgreSQL: class 22 is data, 23 integrity, 54 what is too large (a
            // text for an index), 42 this program's SQL, 53 resources; 57014 is a
            // statement that ran out of time.
            _ if code == "57014" => Self::TimedOut(super::open::PATIENCE),
            _ => match code.get(..2) {
                Some("53") => Self::Exhausted(error.to_string()),
                Some("22" | "23" | "54") => Self::Constraint(error.to_string()),
                Some("42") => Self::Unexpected(error.to_string()),
                _ => Self::Unavailable(error.to_string()),
            },
        }
    }
}
