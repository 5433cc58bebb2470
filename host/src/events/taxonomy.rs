//! The error taxonomy: every code, what it means and how grave it is. Which
//! path raises a code is that path's business.

use schemars::JsonSchema;
use serde::Serialize;

/// How grave a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody sent something unfit, or a neighbour is unwell.
    Warning,
    /// An operation failed.
    Error,
    /// The service fails its users.
    Critical,
}

impl Severity {
    /// The name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// Where a failure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// What was sent breaks a rule of the interface.
    Validation,
    /// A service of somebody else.
    ExternalApi,
    /// The store.
    Database,
    /// What was sent cannot be read.
    Parsing,
    /// Trips, and the plugins that hold the rules on them.
    BusinessLogic,
    /// The process and its machine.
    System,
}

impl Category {
    /// The name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::ExternalApi => "external_api",
            Self::Database => "database",
            Self::Parsing => "parsing",
            Self::BusinessLogic => "business_logic",
            Self::System => "system",
        }
    }
}

macro_rules! taxonomy {
    ($($code:ident $category:ident $severity:ident $alert:literal $doc:literal;)*) => {
        /// An error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        pub enum Code { $(#[doc = $doc] $code,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Code] = &[$(Code::$code,)*];

            /// The code as text, such as `E200`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$code => stringify!($code),)* }
            }
            /// The code of this text, if there is one.
            pub fn named(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text)
            }
            /// Its category.
            pub fn category(self) -> Category {
                match self { $(Code::$code => Category::$category,)* }
            }
            /// Its severity.
            pub fn severity(self) -> Severity {
                match self { $(Code::$code => Severity::$severity,)* }
            }
            /// Whether somebody should be told at once.
            pub fn alert(self) -> bool {
                match self { $(Code::$code => $alert,)* }
            }
            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$code => $doc,)* }
            }
        }
    };
}

taxonomy! {
    E001 Validation Warning false "The token is missing or wrong.";
    E002 Validation Warning false "The upload has neither a device id nor an e-mail, or a request lacks what it needs.";
    E003 Validation Warning false "A field has the wrong type.";
    E004 Validation Warning false "A field is out of range.";
    E005 Validation Warning false "The upload has no session, or a malformed one.";
    E006 Validation Warning false "The body, the target or the head of the request is too large.";
    E007 Validation Warning false "The address or the vehicle sends more uploads a minute than it may, or the address too many wrong tokens.";
    E100 ExternalApi Warning true "The weather service did not answer in time.";
    E101 ExternalApi Warning true "The weather service cannot be reached, or hung up before it answered.";
    E102 ExternalApi Warning true "The weather service refused a request, failed, or answered what cannot be used.";
    E103 ExternalApi Error true "The weather service wants fewer requests: it answered 429.";
    E200 Database Critical true "The store cannot be reached or written.";
    E201 Database Error true "A query took too long.";
    E202 Database Error true "A constraint of the store was violated.";
    E203 Database Warning false "A batch was rolled back, and its uploads were retried one by one.";
    E204 Database Info false "Another host holds the trip's claim.";
    E205 Database Info false "The trip goes on: something was received for it, or for the one before, while it was finalized.";
    E300 Parsing Warning false "The request or its form cannot be read.";
    E301 Parsing Warning false "The reading's time is malformed, zero, negative, in seconds, or more than 24 hours ahead.";
    E302 Parsing Warning false "The position is impossible: it was dropped, the reading kept.";
    E303 Parsing Warning false "The JSON of an API request cannot be read.";
    E304 Parsing Warning false "The upload has no time or no telemetry field.";
    E305 Parsing Warning false "A row of a track log, or all of it, cannot be used.";
    E400 BusinessLogic Error true "There is no such trip.";
    E401 BusinessLogic Warning false "The reading belongs to a trip that was closed too long ago.";
    E402 BusinessLogic Warning false "A trip is to be calculated again whose readings are gone.";
    E403 BusinessLogic Error true "A trip is to be calculated again that is still open.";
    E404 BusinessLogic Error true "The calculator failed in the gas-mode stage.";
    E405 BusinessLogic Error true "The calculator failed in another stage.";
    E410 BusinessLogic Error true "A plugin trapped.";
    E411 BusinessLogic Error true "A plugin exceeded its deadline.";
    E412 BusinessLogic Error true "A plugin was rejected at activation or by configure.";
    E413 BusinessLogic Error true "A plugin hit its memory limit.";
    E414 BusinessLogic Error true "A plugin answered nonsense.";
    E500 System Critical true "The operation panicked or was abandoned.";
    E501 System Critical true "Disk, memory or a queue is exhausted.";
    E502 System Error true "The operation timed out.";
    E503 System Critical true "The service is not ready or is shutting down.";
    E504 System Info false "The client was gone before the answer.";
}

/// A failure as an operation reports it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Failure {
    /// The code.
    pub code: Code,
    /// What went wrong here, in one sentence, without anything secret.
    pub message: String,
    /// Type of the cause, such as `StoreError`.
    pub exception_type: Option<&'static str>,
    /// The cause in its own words.
    pub exception_message: Option<String>,
}

impl Failure {
    /// A failure without a cause of its own.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), exception_type: None, exception_message: None }
    }

    /// Adds the cause.
    pub fn caused_by(mut self, kind: &'static str, cause: impl std::fmt::Display) -> Self {
        self.exception_type = Some(kind);
        self.exception_message = Some(cause.to_string());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_written() {
        for code in Code::ALL {
            assert_eq!(serde_json::json!(code.severity()), code.severity().as_str());
            assert_eq!(serde_json::json!(code.category()), code.category().as_str());
        }
    }

    #[test]
    fn codes_are_unique_and_in_order() {
        let texts: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let mut sorted = texts.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(texts, sorted);
    }
}
