//! A fuzzer in small: inputs are changed at random, and those that show
//! something new are changed further. What is fuzzed, and what must hold of it,
//! is beside what is fuzzed; `just fuzz` runs it for as long as one likes.

mod mutate;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::mutate::mutate;

/// Inputs that are worth changing further, at most.
const POOL: usize = 4096;
/// Inputs of a run that is part of the ordinary tests.
const BRIEFLY: u64 = 300;

/// Something that takes bytes.
pub(crate) struct Target {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Inputs to begin with.
    pub(crate) corpus: Vec<Vec<u8>>,
    /// Words that it knows.
    pub(crate) words: &'static [&'static str],
    /// Takes an input; panics where it does not do what it must. What it
    /// returns says what the input showed: see [`seen`].
    pub(crate) take: fn(&[u8]) -> u64,
}

/// A number for what an input showed; another number is something new.
pub(crate) fn seen(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// How much of something there is, roughly: one more of many is nothing new.
pub(crate) fn about(count: usize) -> u32 {
    usize::BITS - count.leading_zeros()
}

impl Target {
    /// A few inputs, the same in every run.
    pub(crate) fn briefly(&self) {
        self.run(1, |inputs, _| inputs < BRIEFLY);
    }

    /// For FUZZ_SECONDS, with the seed FUZZ_SEED or another in every run.
    pub(crate) fn at_length(&self) {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
        let seconds = Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(60));
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        self.run(number("FUZZ_SEED").unwrap_or_else(now), |_, elapsed| elapsed < seconds);
    }

    fn run(&self, seed: u64, go_on: impl Fn(u64, Duration) -> bool) {
        println!("{}: FUZZ_SEED={seed}", self.name);
        let started = Instant::now();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pool = self.corpus.clone();
        let mut shown: HashSet<u64> = pool.iter().map(|input| self.take(input, seed)).collect();
        let (mut inputs, mut slowest) = (0, Duration::ZERO);
        while go_on(inputs, started.elapsed()) {
            let input = mutate(&mut rng, &pool, self.words);
            let before = Instant::now();
            let new = shown.insert(self.take(&input, seed));
            slowest = slowest.max(before.elapsed());
            inputs += 1;
            if new && pool.len() < POOL {
                pool.push(input);
            } else if new {
                let place = rng.random_range(self.corpus.len()..POOL);
                pool[place] = input;
            }
        }
        println!(
            "{}: {inputs} inputs, {} things seen, slowest {slowest:?}, {:.0} s",
            self.name,
            shown.len(),
            started.elapsed().as_secs_f64()
        );
    }

    /// Takes one input; a failure is told with the smallest input that is
    /// found to fail.
    fn take(&self, input: &[u8], seed: u64) -> u64 {
        let fails = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| (self.take)(input))).is_err();
        let taken = catch_unwind(AssertUnwindSafe(|| (self.take)(input)));
        taken.unwrap_or_else(|_| {
            let smallest = mutate::shrink(input, fails);
            panic!("{} fails on b\"{}\" (FUZZ_SEED={seed})", self.name, smallest.escape_ascii());
        })
    }
}
