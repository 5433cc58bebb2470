//! With what probability an event is kept, and why. The coin is tossed by the
//! host, never here.

use crate::settings::Settings;

/// What the policy looks at.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Whether the operation did what it was asked to.
    pub success: bool,
    /// Duration of the operation in milliseconds.
    pub duration_ms: f64,
    /// Above this duration an operation is slow: milliseconds.
    pub slow_threshold_ms: f64,
    /// Share of the operation's events that the operator wants: 0 to 1.
    pub base_rate: f64,
    /// Names of the business flags that are true.
    pub business_flags: &'a [String],
    /// The vehicle's usage tier, where it is known.
    pub usage_tier: Option<&'a str>,
    /// Whole days since the vehicle's first trip, where there is a vehicle.
    pub account_age_days: Option<u32>,
}

/// What the policy wants: a probability from 0 to 1 and the reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Probability with which the event is kept: 0 to 1.
    pub probability: f64,
    /// Why, in one word of snake_case.
    pub reason: &'static str,
}

/// Decides about one event. The first of these that holds decides: a failure,
/// a slow operation, a critical flag, a heavy user, a new user, else the base
/// rate. A new user's rate is never below the base rate.
#[must_use]
pub fn decide(facts: &Facts, settings: &Settings) -> Verdict {
    let always = |reason| Verdict { probability: 1.0, reason };
    if !facts.success {
        return always("error");
    }
    if facts.duration_ms > facts.slow_threshold_ms {
        return always("slow");
    }
    let critical = |flag: &String| settings.critical_flags.has(flag);
    if facts.business_flags.iter().any(critical) {
        return always("critical_event");
    }
    if facts.usage_tier == Some(&settings.heavy_tier.0) {
        return always("heavy_user");
    }
    by_rate(facts, settings)
}

fn by_rate(facts: &Facts, settings: &Settings) -> Verdict {
    // A base rate that is no rate keeps the event: losing it would be worse.
    let base = if facts.base_rate.is_nan() { 1.0 } else { facts.base_rate.clamp(0.0, 1.0) };
    let is_new = |days| days < settings.new_user_days;
    if facts.account_age_days.is_some_and(is_new) {
        return Verdict { probability: base.max(settings.new_user_probability), reason: "new_user" };
    }
    Verdict { probability: base, reason: "base_rate" }
}

#[cfg(test)]
mod tests {
    use plugin_settings::{Names, Word};

    use super::*;

    fn ordinary() -> Facts<'static> {
        Facts {
            success: true,
            duration_ms: 10.0,
            slow_threshold_ms: 1000.0,
            base_rate: 0.05,
            business_flags: &[],
            usage_tier: Some("light"),
            account_age_days: Some(30),
        }
    }

    fn verdict(facts: &Facts) -> (f64, &'static str) {
        let verdict = decide(facts, &Settings::default());
        (verdict.probability, verdict.reason)
    }

    #[test]
    fn an_ordinary_event_is_kept_at_the_base_rate() {
        assert_eq!(verdict(&ordinary()), (0.05, "base_rate"));
    }

    #[test]
    fn reasons_are_asked_in_order() {
        let flags = ["refuel_detected".to_owned()];
        let mut facts = Facts {
            success: false,
            duration_ms: 1000.01,
            business_flags: &flags,
            usage_tier: Some("heavy"),
            account_age_days: Some(29),
            ..ordinary()
        };

        assert_eq!(verdict(&facts), (1.0, "error"));
        facts.success = true;
        assert_eq!(verdict(&facts), (1.0, "slow"));
        facts.duration_ms = 1000.0;
        assert_eq!(verdict(&facts), (1.0, "critical_event"));
        facts.business_flags = &[];
        assert_eq!(verdict(&facts), (1.0, "heavy_user"));
        facts.usage_tier = None;
        assert_eq!(verdict(&facts), (0.25, "new_user"));
        facts.account_age_days = None;
        assert_eq!(verdict(&facts), (0.05, "base_rate"));
    }

    #[test]
    fn a_new_user_never_lowers_the_base_rate() {
        let facts = Facts { base_rate: 1.0, account_age_days: Some(0), ..ordinary() };

        assert_eq!(verdict(&facts), (1.0, "new_user"));
    }

    #[test]
    fn a_base_rate_that_is_no_rate_answers_a_probability() {
        for (base_rate, probability) in [(f64::NAN, 1.0), (-1.0, 0.0), (f64::INFINITY, 1.0)] {
            let facts = Facts { base_rate, ..ordinary() };
            assert_eq!(verdict(&facts), (probability, "base_rate"));
        }
    }

    #[test]
    fn the_settings_decide() {
        let settings = Settings {
            critical_flags: Names(vec!["door_open".into()]),
            new_user_days: 31,
            new_user_probability: 0.5,
            heavy_tier: Word("moderate".into()),
        };
        let flags = ["trip_created".to_owned()];
        let mut facts = Facts { business_flags: &flags, ..ordinary() };

        assert_eq!(decide(&facts, &settings).probability, 0.5);
        facts.usage_tier = Some("moderate");
        assert_eq!(decide(&facts, &settings).reason, "heavy_user");
    }
}
