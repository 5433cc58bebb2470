//! What is wrong with a question, and where.

/// Something in a question cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct QueryError {
    /// The place, as `filter.duration_ms.$gte`.
    pub at: String,
    /// What is wrong there, and what is wanted.
    pub message: String,
    /// What kind of mistake it is.
    pub wrong: Wrong,
}

/// What kind of mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Nobody knows such a thing, or it is of another type.
    Type,
    /// It is too large, too long or too much.
    Range,
}

impl QueryError {
    /// Something unknown, or of another type than is wanted.
    pub fn wrong_type(at: &str, message: impl Into<String>) -> Self {
        Self { at: at.to_owned(), message: message.into(), wrong: Wrong::Type }
    }

    /// Too large, too long or too much.
    pub fn out_of_range(at: &str, message: impl Into<String>) -> Self {
        Self { at: at.to_owned(), message: message.into(), wrong: Wrong::Range }
    }
}
