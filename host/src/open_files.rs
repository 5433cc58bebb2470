//! How many files this process may have open. Every connection is one; how
//! many connections that makes is `http`'s business.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to what the machine allows, which is far more than a
/// login's usual 1024; says what it is then.
pub fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files cannot be raised");
        return current.unwrap_or(u64::MAX);
    }
    maximum.unwrap_or(u64::MAX)
}
