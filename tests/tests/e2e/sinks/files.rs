//! Events in files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use e2e::{Server, Settings};
use serde_json::Value;

use super::{MOST_WAITING, account, upload, wait_for_sink};

/// The events in the files of a folder, oldest first. Every line is one.
fn events(folder: &Path) -> anyhow::Result<Vec<Value>> {
    let mut files: Vec<_> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    files.sort();
    let mut events = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends with half a line", file.display());
        for line in text.lines() {
            events.push(serde_json::from_str(line).with_context(|| format!("no event: {line}"))?);
        }
    }
    Ok(events)
}

/// Events in one order: that of two event tasks is not the same for every sink.
fn by_request(mut events: Vec<Value>) -> Vec<Value> {
    events.sort_by_key(|event| event["request_id"].to_string());
    events
}

#[tokio::test]
async fn files_have_the_events_of_standard_output_and_are_their_owners_alone() -> anyhow::Result<()> {
    let settings = Settings::default().set("EVENT_SINKS", "stdout,file");
    let mut server = Server::start(settings.clone()).await?;
    upload(&server, 1, 50).await?;
    let mut written = server.stop().await?;
    let folder = server.data_dir().join("events");
    assert_eq!(by_request(events(&folder)?), by_request(written.clone()), "the last one included");
    let files: Vec<_> = fs::read_dir(&folder)?.collect::<Result<_, _>>()?;
    for path in files.iter().map(fs::DirEntry::path).chain([folder.clone()]) {
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o077, 0, "{}", path.display());
    }

    let mut second = Server::start(settings.data_of(&server)).await?;
    written.extend(second.stop().await?);
    assert_eq!(by_request(events(&folder)?), by_request(written));
    assert_eq!(fs::read_dir(&folder)?.count(), 1, "the file goes on");
    Ok(())
}

#[tokio::test]
async fn a_folder_that_is_gone_loses_only_what_has_no_room_and_says_so_once() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let (folder, moved) = (home.path().join("events"), home.path().join("moved"));
    let settings = Settings::default()
        .set("EVENT_SINKS", "stdout,file")
        .set("EVENT_FILE_DIR", &folder)
        .set("EVENT_BUFFER_MB", "1");
    let mut server = Server::start(settings).await?;
    upload(&server, 1, 20).await?;
    wait_for_sink(&server, "file", |sink| sink["waiting"] == 0).await?;

    fs::rename(&folder, &moved)?;
    fs::write(&folder, "in the way")?;
    upload(&server, 2, 400).await?;
    let sink = wait_for_sink(&server, "file", |sink| sink["lost"].as_u64() > Some(0)).await?;
    assert!(sink["waiting"].as_u64() <= Some(MOST_WAITING), "{sink}");

    fs::remove_file(&folder)?;
    wait_for_sink(&server, "file", |sink| sink["waiting"] == 0).await?;
    upload(&server, 3, 20).await?;
    let (delivered, lost) = account(&server.stop().await?, "file");
    assert!(lost > 0);
    // What came before and what waited; and the stop, which counts itself out.
    assert_eq!(events(&moved)?.len() + events(&folder)?.len(), delivered + 1);
    let said = server.stderr();
    for once in
        ["events cannot be written to files", "events are written to files again", "further ones are lost"]
    {
        assert_eq!(said.matches(once).count(), 1, "{once}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_full_disk_leaves_whole_lines_and_loses_nothing_that_has_room() -> anyhow::Result<()> {
    let mut server = Server::start(Settings::default().set("EVENT_SINKS", "stdout,file")).await?;
    let folder = server.data_dir().join("events");
    let size = || -> anyhow::Result<u64> {
        let file = fs::read_dir(&folder)?.next().context("a file")??;
        Ok(file.metadata()?.len())
    };
    wait_for_sink(&server, "file", |sink| sink["waiting"] == 0).await?;
    // Some events and a half fit. Reads need no disk.
    server.process()?.limit_files(Some(size()? + 5_000))?;
    for _ in 0..20 {
        server.api("/api/trips").await?;
    }
    wait_for_sink(&server, "file", |sink| {
        sink["waiting"].as_u64() > Some(10) && server.stderr().contains("events cannot be written to files")
    })
    .await?;
    events(&folder)?;

    server.process()?.limit_files(None)?;
    wait_for_sink(&server, "file", |sink| sink["waiting"] == 0).await?;
    let written = server.stop().await?;
    let (_, lost) = account(&written, "file");
    assert_eq!(lost, 0);
    assert_eq!(by_request(events(&folder)?), by_request(written));
    Ok(())
}

#[tokio::test]
async fn a_start_refuses_a_folder_in_which_no_file_can_be_made() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    fs::write(home.path().join("a file"), "")?;
    let folder = home.path().join("a file/events");
    let settings = Settings::default().set("EVENT_SINKS", "stdout,file").set("EVENT_FILE_DIR", &folder);
    let refused = Server::refused(settings).await?;
    assert!(!refused.status.success());
    for part in ["EVENT_FILE_DIR", &folder.display().to_string()] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    Ok(())
}
