//! Which miles were driven on the battery and which on the engine. How far
//! the trip went at all is `distance`'s.

/// Miles on the battery and on the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Split {
    /// Miles before the engine took over.
    pub electric_miles: Option<f64>,
    /// Miles after it.
    pub gas_miles: Option<f64>,
}

/// The split of a trip by its odometers, as they are: nothing is checked.
/// Without an entry all miles are electric.
#[must_use]
pub fn by_odometers(entry: Option<f64>, start: f64, end: f64) -> Split {
    match entry {
        Some(entry) => Split { electric_miles: Some(entry - start), gas_miles: Some(end - entry) },
        None => Split { electric_miles: Some(end - start), gas_miles: None },
    }
}

/// What the split of a trip is made from.
#[derive(Clone, Copy, Debug)]
pub struct Basis {
    /// Miles of the whole trip.
    pub distance_miles: Option<f64>,
    /// Odometer at start and end in miles, if the distance comes from it.
    pub odometers: Option<(f64, f64)>,
    /// Whether the engine took over.
    pub gas_mode_entered: bool,
    /// Odometer when it did, in miles.
    pub entry_odometer: Option<f64>,
    /// Whether any reading has a state of charge or an HV power.
    pub has_battery: bool,
}

/// The split of a trip.
///
/// Without an odometer at the entry all miles are gas miles; without an entry
/// all are electric, unless the car shows no battery. A part that would be
/// negative makes the split absent.
#[must_use]
pub fn split(basis: &Basis) -> Split {
    let Some(distance) = basis.distance_miles else {
        return Split::default();
    };
    if !basis.gas_mode_entered {
        return Split { electric_miles: basis.has_battery.then_some(distance), gas_miles: None };
    }
    let (Some((start, end)), Some(entry)) = (basis.odometers, basis.entry_odometer) else {
        return Split { electric_miles: Some(0.0), gas_miles: Some(distance) };
    };
    let found = by_odometers(Some(entry), start, end);
    let is_real = |miles: Option<f64>| miles.is_some_and(|m| m.is_finite() && m >= 0.0);
    if is_real(found.electric_miles) && is_real(found.gas_miles) { found } else { Split::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELECTRIC_THEN_GAS: Basis = Basis {
        distance_miles: Some(40.0),
        odometers: Some((100.0, 140.0)),
        gas_mode_entered: true,
        entry_odometer: Some(120.0),
        has_battery: true,
    };

    fn parts(basis: &Basis) -> (Option<f64>, Option<f64>) {
        let split = split(basis);
        (split.electric_miles, split.gas_miles)
    }

    #[test]
    fn the_entry_divides_the_trip() {
        assert_eq!(parts(&ELECTRIC_THEN_GAS), (Some(20.0), Some(20.0)));
    }

    #[test]
    fn without_an_odometer_at_entry_all_miles_are_gas() {
        let no_entry = Basis { entry_odometer: None, ..ELECTRIC_THEN_GAS };
        let by_gps = Basis { odometers: None, ..ELECTRIC_THEN_GAS };

        assert_eq!(parts(&no_entry), (Some(0.0), Some(40.0)));
        assert_eq!(parts(&by_gps), (Some(0.0), Some(40.0)));
    }

    #[test]
    fn a_petrol_car_has_no_split() {
        let petrol = Basis { gas_mode_entered: false, has_battery: false, ..ELECTRIC_THEN_GAS };

        assert_eq!(parts(&petrol), (None, None));
    }

    #[test]
    fn a_negative_part_makes_the_split_absent() {
        let beyond = Basis { entry_odometer: Some(150.0), ..ELECTRIC_THEN_GAS };

        assert_eq!(parts(&beyond), (None, None));
    }
}
