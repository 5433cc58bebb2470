//! Questions about events: a filter in MongoDB's words, groups, figures, and
//! four dashboards. Pure: what is asked, whether an event matches, what comes
//! out of those that do. Where events are kept is `store`'s business.

mod dashboards;
mod error;
mod field;
mod figures;
mod filter;
mod groups;
mod matching;
mod parsing;
mod request;
#[cfg(test)]
pub(crate) mod tests;

pub use dashboards::Dashboard;
pub use error::{QueryError, Wrong};
pub use field::{Field, Kind};
pub use figures::{Answer, AnsweredFigure, AnsweredGroup, Figure, Sample, Statistic};
pub use filter::{Filter, Relation, Scalar, Test};
pub use groups::{Groups, Measured, Row, Spread};
pub use request::{By, Order, Query};
