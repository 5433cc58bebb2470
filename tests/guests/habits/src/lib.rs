//! What hostile guests do instead of answering. No slot is known here.
#![allow(unsafe_code, missing_docs, reason = "generated bindings")]

use std::hint::black_box;
use std::time::Duration;

wit_bindgen::generate!({
    inline: "
        package wasi:random@0.2.0;
        interface random {
            get-random-bytes: func(len: u64) -> list<u8>;
            get-random-u64: func() -> u64;
        }
        world chance { import random; }
    ",
});

use wasi::random::random::get_random_bytes;

/// Does what the habit's name says, which does not end well; does nothing if
/// there is no habit of that name.
pub fn indulge(habit: &str) {
    match habit {
        "loop" => endless(),
        "recursion" => drop(black_box(depth_of(1))),
        "memory" => drop(black_box(vec![1_u8; 1 << 28])),
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        "panic" => panic!("told to panic"),
        "trap" => std::process::abort(),
        "exit" => std::process::exit(3),
        "flood" => loop {
            eprintln!("{}", "flood ".repeat(1000));
        },
        "random_flood" => {
            // 8 GB, in pieces that the host gives.
            for _ in 0..(8_u64 << 30) / (32 << 10) {
                black_box(get_random_bytes(32 << 10));
            }
        }
        "random_at_once" => drop(black_box(get_random_bytes(8 << 30))),
        _ => {}
    }
}

/// Computes until somebody ends it.
pub fn endless() -> ! {
    loop {
        black_box(());
    }
}

/// Calls itself until the stack is full.
#[expect(unconditional_recursion, reason = "that is the habit")]
fn depth_of(depth: u64) -> u64 {
    depth_of(black_box(depth) + 1).max(depth)
}
