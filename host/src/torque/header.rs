//! What every upload says of itself: who sends it, for which session, at what
//! time. Telemetry is not read here.

use std::fmt;

use uuid::Uuid;

use super::RefusalCode;

/// No phone had a clock before this, 1973 in milliseconds and the year 5138 in
/// seconds: what is below is a time in seconds.
pub(super) const FIRST_MILLISECOND_TIME: i64 = 100_000_000_000;
pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What an upload or a refusal can be counted and explained by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The app's protocol version (`v`).
    pub app_version: Option<String>,
    /// How many parameters were sent, of whatever meaning, repetitions included.
    pub raw_params_count: u32,
    /// How many distinct telemetry PIDs the catalogue does not know.
    pub unknown_params_count: u32,
    /// How many values of known PIDs were no number, or not plausible.
    pub dropped_values_count: u32,
    /// How many parameters of other kinds than this upload's came with it: they
    /// are not looked at.
    pub ignored_params_count: u32,
}

/// Who sends an upload: the device's id, the account's e-mail, or both. Raw
/// personal data: hash it, and keep it out of events, logs and tables. It has no
/// way to print or serialize itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    device_id: Option<Box<str>>,
    email: Option<Box<str>>,
}

impl Identity {
    /// From the trimmed values of `id` and `eml`; `None` when both are missing
    /// or blank.
    pub(super) fn new(device_id: Option<&str>, email: Option<&str>) -> Option<Self> {
        let (device_id, email) = (device_id.and_then(filled), email.and_then(filled));
        (device_id.is_some() || email.is_some()).then_some(Self { device_id, email })
    }

    /// What tells this vehicle from others: the device's id, else the e-mail.
    pub fn key(&self) -> &str {
        self.device_id().or(self.email()).unwrap_or_default()
    }

    /// The id of the device.
    pub fn device_id(&self) -> Option<&str> {
        self.device_id.as_deref()
    }

    /// The e-mail address of the account.
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }
}

/// Says that there is one, and not which.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(hidden)")
    }
}

fn filled(text: &str) -> Option<Box<str>> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.into())
}

/// The session's id: the text itself where it is a UUID written with hyphens,
/// else the UUIDv5 of the text in the OID namespace, as the reference
/// implementation has it. `None` for a blank text.
pub(super) fn session_id(text: &str) -> Option<Uuid> {
    if text.trim().is_empty() {
        return None;
    }
    let own = text.contains('-').then(|| Uuid::try_parse(text).ok());
    Some(own.flatten().unwrap_or_else(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())))
}

/// The time of a reading in epoch milliseconds; `text` is the `time` parameter.
pub(super) fn time_ms(text: Option<&str>, received_ms: i64) -> Result<i64, (RefusalCode, &'static str)> {
    let Some(text) = text else {
        return Err((RefusalCode::NoTelemetry, "telemetry without a time"));
    };
    let bad = |what| Err((RefusalCode::BadTime, what));
    match text.trim().parse::<i64>() {
        Err(_) => bad("time is not a whole number of milliseconds"),
        Ok(0) => bad("time is zero"),
        Ok(time) if time < 0 => bad("time is negative"),
        Ok(time) if time < FIRST_MILLISECOND_TIME => bad("time is in seconds, not milliseconds"),
        Ok(time) if time > received_ms.saturating_add(DAY_MS) => {
            bad("time is more than 24 hours ahead of receipt")
        }
        Ok(time) => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_tells_the_vehicle_and_without_it_the_email() {
        let key = |id, email| Identity::new(id, email).map(|identity| identity.key().to_owned());
        assert_eq!(key(Some(" d1 "), Some("a@b.c")).as_deref(), Some("d1"));
        assert_eq!(key(Some(" "), Some("a@b.c")).as_deref(), Some("a@b.c"));
        assert_eq!(key(None, Some("")), None);
    }

    #[test]
    fn an_identity_does_not_print_itself() {
        let identity = Identity::new(Some("d1"), Some("a@b.c"));
        assert_eq!(format!("{identity:?}"), "Some(Identity(hidden))");
    }

    #[test]
    fn a_session_written_as_a_uuid_is_that_uuid() {
        let uuid = "550e8400-e29b-41d4-a716-446655440000";
        let braces = format!("{{{uuid}}}");
        for text in [uuid, &uuid.to_uppercase(), &braces] {
            assert_eq!(session_id(text).map(|id| id.to_string()).as_deref(), Some(uuid));
        }
        let hashed = session_id(&uuid.replace('-', "")).map(|id| id.get_version_num());
        assert_eq!(hashed, Some(5), "without hyphens it is a text like any other");
    }

    #[test]
    fn a_time_is_milliseconds_of_a_real_moment_up_to_a_day_ahead() {
        let received = 1_767_312_345_678;
        let code = |text| time_ms(text, received).map_err(|(code, _)| code);
        let a_day_ahead = (received + DAY_MS).to_string();
        let too_far = (received + DAY_MS + 1).to_string();
        assert_eq!(code(Some(" 1459259898454 ")), Ok(1_459_259_898_454));
        assert_eq!(code(Some(&a_day_ahead)), Ok(received + DAY_MS));
        assert_eq!(code(None), Err(RefusalCode::NoTelemetry));
        for text in ["", "x", "0", "-1", "1767312345", "1.5e12", "99999999999999999999", &too_far] {
            assert_eq!(code(Some(text)), Err(RefusalCode::BadTime), "{text}");
        }
    }
}
