//! Numbers as all rules treat them: only finite ones are values, and rounding
//! is half to even on the exact binary value. No rule lives here.

/// The value, if it is one: not NaN, not infinite.
#[must_use]
pub fn known(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// `value` rounded to `decimals` places, half to even on its exact binary
/// value.
#[must_use]
pub fn round(value: f64, decimals: usize) -> f64 {
    if !value.is_finite() {
        return value;
    }
    let rounded = format!("{value:.decimals$}").parse().unwrap_or(value);
    // A small negative number must not become a negative zero.
    rounded + 0.0
}

/// The mean of the known values among `values`; nothing without any. Rounding
/// errors of the sum are made good (Neumaier's sum), as sums of a day's
/// readings are long.
#[must_use]
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut lost, mut count) = (0.0_f64, 0.0_f64, 0.0_f64);
    for value in values.into_iter().filter_map(known) {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
        count += 1.0;
    }
    if count == 0.0 {
        return None;
    }
    known((sum + lost) / count)
}

/// The median of the known values among `values`; nothing without any. Of an
/// even number it is the mean of the two in the middle.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().filter_map(known).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    known(f64::midpoint(*sorted.get(middle - 1)?, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_half_to_even_on_the_binary_value() {
        assert_eq!(round(0.125, 2), 0.12);
        assert_eq!(round(1.005, 2), 1.0);
        assert_eq!(round(2.5, 0), 2.0);
        assert!(round(-0.001, 2).is_sign_positive());
        assert!(round(f64::NAN, 2).is_nan());
    }

    #[test]
    fn a_mean_is_exact_where_a_plain_sum_is_not() {
        let values = [1e16, 1.0, -1e16, 1.0];

        assert_eq!(mean(values), Some(0.5));
    }

    #[test]
    fn what_is_not_finite_does_not_count() {
        assert_eq!(mean([f64::NAN, 4.0, f64::INFINITY]), Some(4.0));
        assert_eq!(mean([f64::NAN]), None);
        assert_eq!(mean([f64::MAX, f64::MAX]), None);
        assert_eq!(median([f64::NAN, 4.0, 2.0]), Some(3.0));
        assert_eq!(median([]), None);
        assert_eq!(median([f64::MAX, f64::MAX]), Some(f64::MAX));
    }
}
