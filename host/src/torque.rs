//! What a Torque Pro request says: its parameters in, a reading, a profile, units
//! or a notice out; and what its log says. Pure: no network, no storage, no clock, no business rule.

mod catalogue;
mod form;
mod header;
mod hiding;
mod parameters;
mod reading;
mod redaction;
pub mod track_log;
mod unit;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

pub use catalogue::{Catalogue, CatalogueError, Field};
pub use header::{Header, Identity};
pub use hiding::{Hiding, Known, Shapes};
use parameters::Parameters;
pub use reading::Reading;
use reading::{Settled, Telemetry};
pub use redaction::redact;

/// A request that says something worth keeping.
#[derive(Debug, Clone, PartialEq)]
pub struct Upload {
    /// Who sent it.
    pub identity: Identity,
    /// The session it belongs to, which with the identity makes the trip.
    pub session_id: Uuid,
    /// When it was sent by the phone's clock, where it says so believably: epoch
    /// milliseconds.
    pub time_ms: Option<i64>,
    /// What it can be counted and explained by.
    pub header: Header,
    /// What it says.
    pub content: Content,
}

impl Upload {
    /// Which of the five kinds of upload it is.
    pub fn kind(&self) -> UploadKind {
        match self.content {
            Content::Notice { .. } => UploadKind::Notice,
            Content::Profile(_) => UploadKind::Profile,
            Content::DefaultUnits { .. } => UploadKind::DefaultUnits,
            Content::UserUnits(_) => UploadKind::UserUnits,
            Content::Reading(_) => UploadKind::Telemetry,
        }
    }
}

/// The kinds of upload that share one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UploadKind {
    /// The app tells of an event, such as the start of a trip.
    Notice,
    /// The vehicle as set up in the app.
    Profile,
    /// The units that values are sent in.
    DefaultUnits,
    /// How the driver wants values displayed.
    UserUnits,
    /// Values: a reading.
    Telemetry,
}

impl UploadKind {
    /// The name for events and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Profile => "profile",
            Self::DefaultUnits => "default_units",
            Self::UserUnits => "user_units",
            Self::Telemetry => "telemetry",
        }
    }
}

/// What an upload says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// One moment of a drive. It may have no field at all, when none of its
    /// values was a number.
    Reading(Reading),
    /// The vehicle as set up in the app.
    Profile(Profile),
    /// The units that values are sent in.
    DefaultUnits {
        /// By normalised PID, as the app writes them.
        units: BTreeMap<String, String>,
        /// Where the catalogue has another unit, sorted by PID.
        conflicts: Vec<UnitConflict>,
    },
    /// Display preferences by parameter name, its PID normalised (`userUnit5`).
    UserUnits(BTreeMap<String, String>),
    /// An event in the app.
    Notice {
        /// What happened, as the app words it.
        text: String,
        /// The app's class for it.
        class: Option<String>,
    },
}

/// The vehicle as set up in the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// `profileName`.
    pub name: Option<String>,
    /// All else, by what follows `profile` (`FuelType`, `Weight` …).
    pub values: BTreeMap<String, String>,
}

/// A PID that the app says it sends in another unit than the catalogue has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitConflict {
    /// The PID, normalised.
    pub pid: String,
    /// The unit as the app writes it.
    pub reported: String,
    /// The unit of the catalogue.
    pub expected: String,
}

/// Why a request can never be kept, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Who sent it, if that was said.
    pub identity: Option<Identity>,
    /// The session, if that was said.
    pub session_id: Option<Uuid>,
    /// The kind, if anything but header parameters came.
    pub kind: Option<UploadKind>,
    /// What it can be counted and explained by.
    pub header: Header,
    /// What is wrong, for machines.
    pub code: RefusalCode,
    /// What is wrong, in words. Fixed texts, so it repeats nothing that was sent.
    pub message: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for Refusal {}

/// The reasons for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// Neither device id nor e-mail.
    MissingIdentity,
    /// No session, or a blank one.
    BadSession,
    /// No parameter that the app sends: not a form, or not the app's.
    Unreadable,
    /// Telemetry at a time that cannot be.
    BadTime,
    /// No time, or nothing but header parameters.
    NoTelemetry,
}

/// Reads a request: its raw query string (without `?`) and its form body, either
/// of which may be empty. Where both have a parameter, the body's comes later.
///
/// # Errors
/// The first that applies, from what concerns the whole request to what concerns
/// a reading: nothing readable (E300), no identity (E002), no session (E005),
/// nothing but header parameters (E304), telemetry without a time (E304) or at an
/// impossible one (E301). `received_ms` is what "ahead of receipt" is judged by.
pub fn decode(catalogue: &Catalogue, query: &[u8], body: &[u8], received_ms: i64) -> Result<Upload, Refusal> {
    let mut sent = Parameters::sort(catalogue, query, body);
    let kind = sent.kind();
    let telemetry = sent.telemetry.take().map(Telemetry::settle);
    let header = header_of(&sent, kind, telemetry.as_ref());
    let identity = Identity::new(sent.device_id.as_deref(), sent.email.as_deref());
    let session_id = sent.session.as_deref().and_then(header::session_id);

    let refuse = |identity, (code, message)| Refusal {
        identity,
        session_id,
        kind,
        header: header.clone(),
        code,
        message,
    };
    if !sent.recognised {
        let reason = (RefusalCode::Unreadable, "no parameter that Torque Pro sends");
        return Err(refuse(identity, reason));
    }
    let Some(identity) = identity else {
        let reason = (RefusalCode::MissingIdentity, "neither id nor eml");
        return Err(refuse(None, reason));
    };
    let Some(session_id) = session_id else {
        let reason = (RefusalCode::BadSession, "no session");
        return Err(refuse(Some(identity), reason));
    };
    let time_ms = header::time_ms(sent.time.as_deref(), received_ms);
    match content_of(catalogue, sent, kind, telemetry, time_ms) {
        Ok(content) => Ok(Upload { identity, session_id, time_ms: time_ms.ok(), header, content }),
        Err(reason) => Err(refuse(Some(identity), reason)),
    }
}

type Reason = (RefusalCode, &'static str);

fn header_of(sent: &Parameters<'_, '_>, kind: Option<UploadKind>, telemetry: Option<&Settled>) -> Header {
    let version = sent.version.as_deref().map(str::trim);
    Header {
        app_version: version.filter(|text| !text.is_empty()).map(str::to_owned),
        raw_params_count: sent.count,
        unknown_params_count: telemetry.map_or(0, Settled::unknown_params_count),
        dropped_values_count: telemetry.map_or(0, |settled| settled.dropped_values_count),
        ignored_params_count: sent.ignored(kind),
    }
}

/// What the request says, by its kind. Only a reading needs a time.
fn content_of(
    catalogue: &Catalogue,
    sent: Parameters<'_, '_>,
    kind: Option<UploadKind>,
    telemetry: Option<Settled>,
    time_ms: Result<i64, Reason>,
) -> Result<Content, Reason> {
    if let Some(settled) = telemetry {
        return Ok(Content::Reading(settled.into_reading(time_ms?)));
    }
    match kind {
        Some(UploadKind::Profile) => Ok(Content::Profile(profile(sent.profile))),
        Some(UploadKind::DefaultUnits) => Ok(Content::DefaultUnits {
            conflicts: conflicts(catalogue, &sent.default_units),
            units: sent.default_units,
        }),
        Some(UploadKind::UserUnits) => Ok(Content::UserUnits(sent.user_units)),
        Some(UploadKind::Notice) => Ok(Content::Notice {
            text: sent.notice.unwrap_or_default().into_owned(),
            class: sent.notice_class.map(Into::into),
        }),
        Some(UploadKind::Telemetry) | None => {
            Err((RefusalCode::NoTelemetry, "nothing but header parameters"))
        }
    }
}

fn profile(mut values: BTreeMap<String, String>) -> Profile {
    let key = values.keys().find(|key| key.eq_ignore_ascii_case("name")).cloned();
    let name = key.and_then(|key| values.remove(&key));
    Profile { name: name.filter(|name| !name.trim().is_empty()), values }
}

/// The PIDs whose reported unit is not the catalogue's. Where either says
/// nothing, there is nothing to compare.
fn conflicts(catalogue: &Catalogue, units: &BTreeMap<String, String>) -> Vec<UnitConflict> {
    let conflict = |(pid, reported): (&String, &String)| {
        let expected = &catalogue.pid(pid)?.unit;
        let silent = unit::says_nothing(reported) || unit::says_nothing(expected);
        (!silent && !unit::same(reported, expected)).then(|| UnitConflict {
            pid: pid.clone(),
            reported: reported.clone(),
            expected: expected.clone(),
        })
    };
    units.iter().filter_map(conflict).collect()
}
