//! The cars of a phone: one for each name that its profiles have had. Which of
//! them a session has been in is `sessions`' business.

use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};

use super::record::NamedCar;
use super::{Store, StoreError};
use crate::identity::{PhoneId, VehicleId};

/// A car that one phone, and no other, tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Car {
    /// The phone.
    pub phone: PhoneId,
    /// The car.
    pub vehicle: VehicleId,
    /// Name of its profile, where that is known.
    pub profile_name: Option<String>,
}

impl Store {
    /// The cars of that name: of an id as trips have it, or whose profile is
    /// called so. Two at most, as more say nothing more.
    pub async fn cars_named(&self, name: &str) -> Result<Vec<Car>, StoreError> {
        // A vehicle that no profile has named is its phone's own.
        let rows = sqlx::query(
            "SELECT phone_id, vehicle_id, profile_name FROM cars WHERE vehicle_id = $1 OR profile_name = $1
             UNION SELECT vehicle_id, vehicle_id, NULL FROM vehicles
                   WHERE vehicle_id = $1 AND vehicle_id NOT IN (SELECT vehicle_id FROM cars)
             ORDER BY vehicle_id LIMIT 2",
        )
        .bind(name)
        .fetch_all(&self.pool)
        .await?;
        let car = |row: &AnyRow| {
            Ok(Car {
                phone: PhoneId::from_stored(row.try_get("phone_id")?),
                vehicle: VehicleId::from_stored(row.try_get("vehicle_id")?),
                profile_name: row.try_get("profile_name")?,
            })
        };
        rows.iter().map(car).collect()
    }
}

/// The vehicle of a phone's profile, where it is known.
pub(super) async fn find(
    transaction: &mut Transaction<'static, Any>,
    phone: &PhoneId,
    profile_name: &str,
) -> Result<Option<VehicleId>, StoreError> {
    let row = sqlx::query("SELECT vehicle_id FROM cars WHERE phone_id = $1 AND profile_name = $2")
        .bind(phone.as_str())
        .bind(profile_name)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(row.map(|row| row.try_get("vehicle_id").map(VehicleId::from_stored)).transpose()?)
}

/// The vehicle of a phone's profile. The first profile of all is the phone's
/// own vehicle, so that a phone with one car knows one vehicle, whether its
/// profile came or not.
pub(super) async fn find_or_add(
    transaction: &mut Transaction<'static, Any>,
    phone: &PhoneId,
    car: &NamedCar,
) -> Result<VehicleId, StoreError> {
    // A second time where another host took the phone's own id meanwhile.
    for _ in 0..2 {
        if let Some(vehicle) = find(transaction, phone, &car.profile_name).await? {
            return Ok(vehicle);
        }
        sqlx::query(
            "INSERT INTO cars (phone_id, profile_name, vehicle_id)
             SELECT $1, $2, CASE WHEN EXISTS (SELECT 1 FROM cars WHERE phone_id = $3) THEN $4 ELSE $5 END
             WHERE TRUE ON CONFLICT DO NOTHING",
        )
        .bind(phone.as_str())
        .bind(&car.profile_name)
        .bind(phone.as_str())
        .bind(car.further_vehicle.as_str())
        .bind(phone.as_str())
        .execute(&mut **transaction)
        .await?;
    }
    let added = find(transaction, phone, &car.profile_name).await?;
    added.ok_or_else(|| StoreError::Unexpected("a car is not there that was added".to_owned()))
}
