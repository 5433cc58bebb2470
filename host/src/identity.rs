//! Keyed hashes: what stands for a device, an e-mail or a coin toss. The
//! identity itself is never kept.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key of all hashes of this installation.
#[derive(Clone)]
pub struct IdentityKey(Arc<Hmac<Sha256>>);

/// An id that many hold: its text is there once.
macro_rules! id {
    ($(#[$doc:meta])* $Id:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $Id(Arc<str>);

        impl $Id {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// An id that was kept.
            pub fn from_stored(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $Id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $Id {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl Borrow<str> for $Id {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id! {
    /// A phone's pseudonym: 32 hexadecimal digits.
    PhoneId
}
id! {
    /// A vehicle's pseudonym: 32 hexadecimal digits.
    VehicleId
}
id! {
    /// A trip's id: a UUID.
    TripId
}

impl PhoneId {
    /// The vehicle that the phone is in as long as no profile says otherwise:
    /// it shares the phone's pseudonym.
    pub fn own_vehicle(&self) -> VehicleId {
        VehicleId(self.0.clone())
    }
}

impl IdentityKey {
    /// A key from any text.
    pub fn new(secret: &str) -> Self {
        let mac = Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
        Self(Arc::new(mac))
    }

    /// A key that nobody knows yet, as text to be kept.
    pub fn generate() -> String {
        hex(&[uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat())
    }

    /// The pseudonym of a phone, by its device id or an e-mail.
    pub fn phone(&self, identity: &str) -> PhoneId {
        PhoneId(self.pseudonym(identity).into())
    }

    /// The pseudonym of a further car of a phone, by the name of its profile.
    pub fn further_vehicle(&self, phone: &PhoneId, profile_name: &str) -> VehicleId {
        // Every phone's pseudonym is equally long: no other pair makes this text.
        let digest = self.digest(b"car:", format!("{}{profile_name}", phone.as_str()).as_bytes());
        VehicleId(hex(&digest[..16]).into())
    }

    /// The pseudonym of any identity, as text: 32 hexadecimal digits.
    pub fn pseudonym(&self, identity: &str) -> String {
        hex(&self.digest(b"identity:", identity.as_bytes())[..16])
    }

    /// A number from 0 up to 1 that depends on `unit` and the key alone.
    pub fn fraction(&self, unit: &[u8]) -> f64 {
        let digest = self.digest(b"sampling:", unit);
        let bits = u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
        // 53 bits are what an f64 holds exactly.
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }

    fn digest(&self, purpose: &[u8], text: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::clone(&self.0);
        mac.update(purpose);
        mac.update(text);
        mac.finalize().into_bytes().into()
    }
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_identity_is_one_phone_under_one_key_only() {
        let key = IdentityKey::new("a key of sixteen");
        assert_eq!(key.phone("phone"), key.phone("phone"));
        assert_ne!(key.phone("phone"), key.phone("other phone"));
        assert_ne!(key.phone("phone"), IdentityKey::new("another key of 16").phone("phone"));
    }

    #[test]
    fn a_further_car_is_one_of_its_phone_only() {
        let key = IdentityKey::new("a key of sixteen");
        let (phone, other) = (key.phone("phone"), key.phone("other phone"));
        let volt = key.further_vehicle(&phone, "Volt");
        assert_eq!(volt, key.further_vehicle(&phone, "Volt"));
        for vehicle in
            [key.further_vehicle(&phone, "volt"), key.further_vehicle(&other, "Volt"), phone.own_vehicle()]
        {
            assert_ne!(volt, vehicle);
        }
    }

    #[test]
    fn coins_are_spread_evenly() {
        let key = IdentityKey::new("a key of sixteen");
        let kept = (0..10_000u32).filter(|n| key.fraction(&n.to_be_bytes()) < 0.25).count();
        assert!((2300..2700).contains(&kept), "{kept}");
    }
}
