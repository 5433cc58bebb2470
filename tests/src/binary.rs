//! Where the binary and the components come from. Running them is `server`'s
//! business.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

const SLOTS: [&str; 3] = ["trip-calculator", "usage-tier", "sampling-policy"];

/// Folder of the project: the one with `justfile`.
pub fn project_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the project's folder")
}

/// The binary under test: `VOLTTRACKER_BIN`, else a development build, made
/// once in a test run. A development build it must be: faults are injected
/// into no other.
///
/// # Errors
/// It cannot be built.
pub fn binary() -> anyhow::Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BINARY.get_or_init(|| match std::env::var_os("VOLTTRACKER_BIN") {
        Some(path) => Ok(path.into()),
        None => build().map_err(|error| format!("{error:#}")),
    });
    built.as_deref().map_err(|error| anyhow::anyhow!("the binary under test cannot be built: {error}"))
}

fn build() -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo told this test of its own package is not for this build: a
    // dependency that looks at it would be built again, now and the next time.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&variable);
        }
    }
    let output = cargo
        .args(["build", "--locked", "-p", "volttracker", "--bin", "volttracker"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(project_root())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    ensure!(output.status.success(), "cargo build ended with {}", output.status);
    // Cargo says where it put the binary, whatever its target directory is.
    let text = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    text.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo build named no executable")
}

/// A copy of the built components, with more time for each call than a
/// receiver gives them: the machine that tests may be busy.
///
/// # Errors
/// One is missing, or cannot be copied.
pub fn patient_plugins() -> anyhow::Result<TempDir> {
    let (built, dir) =
        (plugin_dir()?, tempfile::Builder::new().prefix("volttracker-e2e-plugins-").tempdir()?);
    for slot in SLOTS {
        let file = format!("{slot}.wasm");
        std::fs::copy(built.join(&file), dir.path().join(&file))?;
    }
    let settings = "[sampling-policy]\ndeadline_ms = 5000\n[usage-tier]\ndeadline_ms = 5000\n";
    std::fs::write(dir.path().join("plugins.toml"), settings)?;
    Ok(dir)
}

/// One of the components in `tests/guests`, by its package. All are built on
/// first use, and have a target directory of their own: the one of the running
/// `cargo test` is locked.
///
/// # Errors
/// They do not build.
pub fn guest(package: &str) -> anyhow::Result<Vec<u8>> {
    static GUESTS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = GUESTS.get_or_init(|| build_guests().map_err(|error| format!("{error:#}")));
    let dir = built.as_deref().map_err(|error| anyhow::anyhow!("the guests do not build: {error}"))?;
    let file = dir.join(package.replace('-', "_")).with_extension("wasm");
    std::fs::read(&file).with_context(|| format!("{} is not there", file.display()))
}

fn build_guests() -> anyhow::Result<PathBuf> {
    let target = project_root().join("target/guests");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet", "--profile", "component"]);
    cargo.args(["--target", "wasm32-wasip2", "--target-dir"]).arg(&target);
    for guest in ["wayward-policy", "plain-tier", "plain-calculator", "mistyped-tier"] {
        cargo.args(["-p", &format!("guest-{guest}")]);
    }
    let status = cargo.current_dir(project_root()).status().context("cargo cannot be started")?;
    ensure!(status.success(), "cargo build ended with {status}");
    Ok(target.join("wasm32-wasip2/component"))
}

/// The folder of built components.
///
/// # Errors
/// One is missing.
pub fn plugin_dir() -> anyhow::Result<PathBuf> {
    let dir = project_root().join("plugins/dist");
    for slot in SLOTS {
        ensure!(
            dir.join(slot).with_extension("wasm").is_file(),
            "{slot} is not built: run `just build-plugins`"
        );
    }
    Ok(dir)
}
