//! How often somebody may come: a limit a minute for each address and each
//! phone. What a refusal looks like is `http`'s business.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::sync::Cache;

use crate::config::HttpConfig;
use crate::identity::PhoneId;

const MINUTE: Duration = Duration::from_secs(60);
/// Wrong tokens a minute from one address that are answered as such: more than
/// a person mistypes.
const WRONG_TOKENS: u32 = 10;
/// Addresses, and phones, whose pace is remembered: memory stays bounded
/// whoever comes. Who is forgotten may come as if for the first time.
const REMEMBERED: u64 = 65_536;

/// The limits of the door.
pub struct RateLimits {
    addresses: Option<Limit<IpAddr>>,
    phones: Option<Limit<PhoneId>>,
    wrong_tokens: Option<Limit<IpAddr>>,
}

/// Somebody came too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften {
    /// Whose limit it is: `address`, or `vehicle` for a phone.
    pub limit: &'static str,
    /// When the next one is admitted.
    pub retry_after: Duration,
}

impl TooOften {
    /// When to come again: in whole seconds, and not before the time.
    pub fn retry_after_seconds(&self) -> u64 {
        self.retry_after.as_secs() + 1
    }
}

impl RateLimits {
    /// The limits that are set.
    pub fn new(config: &HttpConfig) -> Self {
        let per_minute = config.rate_limit_per_minute;
        Self {
            addresses: Limit::new("address", per_minute),
            phones: Limit::new("vehicle", per_minute),
            wrong_tokens: Limit::new("address", WRONG_TOKENS),
        }
    }

    /// Admits a request without the right token from this address to be told
    /// so, or does not.
    pub fn admit_wrong_token(&self, address: IpAddr) -> Result<(), TooOften> {
        admit(self.wrong_tokens.as_ref(), network(address))
    }

    /// Admits an upload from this address, or does not.
    pub fn admit_address(&self, address: IpAddr) -> Result<(), TooOften> {
        admit(self.addresses.as_ref(), network(address))
    }

    /// Admits an upload of this phone, or does not: which of its cars it is in
    /// is not known yet.
    pub fn admit_phone(&self, phone: &PhoneId) -> Result<(), TooOften> {
        admit(self.phones.as_ref(), phone.clone())
    }
}

fn admit<K: Hash + Eq + Send + Sync + 'static>(limit: Option<&Limit<K>>, who: K) -> Result<(), TooOften> {
    limit.map_or(Ok(()), |limit| limit.admit(who, Instant::now()))
}

/// What counts as one address: of IPv6 the network of 64 bits, as one client
/// has all of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        canonical => canonical,
    }
}

/// A limit for each key, by the generic cell rate algorithm: one number a key,
/// the time at which its allowance will be whole again. Who pauses for a
/// minute may send a minute's allowance at once; after that one is admitted
/// each `interval`.
struct Limit<K> {
    name: &'static str,
    interval: Duration,
    began: Instant,
    /// Nanoseconds from `began` to that time.
    whole_again: Cache<K, Arc<AtomicU64>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> Limit<K> {
    /// No limit where it is 0.
    fn new(name: &'static str, per_minute: u32) -> Option<Self> {
        let interval = MINUTE.checked_div(per_minute)?;
        // After a minute without a visit the allowance is whole, and nothing
        // is left to remember.
        let whole_again = Cache::builder().max_capacity(REMEMBERED).time_to_idle(2 * MINUTE).build();
        Some(Self { name, interval, began: Instant::now(), whole_again })
    }

    fn admit(&self, who: K, now: Instant) -> Result<(), TooOften> {
        let now = nanos(now.saturating_duration_since(self.began));
        let (interval, minute) = (nanos(self.interval), nanos(MINUTE));
        let whole_again = self.whole_again.get_with(who, Arc::default);
        // Who is refused uses up nothing.
        let next = |whole_again: u64| {
            let next = whole_again.max(now).saturating_add(interval);
            (next <= now.saturating_add(minute)).then_some(next)
        };
        match whole_again.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) {
            Ok(_) => Ok(()),
            Err(whole_again) => {
                let until = whole_again.saturating_add(interval).saturating_sub(now.saturating_add(minute));
                Err(TooOften { limit: self.name, retry_after: Duration::from_nanos(until) })
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_minute: u32) -> Limit<u32> {
        Limit::new("test", per_minute).expect("a limit")
    }

    #[test]
    fn a_minutes_allowance_may_come_at_once_and_then_one_an_interval() {
        let limit = limit(6);
        let at = |seconds| limit.began + Duration::from_secs(seconds);
        for _ in 0..6 {
            assert_eq!(limit.admit(1, at(0)), Ok(()));
        }
        let refused = |seconds| Err(TooOften { limit: "test", retry_after: Duration::from_secs(seconds) });
        assert_eq!(limit.admit(1, at(0)), refused(10));
        assert_eq!(limit.admit(1, at(9)), refused(1));
        assert_eq!(limit.admit(1, at(10)), Ok(()));
        assert!(limit.admit(1, at(10)).is_err());
        assert_eq!(limit.admit(2, at(10)), Ok(()), "another one has an allowance of its own");
    }

    #[test]
    fn in_the_long_run_no_more_than_the_limit_is_admitted() {
        let limit = limit(60);
        let admitted = (0..6000u64)
            .filter(|tenth| limit.admit(1, limit.began + Duration::from_millis(tenth * 100)).is_ok())
            .count();
        // Ten minutes, and the allowance of the one before.
        assert!((655..=660).contains(&admitted), "{admitted}");
    }

    #[test]
    fn a_limit_of_0_is_none() {
        assert!(Limit::<u32>::new("test", 0).is_none());
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let limit = limit(1);
        for who in 0..2 * u32::try_from(REMEMBERED).expect("a small number") {
            let _ = limit.admit(who, limit.began);
        }
        limit.whole_again.run_pending_tasks();
        assert!(limit.whole_again.entry_count() <= REMEMBERED);
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let network = |text: &str| network(text.parse().expect("an address")).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
    }
}
