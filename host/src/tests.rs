//! What holds over several modules at once: the reference implementation's
//! answers, and the same drive in any order. What one module promises is
//! tested beside it; the fuzzer that some of these tests use is here, what holds
//! `docs/` to the code, and the error taxonomy to the end-to-end tests.

mod any_order;
mod codes;
mod conformance;
pub(crate) mod docs;
pub(crate) mod fuzz;

use std::path::Path;

use crate::activation::tests::first_start;
use crate::plugin_host::{PluginHost, Slot};

/// The compiled components of this repository, with these settings of the
/// calculator.
async fn plugin_host(calculator_settings: &str) -> PluginHost {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist");
    let dir = tempfile::tempdir().expect("temporary directory");
    for slot in Slot::ALL {
        let file = format!("{slot}.wasm");
        std::fs::copy(built.join(&file), dir.path().join(&file)).expect("run `just build-plugins`");
    }
    // The machine may be busy.
    let settings = format!(
        "[sampling-policy]\ndeadline_ms = 5000\n[usage-tier]\ndeadline_ms = 5000\n\
         [trip-calculator]\ndeadline_ms = 20000\n[trip-calculator.settings]\n{calculator_settings}\n"
    );
    std::fs::write(dir.path().join("plugins.toml"), settings).expect("write settings");
    first_start(dir.path()).await.expect("a fit set")
}
