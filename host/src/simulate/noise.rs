//! Random numbers for the model: a seeded stream, a bell curve and a wandering value.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One seeded stream; streams of the same seed are independent of each other, so a
/// change in the sensors does not change the drive.
pub fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

/// A value near 0 with standard deviation 1 (sum of twelve uniforms, so within ±6).
pub fn bell(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random_range(0.0..1.0)).sum::<f64>() - 6.0
}

/// Noise that remembers: it wanders about 0 and forgets with a time constant, as
/// position fixes and fuel in a tank do.
#[derive(Clone, Debug, Default)]
pub struct Wander {
    value: f64,
}

impl Wander {
    /// The next value after `elapsed_s`, with the given deviation and time constant.
    pub fn step(&mut self, rng: &mut ChaCha8Rng, elapsed_s: f64, deviation: f64, tau_s: f64) -> f64 {
        let keep = (-elapsed_s / tau_s).exp();
        self.value = self.value * keep + deviation * (1.0 - keep * keep).sqrt() * bell(rng);
        self.value
    }

    /// The value as it stands.
    pub fn value(&self) -> f64 {
        self.value
    }
}
