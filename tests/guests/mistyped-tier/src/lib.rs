//! A usage tier for tests that was built against a contract of its own: the
//! names are right, the types are not.
#![allow(unsafe_code, missing_docs, reason = "generated bindings")]

wit_bindgen::generate!({
    inline: "
        package volttracker:plugins@0.1.0;
        interface identity {
            describe: func() -> string;
            configure: func(settings: list<string>);
        }
        interface tiers {
            classify: func(total-trips: u32) -> u32;
        }
        world usage-tier {
            export identity;
            export tiers;
        }
    ",
});

struct Plugin;

impl exports::volttracker::plugins::identity::Guest for Plugin {
    fn describe() -> String {
        "mistyped-tier".into()
    }

    fn configure(_settings: Vec<String>) {}
}

impl exports::volttracker::plugins::tiers::Guest for Plugin {
    fn classify(total_trips: u32) -> u32 {
        total_trips
    }
}

export!(Plugin);
