//! Changes to bytes: at random for a fuzzer, and smaller and smaller for who has
//! to read what it found.

use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The longest input: somewhat more than the largest body.
const LONGEST: usize = 80 * 1024;
/// Most are no longer than this: many short inputs find more than a few long
/// ones.
const USUAL: usize = 2048;
/// Tries to make a failing input smaller.
const TRIES: usize = 2000;

const NUMBERS: [&str; 24] = [
    "0",
    "-0",
    "1",
    "-1",
    "1e308",
    "-1e308",
    "1e-320",
    "3.4028234663852886E38",
    "NaN",
    "Infinity",
    "-Infinity",
    "inf",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "1767312345678",
    "4294967295",
    "0x10",
    "1_000",
    ".",
    "+",
    "e5",
    "\u{221e}",
];

/// A changed input of the pool.
pub(super) fn mutate(rng: &mut ChaCha8Rng, pool: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut input = one_of(rng, pool).clone();
    for _ in 0..1 << rng.random_range(0..5) {
        change(rng, &mut input, pool, words);
    }
    let longest = if rng.random_range(0..16) == 0 { LONGEST } else { USUAL };
    input.truncate(longest);
    input
}

fn change(rng: &mut ChaCha8Rng, input: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&str]) {
    match rng.random_range(0..10) {
        0 => with_byte(rng, input, |rng, byte| byte ^ (1 << rng.random_range(0..8))),
        1 => with_byte(rng, input, |rng, _| rng.random()),
        2 => insert(rng, input, |rng| (0..rng.random_range(1..9)).map(|_| rng.random()).collect()),
        3 => {
            let range = range(rng, input);
            input.drain(range);
        }
        4 => {
            let range = range(rng, input);
            let part = input[range].to_vec();
            let times = LONGEST / part.len().max(1);
            let times = rng.random_range(1..=64).min(times);
            insert(rng, input, |_| part.repeat(times));
        }
        5 => {
            let word = one_of(rng, words);
            insert(rng, input, |_| word.as_bytes().to_vec());
        }
        6 => {
            let (range, word) = (range(rng, input), one_of(rng, words));
            input.splice(range, word.bytes());
        }
        7 => {
            let (range, number) = (range(rng, input), number(rng));
            input.splice(range, number.bytes());
        }
        8 => {
            let other = one_of(rng, pool);
            let (at, from) = (place(rng, input), place(rng, other));
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ => {
            let other = one_of(rng, pool);
            let part = other[range(rng, other)].to_vec();
            insert(rng, input, |_| part);
        }
    }
}

fn one_of<'a, T>(rng: &mut ChaCha8Rng, all: &'a [T]) -> &'a T {
    &all[rng.random_range(0..all.len())]
}

fn number(rng: &mut ChaCha8Rng) -> String {
    match rng.random_range(0..4) {
        0 => f64::from_bits(rng.random()).to_string(),
        1 => rng.random::<i64>().to_string(),
        _ => (*one_of(rng, &NUMBERS)).to_owned(),
    }
}

fn place(rng: &mut ChaCha8Rng, input: &[u8]) -> usize {
    rng.random_range(0..=input.len())
}

/// A part: mostly a short one.
fn range(rng: &mut ChaCha8Rng, input: &[u8]) -> Range<usize> {
    let start = place(rng, input);
    let longest = if rng.random_range(0..4) == 0 { input.len() } else { 16 };
    start..(start + rng.random_range(0..=longest)).min(input.len())
}

fn with_byte(rng: &mut ChaCha8Rng, input: &mut [u8], with: impl Fn(&mut ChaCha8Rng, u8) -> u8) {
    if !input.is_empty() {
        let at = rng.random_range(0..input.len());
        input[at] = with(rng, input[at]);
    }
}

fn insert(rng: &mut ChaCha8Rng, input: &mut Vec<u8>, what: impl FnOnce(&mut ChaCha8Rng) -> Vec<u8>) {
    let at = place(rng, input);
    let what = what(rng);
    input.splice(at..at, what);
    input.truncate(LONGEST);
}

/// Leaves out parts of a failing input as long as it fails.
pub(super) fn shrink(input: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut smallest = input.to_vec();
    let mut tries = 0;
    let mut part = smallest.len() / 2;
    while part > 0 && tries < TRIES {
        let mut at = 0;
        while at < smallest.len() && tries < TRIES {
            let mut without = smallest.clone();
            without.drain(at..(at + part).min(smallest.len()));
            tries += 1;
            if fails(&without) {
                smallest = without;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_seed_gives_the_same_inputs_and_none_is_too_long() {
        let inputs = || {
            let (mut rng, pool) = (ChaCha8Rng::seed_from_u64(7), vec![b"a=1&b=2".to_vec(), vec![]]);
            (0..500).map(|_| mutate(&mut rng, &pool, &["kc=", "&"])).collect::<Vec<_>>()
        };
        assert_eq!(inputs(), inputs());
        assert!(inputs().iter().all(|input| input.len() <= LONGEST));
        assert!(inputs().iter().any(|input| input.len() > 1000));
    }

    #[test]
    fn what_fails_is_shrunk_to_what_it_takes() {
        let smallest = shrink(b"many bytes with a % and a & in them", |input| {
            input.contains(&b'%') && input.contains(&b'&')
        });
        assert_eq!(smallest, b"%&");
    }
}
