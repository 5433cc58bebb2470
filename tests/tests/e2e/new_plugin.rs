//! A plugin begun from the template builds, fits its slot and says who it is.

use std::path::Path;
use std::process::Output;

use anyhow::ensure;
use e2e::{binary, project_root};
use tokio::process::Command;

#[tokio::test]
async fn what_is_begun_for_a_slot_builds_and_fits_it() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    for slot in ["usage-tier", "sampling-policy", "trip-calculator"] {
        let name = format!("begun-{slot}");
        let folder = dir.path().join(&name);
        begin(&name, slot, &folder).await?;
        let component = build(&name, &folder).await?;
        let checked =
            Command::new(binary()?).args(["plugin", "check", "--slot", slot]).arg(component).output().await?;
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        assert!(said.contains(&format!("fits: {name} 0.1.0")), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_begun_is_told_and_leaves_nothing() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let taken = dir.path().to_owned();
    let free = dir.path().join("free");
    for (name, slot, folder, part) in [
        ("My Tier", "usage-tier", &free, "no name"),
        ("my-tier", "tier", &free, "no slot 'tier'"),
        ("my-tier", "usage-tier", &taken, "exists"),
        ("usage-tier", "usage-tier", &free, "there is a plugin usage-tier"),
    ] {
        let output = new_plugin(name, slot, folder).await?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && stderr.contains(part), "{part}: {stderr}");
        assert!(!free.exists());
    }
    Ok(())
}

async fn new_plugin(name: &str, slot: &str, folder: &Path) -> anyhow::Result<Output> {
    let script = project_root().join("templates/new-plugin.sh");
    let mut bash = Command::new("bash");
    Ok(bash.arg(script).args([name, slot]).arg(folder).kill_on_drop(true).output().await?)
}

async fn begin(name: &str, slot: &str, folder: &Path) -> anyhow::Result<()> {
    let output = new_plugin(name, slot, folder).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Builds it beside the guests, whose dependencies are its own, as the
/// template's last words say.
async fn build(name: &str, folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    let target = project_root().join("target/guests");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--offline", "--quiet", "--target", "wasm32-wasip2"])
        .args(["--profile", "component", "--target-dir"])
        .arg(&target)
        .current_dir(folder)
        .kill_on_drop(true)
        .status()
        .await?;
    ensure!(status.success(), "cargo build ended with {status}");
    Ok(target.join("wasm32-wasip2/component").join(format!("{}.wasm", name.replace('-', "_"))))
}
