//! What can go wrong with plugins, as a caller or an operator sees it. No
//! wasmtime error leaves through here: it is told in words.

use std::fmt;
use std::path::PathBuf;

use super::Slot;

/// Which way a call failed. Each kind is one code of the error taxonomy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginErrorKind {
    /// E410: it trapped: a panic, an abort or an exit.
    Trapped,
    /// E411: no answer within the slot's deadline, computing or waiting.
    DeadlineExceeded,
    /// E412: an instance was unfit, or refused its settings.
    Rejected,
    /// E413: it wanted more linear memory than the slot allows.
    MemoryLimit,
    /// E414: it answered something that the contract rules out.
    Nonsense,
}

impl PluginErrorKind {
    /// Every kind, in the order of the codes.
    pub const ALL: [Self; 5] =
        [Self::Trapped, Self::DeadlineExceeded, Self::Rejected, Self::MemoryLimit, Self::Nonsense];

    /// The code in the error taxonomy: `E410` to `E414`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Trapped => "E410",
            Self::DeadlineExceeded => "E411",
            Self::Rejected => "E412",
            Self::MemoryLimit => "E413",
            Self::Nonsense => "E414",
        }
    }
}

impl fmt::Display for PluginErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trapped => "trapped",
            Self::DeadlineExceeded => "exceeded its deadline",
            Self::Rejected => "was rejected",
            Self::MemoryLimit => "exceeded its memory limit",
            Self::Nonsense => "answered nonsense",
        })
    }
}

/// A call of a plugin that brought no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{slot} {kind}: {message}")]
pub struct PluginError {
    /// Whose plugin it was.
    pub slot: Slot,
    /// Which way it failed.
    pub kind: PluginErrorKind,
    /// What happened, in one sentence.
    pub message: String,
}

impl PluginError {
    pub(super) fn new(slot: Slot, kind: PluginErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { slot, kind, message }
    }

    /// The code in the error taxonomy: `E410` to `E414`.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

/// Why a trip has no summary. `stages` are those of the failed attempt, each
/// with its time in milliseconds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SummarizeError {
    /// The calculator itself says that it cannot: E404 or E405, by `stage`.
    #[error("the calculation failed in stage {stage}: {message}")]
    Failed {
        /// The stage that failed, such as `process_gas_mode`.
        stage: String,
        /// What went wrong, in one sentence.
        message: String,
        /// The stages it went through.
        stages: Vec<(String, f64)>,
    },
    /// The plugin broke: E410 to E414.
    #[error("{error}")]
    Plugin {
        /// How it broke.
        error: PluginError,
        /// The stages it went through.
        stages: Vec<(String, f64)>,
    },
}

/// What is wrong with a component: one line a problem, and which way it failed.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) problems: Vec<String>,
    pub(super) fault: Fault,
}

impl Unfit {
    pub(super) fn new(kind: PluginErrorKind, problem: String) -> Self {
        Self { problems: vec![problem], fault: Fault::Plugin(kind) }
    }

    /// Nobody could look at it, and it may serve later.
    pub(super) fn for_now(problem: String) -> Self {
        Self { problems: vec![problem], fault: Fault::Busy }
    }

    /// It is not what the slot takes, whatever it would do.
    pub(super) fn rejected(problem: String) -> Self {
        Self::new(PluginErrorKind::Rejected, problem)
    }
}

impl From<Vec<String>> for Unfit {
    fn from(problems: Vec<String>) -> Self {
        Self { problems, fault: Fault::Plugin(PluginErrorKind::Rejected) }
    }
}

/// What kind of thing keeps a candidate out. Each is a code of the taxonomy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// E006: more was uploaded than the slot takes.
    UploadTooLarge,
    /// E501: too much was under way to look at it.
    Busy,
    /// E410 to E414: what it did when it was tried, or E412: what it is.
    Plugin(PluginErrorKind),
}

/// A candidate that cannot serve its slot, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The slot it was meant for.
    pub slot: Slot,
    /// Where it came from: a file, or words.
    pub origin: String,
    /// What is wrong with it: one line a problem.
    pub problems: Vec<String>,
    /// What kind of thing that is.
    pub fault: Fault,
}

/// The most problems that a refusal lists, and the longest of them in characters.
const MOST_PROBLEMS: usize = 40;
pub(super) const LONGEST_PROBLEM: usize = 1000;

impl Refusal {
    /// A refusal; what a component can make long is cut.
    pub(crate) fn new(slot: Slot, origin: impl Into<String>, problems: Vec<String>) -> Self {
        let more = problems.len().saturating_sub(MOST_PROBLEMS);
        let problems = problems.into_iter().take(MOST_PROBLEMS);
        let mut problems: Vec<_> =
            problems.map(|problem| super::pool::bounded(&problem, LONGEST_PROBLEM)).collect();
        if more > 0 {
            problems.push(format!("and {more} more problems"));
        }
        let fault = Fault::Plugin(PluginErrorKind::Rejected);
        Self { slot, origin: origin.into(), problems, fault }
    }

    /// The same for another reason than what it is.
    pub(crate) fn because(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    pub(super) fn unfit(slot: Slot, origin: impl Into<String>, unfit: Unfit) -> Self {
        Self::new(slot, origin, unfit.problems).because(unfit.fault)
    }

    /// Whether it was late, which it may be on a busy machine only.
    pub fn is_late(&self) -> bool {
        self.fault == Fault::Plugin(PluginErrorKind::DeadlineExceeded)
    }

    /// Whether that says nothing of the candidate: it may serve later.
    pub fn is_for_now(&self) -> bool {
        self.fault == Fault::Busy
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}):", self.slot, self.origin)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n    {problem}"))
    }
}

/// Why the host has no plugin set to start with.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// This machine cannot run WebAssembly.
    #[error("cannot set up the WebAssembly engine: {0}")]
    Engine(String),
    /// Compiled code cannot be kept.
    #[error("cannot keep compiled plugins in {}: {problem}", dir.display())]
    Cache {
        /// The folder.
        dir: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The library of activated plugins cannot be read.
    #[error("cannot read the plugin library: {0}")]
    Library(String),
    /// `plugins.toml` is unreadable or says what the host does not know.
    #[error("cannot use the plugin settings in {}: {problem}", file.display())]
    Settings {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and where.
        problem: String,
    },
    /// One or more slots have no fit plugin.
    #[error("no plugin set to start with:{}", Listed(.0))]
    Unfit(Vec<Refusal>),
}

struct Listed<'a>(&'a [Refusal]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for refusal in self.0 {
            write!(f, "\n  {refusal}")?;
        }
        f.write_str("\nThe plugins of this repository are built by: just build-plugins")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_cannot_make_its_refusal_long() {
        let problems = vec!["forbidden import: ".to_owned() + &"x".repeat(100_000); 50];
        let refusal = Refusal::new(Slot::UsageTier, "a file", problems);
        assert_eq!(refusal.problems.len(), 41);
        assert_eq!(refusal.problems[40], "and 10 more problems");
        assert!(refusal.to_string().len() < 50_000);
    }
}
