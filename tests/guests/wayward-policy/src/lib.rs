//! A sampling policy for tests: does what the operation's name says, or what
//! it is set to do, be it hostile. No real rule.
#![allow(unsafe_code, missing_docs, reason = "generated bindings")]

wit_bindgen::generate!({ world: "sampling-policy", path: "../../../wit" });

use std::cell::{Cell, RefCell};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::SystemTime;

use guest_habits::{endless, indulge};

use exports::volttracker::plugins::identity::{self, PluginInfo, Setting};
use exports::volttracker::plugins::sampling::{self, Facts, Verdict, WideEvent};
use volttracker::plugins::wide_events::Value;

thread_local! {
    /// Calls that this instance has had: what a pure plugin must not have.
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static RATE: Cell<f64> = const { Cell::new(0.5) };
    static HABIT: Cell<Habit> = const { Cell::new(Habit::Sound) };
    /// The operation to take every event for that a receiver made; the trial's
    /// have no id.
    static IN_CALL: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What to do when asked who it is. A test that wants another habit writes its
/// name here, into the component's file.
static IN_DESCRIBE: [u8; 32] = *b"in describe: nothing            ";

/// What is wrong with it from its configuration on.
#[derive(Clone, Copy, PartialEq)]
enum Habit {
    Sound,
    Impure,
    Looping,
    /// Sound for uploads, traps for finalizations.
    HalfTrapping,
}

struct Plugin;

impl identity::Guest for Plugin {
    fn describe() -> PluginInfo {
        let habit = std::str::from_utf8(std::hint::black_box(&IN_DESCRIBE)).unwrap_or_default();
        let habit = habit.trim_start_matches("in describe: ").trim_end();
        indulge(habit);
        let name = match habit {
            "long_name" => "x".repeat(65),
            "two_lines" => "a name\nand a line of the log".to_owned(),
            _ => "wayward-policy".to_owned(),
        };
        let setting = |key: &str, default: &str, doc: &str| Setting {
            key: key.into(),
            default: default.into(),
            doc: doc.into(),
        };
        PluginInfo {
            name,
            version: "0.1.0".into(),
            description: "Does what the operation's name says.".into(),
            settings: vec![
                setting("rate", "0.5", "Probability of a good verdict: 0 to 1."),
                setting("habit", "sound", "What is wrong with it from the start."),
                setting("in_configure", "", "What it does when it is configured."),
                setting(
                    "in_call",
                    "",
                    "What it does on a receiver, as if it were an event's operation, or `as_told`.",
                ),
            ],
        }
    }

    fn configure(settings: Vec<(String, String)>) -> Result<(), String> {
        for (key, value) in settings {
            match (key.as_str(), value.as_str()) {
                ("rate", _) => {
                    RATE.set(value.parse().map_err(|_| format!("rate is `{value}`; it takes 0 to 1"))?);
                }
                ("habit", "impure") => HABIT.set(Habit::Impure),
                ("habit", "looping") => HABIT.set(Habit::Looping),
                ("habit", "half-trapping") => HABIT.set(Habit::HalfTrapping),
                ("habit", "trapping") => panic!("told to trap"),
                ("in_configure", habit) => indulge(habit),
                ("in_call", habit) => IN_CALL.set(habit.to_owned()),
                _ => {
                    return Err(format!(
                        "no setting `{key}`; there are rate, habit, in_configure and in_call"
                    ));
                }
            }
        }
        if HABIT.get() == Habit::Looping {
            endless();
        }
        Ok(())
    }
}

impl sampling::Guest for Plugin {
    fn decide(facts: Facts, event: &WideEvent) -> Verdict {
        CALLS.set(CALLS.get() + 1);
        let told = IN_CALL.with_borrow(String::clone);
        let on_receiver = !told.is_empty() && event.get("request_id").is_some();
        let operation = match event.get("client_request_id") {
            _ if !on_receiver => facts.operation,
            // The uploader says it, in a header of the request.
            Some(Value::Text(habit)) if told == "as_told" => habit,
            _ => told,
        };
        match operation.as_str() {
            "questions" => ask_without_end(event, "error.code"),
            "long_questions" => ask_without_end(event, &"x".repeat(2 << 20)),
            habit => indulge(habit),
        }
        let (probability, reason) = match operation.as_str() {
            "nan" => (f64::NAN, "nonsense".to_owned()),
            "negative" => (-1.0, "nonsense".to_owned()),
            "two" => (2.0, "nonsense".to_owned()),
            "no_reason" => (0.5, String::new()),
            "long_reason" => (0.5, "x".repeat(65)),
            "huge_answer" => (0.5, "x".repeat(10 << 20)),
            "clock" => (0.5, format!("at_{}", clock_ms())),
            "random" => (0.5, format!("hash_{}", RandomState::new().hash_one(1))),
            "calls" => (0.5, format!("call_{}", CALLS.get())),
            "print" => {
                println!("out\nand on");
                eprintln!("{}", "err ".repeat(5000));
                (0.5, "printed".to_owned())
            }
            "files" => (0.5, listing()),
            "event" => (0.5, text_of(event.get("error.code"))),
            "trip_finalization" if HABIT.get() == Habit::HalfTrapping => panic!("told to trap"),
            _ if HABIT.get() == Habit::Impure => (0.5, format!("call_{}", CALLS.get())),
            _ => (RATE.get(), "good".to_owned()),
        };
        Verdict { probability, reason }
    }
}

/// Spends its time in the host.
fn ask_without_end(event: &WideEvent, path: &str) -> ! {
    loop {
        std::hint::black_box(event.get(path));
    }
}

fn clock_ms() -> u128 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.unwrap_or_default().as_millis()
}

/// What it sees of the host: nothing, if all is well.
fn listing() -> String {
    let files = std::fs::read_dir("/").is_ok();
    let variables = std::env::vars().count();
    let arguments = std::env::args().count();
    let network = std::net::TcpStream::connect("127.0.0.1:80")
        .map_err(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    let reached = !matches!(network, Err(false));
    format!("files_{files}_variables_{variables}_arguments_{arguments}_network_{reached}")
}

fn text_of(value: Option<Value>) -> String {
    match value {
        Some(Value::Text(text)) => text.to_lowercase(),
        Some(Value::Number(number)) => format!("number_{number}"),
        Some(Value::Flag(flag)) => format!("flag_{flag}"),
        None => "nothing".into(),
    }
}

export!(Plugin);
