//! The reference implementation's answers, asked of our rules. A case that the
//! vectors mark as different is listed beside its group with what our rule
//! gives and why; a list that does not match the marks fails.

mod cases;
mod charging;
mod drive;
mod robustness;
mod trip;
mod weather;
