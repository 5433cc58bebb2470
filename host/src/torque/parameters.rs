//! The parameters of a request sorted by what they are, in one pass. Whether they
//! make an upload is decided in the parent.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::catalogue::{Catalogue, pid_number};
use super::reading::{Telemetry, normal_pid};
use super::{UploadKind, form};

/// All that one request said, by kind. Of a repeated header parameter or notice
/// the last value that is not blank counts, of a profile or unit the last one.
/// Names are matched in any case.
pub(super) struct Parameters<'c, 'q> {
    pub(super) count: u32,
    /// Whether any parameter is one that the app sends.
    pub(super) recognised: bool,
    pub(super) device_id: Option<Cow<'q, str>>,
    pub(super) email: Option<Cow<'q, str>>,
    pub(super) version: Option<Cow<'q, str>>,
    pub(super) session: Option<Cow<'q, str>>,
    pub(super) time: Option<Cow<'q, str>>,
    pub(super) telemetry: Option<Telemetry<'c, 'q>>,
    /// By what follows `profile` in the name.
    pub(super) profile: BTreeMap<String, String>,
    /// By normalised PID.
    pub(super) default_units: BTreeMap<String, String>,
    /// By `userUnit`, `userShortName` or `userFullName` and the normalised PID.
    pub(super) user_units: BTreeMap<String, String>,
    pub(super) notice: Option<Cow<'q, str>>,
    pub(super) notice_class: Option<Cow<'q, str>>,
    catalogue: &'c Catalogue,
}

/// What a parameter is, told by its name.
#[derive(Debug, PartialEq)]
enum Name {
    DeviceId,
    Email,
    Version,
    Session,
    Time,
    /// With the number of its PID, if it is one that a PID can have.
    Telemetry(Option<u64>),
    Profile,
    DefaultUnit,
    User(&'static str),
    Notice,
    NoticeClass,
    Other,
}

const TELEMETRY: usize = "k".len();
const PROFILE: usize = "profile".len();
const DEFAULT_UNIT: usize = "defaultUnit".len();

impl<'c, 'q> Parameters<'c, 'q> {
    /// Sorts the pairs of a query and of a form body, in that order.
    pub(super) fn sort(catalogue: &'c Catalogue, query: &'q [u8], body: &'q [u8]) -> Self {
        let mut sorted = Self {
            count: 0,
            recognised: false,
            device_id: None,
            email: None,
            version: None,
            session: None,
            time: None,
            telemetry: None,
            profile: BTreeMap::new(),
            default_units: BTreeMap::new(),
            user_units: BTreeMap::new(),
            notice: None,
            notice_class: None,
            catalogue,
        };
        for form in [query, body] {
            form::each_pair(form, |key, value| {
                sorted.count = sorted.count.saturating_add(1);
                sorted.take(key, value);
            });
        }
        sorted
    }

    fn take(&mut self, key: Cow<'q, str>, value: Cow<'q, str>) {
        let name = Name::of(&key);
        self.recognised |= name != Name::Other;
        match name {
            Name::Telemetry(pid) => self
                .telemetry
                .get_or_insert_with(|| Telemetry::new(self.catalogue))
                .take(pid, key, TELEMETRY, value),
            Name::DeviceId => put(&mut self.device_id, value),
            Name::Email => put(&mut self.email, value),
            Name::Version => put(&mut self.version, value),
            Name::Session => put(&mut self.session, value),
            Name::Time => put(&mut self.time, value),
            Name::Notice => put(&mut self.notice, value),
            Name::NoticeClass => put(&mut self.notice_class, value),
            Name::Profile => {
                self.profile.insert(key[PROFILE..].to_owned(), value.into_owned());
            }
            Name::DefaultUnit => {
                let pid = normal_pid(key, DEFAULT_UNIT).into_owned();
                self.default_units.insert(pid, value.into_owned());
            }
            Name::User(word) => {
                let name = format!("{word}{}", normal_pid(key, word.len()));
                self.user_units.insert(name, value.into_owned());
            }
            Name::Other => {}
        }
    }

    /// The kind of upload; telemetry wins over the rest. `None` when nothing but
    /// header parameters came.
    pub(super) fn kind(&self) -> Option<UploadKind> {
        if self.telemetry.is_some() {
            Some(UploadKind::Telemetry)
        } else if !self.profile.is_empty() {
            Some(UploadKind::Profile)
        } else if !self.default_units.is_empty() {
            Some(UploadKind::DefaultUnits)
        } else if !self.user_units.is_empty() {
            Some(UploadKind::UserUnits)
        } else if self.notice.is_some() || self.notice_class.is_some() {
            Some(UploadKind::Notice)
        } else {
            None
        }
    }

    /// How many parameters are of other kinds than that which won.
    pub(super) fn ignored(&self, kind: Option<UploadKind>) -> u32 {
        let notice = usize::from(self.notice.is_some()) + usize::from(self.notice_class.is_some());
        let all = notice + self.user_units.len() + self.default_units.len() + self.profile.len();
        let won = match kind {
            Some(UploadKind::Telemetry) | None => 0,
            Some(UploadKind::Profile) => self.profile.len(),
            Some(UploadKind::DefaultUnits) => self.default_units.len(),
            Some(UploadKind::UserUnits) => self.user_units.len(),
            Some(UploadKind::Notice) => notice,
        };
        u32::try_from(all - won).unwrap_or(u32::MAX)
    }
}

fn put<'q>(place: &mut Option<Cow<'q, str>>, value: Cow<'q, str>) {
    if place.is_none() || !value.trim().is_empty() {
        *place = Some(value);
    }
}

impl Name {
    fn of(key: &str) -> Self {
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        let starts = |prefix: &str| {
            let head = key.as_bytes().get(..prefix.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        match key.as_bytes().first().map(u8::to_ascii_lowercase) {
            Some(b'k') => telemetry(&key[TELEMETRY..]),
            Some(b'e') if is("eml") => Self::Email,
            Some(b'i') if is("id") => Self::DeviceId,
            Some(b's') if is("session") => Self::Session,
            Some(b't') if is("time") => Self::Time,
            Some(b'v') if is("v") => Self::Version,
            Some(b'n') if is("notice") => Self::Notice,
            Some(b'n') if is("noticeClass") => Self::NoticeClass,
            Some(b'p') if starts("profile") => Self::Profile,
            Some(b'd') if starts("defaultUnit") => Self::DefaultUnit,
            Some(b'u') => ["userUnit", "userShortName", "userFullName"]
                .into_iter()
                .find(|word| starts(word))
                .map_or(Self::Other, Self::User),
            _ => Self::Other,
        }
    }
}

fn telemetry(digits: &str) -> Name {
    match pid_number(digits) {
        Some(number) => Name::Telemetry(Some(number)),
        None if is_hex(digits.as_bytes()) => Name::Telemetry(None),
        None => Name::Other,
    }
}

fn is_hex(digits: &[u8]) -> bool {
    !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_told_by_its_name_in_any_case() {
        for (key, name) in [
            ("kff1001", Name::Telemetry(Some(0xff_1001))),
            ("K0C", Name::Telemetry(Some(0xc))),
            ("k11112222333344445", Name::Telemetry(None)),
            ("k", Name::Other),
            ("kilometres", Name::Other),
            ("ID", Name::DeviceId),
            ("idx", Name::Other),
            ("Session", Name::Session),
            ("PROFILEname", Name::Profile),
            ("defaultunit05", Name::DefaultUnit),
            ("userFullName05", Name::User("userFullName")),
            ("user", Name::Other),
            ("", Name::Other),
            ("°", Name::Other),
        ] {
            assert_eq!(Name::of(key), name, "{key}");
        }
    }
}
