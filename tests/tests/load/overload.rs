//! More clients than anybody needs, slower than anybody is, and a store that
//! takes nothing: memory stays bounded, and ordinary uploads are answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::{Answer, Backlog, Database, Engine, Process, Server, Settings, get, raise_open_files};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::account::{every_acknowledged_reading_is_kept, every_answer_is_told_once};
use crate::volt::{Phone, now_ms};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
/// Files of this process that are not one test's connections.
const OTHER_FILES: u64 = 4000;

/// What an idle connection may cost: 8 KiB to read into, its task, and its
/// timer; twice that for what the allocator keeps.
const IDLE_CONNECTION: u64 = 32 * KIB;

#[tokio::test]
async fn ten_thousand_idle_connections_cost_little_and_keep_nobody_out() -> anyhow::Result<()> {
    let allowed = raise_open_files()?;
    let count = allowed.saturating_sub(OTHER_FILES).min(10_000);
    if count < 10_000 {
        println!("only {count} connections: this machine allows {allowed} open files");
    }
    // The server itself is started with the usual limit, and raises it.
    let mut server = Server::start(Settings::default().open_files(1024)).await?;
    upload_ordinarily(&server, 0).await?;
    let process = server.process()?;
    let (files, before) = (process.open_files()?, process.resident_bytes()?);

    let idle = connect(server.address(), usize::try_from(count)?).await?;
    upload_ordinarily(&server, 1).await?;
    let held = process.open_files()?.saturating_sub(files);
    ensure!(held as u64 >= count, "the server holds {held} of {count} connections");
    let cost = process.resident_bytes()?.saturating_sub(before);
    assert!(cost <= count * IDLE_CONNECTION, "{count} idle connections cost {} KiB", cost / KIB);
    println!("{count} idle connections cost {} KiB", cost / KIB);

    drop(idle);
    has_let_go(process, files + 50, Duration::from_secs(20)).await?;
    upload_ordinarily(&server, 2).await?;
    server.stop().await?;
    Ok(())
}

/// Clients of each kind of slowness.
const SLOW_HEADS: usize = 300;
/// Heads that are never finished: just below the largest, and far beyond it.
const LARGE_HEADS: usize = 300;
const TOO_LARGE_HEADS: usize = 300;
/// The largest head: bytes.
const LARGEST_HEAD: usize = 24 * 1024;
const SLOW_BODIES: usize = 1200;
const NEVER_READING: usize = 64;
/// Bodies that may arrive at one time.
const BODIES: usize = 1024;
/// A head has 30 s, an answer that nobody takes too, and a body 15.
const ALL_GONE: Duration = Duration::from_secs(45);
/// What slow clients may cost: as much as idle ones and an event each, since
/// they sent little; a head that may be that large twice, for what is read ahead;
/// and 16 pages on their way to readers, 500 rows each.
const SLOW_CLIENTS: u64 = (SLOW_HEADS + SLOW_BODIES + TOO_LARGE_HEADS + NEVER_READING) as u64 * 48 * KIB
    + LARGE_HEADS as u64 * (32 * KIB + 2 * LARGEST_HEAD as u64)
    + 16 * 2 * MIB;

#[tokio::test]
async fn slow_clients_are_shown_the_door_and_keep_nobody_out() -> anyhow::Result<()> {
    raise_open_files()?;
    let mut server = Server::start(Settings::default()).await?;
    let address = server.address();
    upload_pages_of_trips(&server).await?;
    let process = server.process()?;
    let (files, before) = (process.open_files()?, process.resident_bytes()?);

    let mut slow = JoinSet::new();
    for client in connect(address, SLOW_HEADS).await? {
        slow.spawn(drip(client, b"GET /torque/upload?eml=".to_vec()));
    }
    for (count, length) in [(LARGE_HEADS, LARGEST_HEAD - KIB as usize), (TOO_LARGE_HEADS, 8 * LARGEST_HEAD)] {
        for client in connect(address, count).await? {
            let mut head = b"GET /torque/upload?eml=".to_vec();
            head.resize(length, b'x');
            slow.spawn(drip(client, head));
        }
    }
    for client in connect(address, SLOW_BODIES).await? {
        let head = "POST /torque/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
        slow.spawn(drip(client, head.into()));
    }
    let mut never_reading = Vec::new();
    for _ in 0..NEVER_READING {
        never_reading.push(ask_and_never_read(address).await?);
    }
    let began = Instant::now();
    let mut most = 0;
    let mut round = 0;
    while began.elapsed() < Duration::from_secs(12) {
        round += 1;
        upload_ordinarily(&server, round).await?;
        most = most.max(process.resident_bytes()?);
    }
    let cost = most.saturating_sub(before);
    println!("slow clients cost {} KiB", cost / KIB);
    assert!(cost <= SLOW_CLIENTS, "slow clients cost {} KiB", cost / KIB);

    has_let_go(process, files + 50, ALL_GONE).await?;
    drop(never_reading);
    upload_ordinarily(&server, round + 1).await?;
    // A client that goes on sending may lose its answer to a reset.
    let answers = slow.join_all().await;
    assert!(answers.iter().flatten().all(|answer| matches!(answer.status, 408 | 431 | 503)), "{answers:?}");

    // Pages that found no place have events of their own.
    let events = server.stop().await?;
    let uploads = events.iter().filter(|event| event["operation"] == "telemetry_upload");
    let told = |code: &str| uploads.clone().filter(|event| event["error"]["code"] == *code).count();
    let (timed_out, refused) = (told("E502"), told("E501"));
    assert_eq!(timed_out + refused, SLOW_BODIES, "{timed_out} timed out, {refused} refused");
    assert!(timed_out <= BODIES, "{timed_out} bodies were under way at one time");
    assert_eq!(told("E006"), TOO_LARGE_HEADS);
    Ok(())
}

/// More than the uploads that may be under way at one time.
const UPLOADS: usize = 2500;
/// What an upload may cost that waits for the store: its connection, its head
/// twice (as sent, and as read from), what is stored of it, and its event.
const WAITING_UPLOAD: u64 = 64 * KIB;

/// On PostgreSQL, whose locks are waited for long enough for a crowd to come.
#[tokio::test]
async fn a_full_queue_tells_its_clients_to_come_back() -> anyhow::Result<()> {
    raise_open_files()?;
    let Some(database) = Database::fresh(Engine::Postgres).await? else { return Ok(()) };
    let mut server = Server::start(Settings::default().database(&database)).await?;
    upload_ordinarily(&server, 0).await?;
    let process = server.process()?;
    let before = process.resident_bytes()?;
    let backlog = Backlog::default();
    let start_ms = now_ms() - 86_400_000;
    for number in 0..UPLOADS {
        let start_ms = start_ms + i64::try_from(number)?;
        backlog.add(Phone::new(u32::try_from(number)?, start_ms).drive(start_ms, 0..1));
    }
    let mut lock = server.look().await?;
    lock.hold_writes(Engine::Postgres).await?;
    let crowd = backlog.send_once(server.address(), UPLOADS);
    let watch = async {
        server
            .wait_for("a full queue", |events| events.iter().any(|event| event["error"]["code"] == "E501"))
            .await?;
        let cost = process.resident_bytes()?.saturating_sub(before);
        lock.execute("ROLLBACK").await?;
        anyhow::Ok(cost)
    };
    let ((), cost) = tokio::join!(crowd, watch);
    let cost = cost?;
    println!("a full queue costs {} KiB", cost / KIB);
    assert!(cost <= UPLOADS as u64 * WAITING_UPLOAD, "a full queue costs {} KiB", cost / KIB);
    let refused: Vec<_> = backlog
        .answered()
        .into_iter()
        .map(|answered| answered.answer)
        .filter(|answer| !answer.is_ok())
        .collect();
    ensure!(refused.iter().all(|answer| answer.status == 503 && answer.header("retry-after").is_some()));

    backlog.send(server.address(), 8).await;
    ensure!(backlog.is_empty(), "{} points cannot be sent", backlog.len());
    let answered = backlog.answered();
    every_acknowledged_reading_is_kept(&server, &answered).await?;
    every_answer_is_told_once(&answered, &server.stop().await?);
    Ok(())
}

/// Twenty uploads like any others, each answered `OK!` at its first try.
async fn upload_ordinarily(server: &Server, round: i64) -> anyhow::Result<()> {
    let backlog = Backlog::default();
    let start_ms = now_ms() - 2 * 86_400_000 + round;
    backlog.add(Phone::new(4711, start_ms).drive(start_ms, 0..20));
    backlog.send_once(server.address(), 4).await;
    let answered = backlog.answered();
    ensure!(answered.len() == 20, "{} of 20 ordinary uploads were answered", answered.len());
    for answered in answered {
        ensure!(answered.answer.is_ok(), "{:?}", answered.answer);
    }
    Ok(())
}

/// Trips enough for the largest page.
async fn upload_pages_of_trips(server: &Server) -> anyhow::Result<()> {
    let backlog = Backlog::default();
    let start_ms = now_ms() - 3 * 86_400_000;
    for number in 0..500 {
        let start_ms = start_ms + number;
        backlog.add(Phone::new(1, start_ms).drive(start_ms, 0..1));
    }
    backlog.send(server.address(), 8).await;
    ensure!(backlog.acknowledged() == 500, "the trips are not there");
    Ok(())
}

/// Connections that the server has accepted.
async fn connect(address: SocketAddr, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        clients.push(TcpStream::connect(address).await?);
        // An answer says that the server has all that came before: fewer wait
        // than the kernel lets wait.
        if clients.len() % 200 == 0 || clients.len() == count {
            ensure!(get(address, "/healthz", &[]).await?.status == 200, "healthz");
        }
    }
    Ok(clients)
}

/// Sends this, and then a byte every half a second, as long as the server
/// listens; returns its answer, if there is one.
async fn drip(client: TcpStream, beginning: Vec<u8>) -> Option<Answer> {
    let (mut reading, mut writing) = client.into_split();
    writing.write_all(&beginning).await.ok()?;
    let dripping = async {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = dripping => {}
        // What came before a reset is an answer too.
        _ = reading.read_to_end(&mut answer) => {}
    }
    Answer::parse(&answer).ok()
}

/// A client that asks for pages, and takes nothing.
async fn ask_and_never_read(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // Little room on its way, so that a page is far more.
    socket.set_recv_buffer_size(4096)?;
    SockRef::from(&socket).set_tcp_mss(536)?;
    let mut stream = socket.connect(address).await?;
    let request = "GET /api/trips?limit=500 HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request.repeat(10).as_bytes()).await?;
    Ok(stream)
}

/// Waits until the server has closed all but `files` files.
async fn has_let_go(process: Process, files: usize, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let open = process.open_files()?;
        if open <= files {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{open} files are open still, not {files}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
