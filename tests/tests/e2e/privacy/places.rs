//! The places that a client can write to, each with a secret in it. What becomes
//! of them is searched elsewhere.

use super::{ADMIN, DEVICE, EMAIL, GUESS, ODD_DEVICE, PLACE, TOKEN};

/// Whether uploads and reads want a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    Locked,
    Open,
}

/// Trips that come of it, at least.
pub const TRIPS: usize = 2;
/// Requests that have no event: those to pages that are for everybody.
pub const WITHOUT_EVENT: usize = 8;

/// Who drives, in the ways in which a client may write it.
fn spellings() -> Vec<String> {
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let (mail, twice) = (EMAIL.replace('@', "%40"), EMAIL.replace('@', "%2540"));
    vec![
        EMAIL.to_owned(),
        EMAIL.to_uppercase(),
        mail,
        twice,
        escaped(EMAIL),
        escaped(&escaped(EMAIL)),
        format!("+{EMAIL}+"),
        DEVICE.to_owned(),
        DEVICE.to_uppercase(),
        escaped(DEVICE),
        escaped(&escaped(DEVICE)),
        DEVICE.replacen('e', "%65", 3),
        format!("device-{DEVICE}-x"),
        TOKEN.to_owned(),
        escaped(TOKEN),
        ADMIN.to_uppercase(),
    ]
}

/// Queries of uploads that may be received.
fn queries(start_ms: i64) -> Vec<String> {
    let [latitude, longitude] = PLACE;
    let fix = format!("kff1006={latitude}&kff1005={longitude}");
    let at = |second: i64| start_ms + second * 1000;
    let header = format!("eml={EMAIL}&v=9&session={start_ms}&id={DEVICE}");
    let mut queries = vec![
        format!("{header}&time={}&kc=900&{fix}", at(0)),
        format!("{}&time={}&kc=900&{fix}", header.to_uppercase().replace("SESSION", "session"), at(1)),
        // Escaped names, and values that are escaped once too often.
        format!("%65ml={EMAIL}&v=9&session={start_ms}&%69%64={DEVICE}&time={}&kc=901&{fix}", at(2)),
        format!(
            "eml={}&v=9&session={start_ms}&id={DEVICE}&time={}&kc=902",
            EMAIL.replace('@', "%2540"),
            at(3)
        ),
        // No device: the account says who it is.
        format!("eml={EMAIL}&v=9&session={start_ms}&time={}&kc=903&{fix}", at(4)),
        // A place that cannot be.
        format!("{header}&time={}&kc=904&kff1006=91{latitude}&kff1005={longitude}", at(5)),
        // A device whose id looks like nothing.
        format!("v=9&session={start_ms}&id={ODD_DEVICE}&time={}&kc=905&{fix}&kfe15=of+{ODD_DEVICE}", at(6)),
        format!("v=9&session={start_ms}&id={ODD_DEVICE}&time={}&profileName={ODD_DEVICE}+Volt", at(6)),
        format!("v=9&session={start_ms}&id={ODD_DEVICE}&notice=Trip+of+{ODD_DEVICE}"),
        format!("v=9&session={start_ms}&id={ODD_DEVICE}&time=1&kc=905&note={ODD_DEVICE}&%41nnas-Pixel-6a=1"),
        format!("v=9&session={start_ms}&id={ODD_DEVICE}&defaultUnit05={ODD_DEVICE}&v={ODD_DEVICE}"),
        // A token in a parameter, as some other servers take it.
        format!("token={TOKEN}&{header}&time={}&kc=906", at(7)),
        format!("{header}&time=2&kc=906&token={TOKEN}&admin={ADMIN}"),
        format!("{header}&time=2&kc=906&token={GUESS}"),
    ];
    for (number, who) in spellings().into_iter().enumerate() {
        let time = at(10 + number as i64);
        queries.extend([
            format!("{header}&time={time}&kc=900&kfe12={who}&kfe13=by+{who}&v={who}&{fix}"),
            format!("{header}&time={time}&profileName={who}&profileNote=by+{who}&profile{who}=1"),
            format!("{header}&time={time}&defaultUnit05={who}&defaultUnit0c={who}"),
            format!("{header}&time={time}&userUnit05={who}&userFullName0c=id-{who}&userShortName{who}=1"),
            format!("{header}&notice=Trip+by+{who}&noticeClass={who}"),
            // Into quarantine, each for another reason.
            format!("{header}&time=never-{who}&kc=900&note={who}&{fix}"),
            format!("{header}&time={who}&kc=900&k{who}=1"),
            format!("v=9&session={who}&kc=900&x={who}&kff1006={latitude}"),
            format!("eml={who}&id={who}&v=9&kc=900"),
            format!("{who}={who}&{who}"),
        ]);
    }
    queries
}

/// Headers in which a client may write whatever it likes.
fn headers() -> Vec<String> {
    let mut headers = Vec::new();
    for who in [EMAIL, DEVICE, &DEVICE.to_uppercase(), TOKEN, ADMIN, &EMAIL.replace('@', "%40")] {
        headers.push(format!("User-Agent: Torque/1.12 ({who})\r\n"));
        headers.push(format!("X-Request-Id: request-of-{who}\r\n"));
        headers.push(format!(
            "Referer: http://x/?id={who}\r\nCookie: session={who}\r\nHost: {who}.example\r\nOrigin: {who}\r\n\
             X-Forwarded-For: {who}\r\nForwarded: for={who}\r\nFrom: {who}\r\nAccept-Language: {who}\r\n\
             traceparent: 00-{who}-1\r\nX-{who}: {who}\r\n"
        ));
        headers.push(format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: {who}\r\nSec-WebSocket-Key: {who}\r\n"
        ));
    }
    headers
}

/// Every request, as bytes.
pub fn requests(doors: Doors, start_ms: i64) -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    uploads(doors, start_ms, &mut requests);
    oddities(&mut requests);
    api(&mut requests);
    bodies(start_ms, &mut requests);
    requests
}

fn uploads(doors: Doors, start_ms: i64, requests: &mut Vec<Vec<u8>>) {
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let queries = queries(start_ms);
    for (number, query) in queries.iter().enumerate() {
        let post = format!(
            "POST /torque/upload HTTP/1.0\r\n{bearer}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{query}",
            query.len()
        );
        requests.push(match number % 3 {
            0 => post.into_bytes(),
            1 => format!("GET /torque/upload/{TOKEN}?{query} HTTP/1.0\r\n\r\n").into_bytes(),
            _ => format!("GET /torque/upload?{query} HTTP/1.0\r\n{bearer}\r\n").into_bytes(),
        });
    }
    let plain = &queries[0];
    for header in headers() {
        requests.push(format!("GET /torque/upload?{plain} HTTP/1.0\r\n{bearer}{header}\r\n").into_bytes());
    }
    // A guess, and what repeats it.
    let repeats = format!("User-Agent: {GUESS}\r\nX-Request-Id: {GUESS}\r\n");
    for target in [
        format!("/torque/upload/{GUESS}?{plain}"),
        format!("/torque/upload/{GUESS}/?{plain}&time=3&note={GUESS}"),
        format!("/torque/upload/{GUESS}/{TOKEN}/{DEVICE}?{plain}"),
        format!("/torque/upload?{plain}&time=4&token={GUESS}"),
    ] {
        requests.push(format!("GET {target} HTTP/1.0\r\n{repeats}\r\n").into_bytes());
        requests.push(format!("PUT {target} HTTP/1.0\r\n{repeats}\r\n").into_bytes());
    }
    let target = format!("/torque/upload?{plain}&time=5&note={GUESS}");
    let guess = format!("Authorization: Bearer {GUESS}\r\n{repeats}");
    requests.push(format!("GET {target} HTTP/1.0\r\n{guess}\r\n").into_bytes());
    // What is no form of the app's.
    for who in [EMAIL, DEVICE, TOKEN, ADMIN] {
        for (kind, body) in [
            (
                "application/json",
                format!("{{\"eml\": \"{who}\", \"id\": \"{who}\", \"token\": [\"{who}\"]}}"),
            ),
            ("text/plain", who.to_owned()),
            ("text/xml", format!("<upload id=\"{who}\"><eml>{who}</eml></upload>")),
            (
                "multipart/form-data; boundary=x",
                format!("--x\r\nContent-Disposition: form-data; name=\"{who}\"\r\n\r\n{who}\r\n--x--\r\n"),
            ),
        ] {
            let head = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
            requests.push(format!("POST /torque/upload HTTP/1.0\r\n{bearer}{head}\r\n{body}").into_bytes());
        }
    }
    if doors == Doors::Locked {
        // A device of which only the request itself says that it is one.
        let query = format!("v=9&session=1&id={ODD_DEVICE}&time={start_ms}&kc=900");
        let header = format!("User-Agent: {ODD_DEVICE}\r\nX-Request-Id: {ODD_DEVICE}\r\n");
        requests.push(format!("GET /torque/upload?{query} HTTP/1.0\r\n{header}\r\n").into_bytes());
        requests.push(format!("GET /torque/upload?{query} HTTP/1.0\r\n{bearer}{header}\r\n").into_bytes());
    }
}

/// What HTTP, or the router, refuses.
fn oddities(requests: &mut Vec<Vec<u8>>) {
    for who in [EMAIL, DEVICE, TOKEN, ADMIN] {
        for line in [
            format!("GET /torque/upload?id={who}\u{b0} HTTP/1.0"),
            format!("GET /torque/{who}?{who}={who} HTTP/1.0"),
            format!("GET /{who} HTTP/1.0"),
            format!("GET /torque/upload?id={who}&x={} HTTP/1.0", "x".repeat(30_000)),
            format!("{} /torque/upload/{who} HTTP/1.0", who.replace('@', "-")),
            format!("GET /torque/upload?id={who} HTTP/9.{who}"),
            format!("GET /torque/upload?id={who} HTTP/1.0\r\n{who}"),
            format!("GET /torque/upload?id={who} HTTP/1.0\r\nContent-Length: {who}"),
        ] {
            requests.push(format!("{line}\r\n\r\n").into_bytes());
        }
        let mut latin = format!("GET /torque/upload?id={who}&defaultUnit05=").into_bytes();
        latin.extend(b"\xb0C HTTP/1.0\r\n\r\n");
        requests.push(latin);
    }
    requests.push(format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{TOKEN}{DEVICE}").into_bytes());
}

/// Reads, and what they are refused for.
fn api(requests: &mut Vec<Vec<u8>>) {
    for who in [EMAIL, DEVICE, TOKEN, ADMIN] {
        let mut bearer = format!("Authorization: Bearer {ADMIN}\r\nUser-Agent: {who}\r\n");
        // A request's id may look like one of a device, and is told.
        if who != DEVICE {
            bearer.push_str(&format!("X-Request-Id: {who}\r\n"));
        }
        let escaped = who.replace('@', "%40");
        for path in [
            format!("/api/trips?{escaped}=1"),
            format!("/api/trips?limit={escaped}"),
            format!("/api/trips?status={escaped}"),
            format!("/api/trips?from={escaped}"),
            format!("/api/trips?vehicle_id={escaped}&cursor={escaped}"),
            format!("/api/trips/{escaped}"),
            format!("/api/trips/{escaped}/export?format={escaped}"),
            format!("/api/vehicles/{escaped}"),
            format!("/api/live?{escaped}={escaped}"),
            format!("/api/live/{escaped}"),
            format!("/api/events/{escaped}"),
            format!("/api/events/trace/{escaped}"),
            format!("/api/events/tail?filter={escaped}"),
            format!("/api/events/tail?filter=%7B%22{escaped}%22:%7B%22{escaped}%22:1%7D%7D"),
            format!("/api/events/dashboards/{escaped}?{escaped}=1"),
            format!("/api/charging?since={escaped}"),
            format!("/api/plugins?token={escaped}"),
            format!("/api/status?token={escaped}"),
        ] {
            requests.push(format!("GET {path} HTTP/1.0\r\n{bearer}\r\n").into_bytes());
        }
        for line in ["GET /api/trips", "POST /api/plugins/usage-tier/rollback"] {
            let guess = format!(
                "{line}?token={escaped} HTTP/1.0\r\nAuthorization: Bearer {GUESS}\r\n\
                 User-Agent: {GUESS}\r\nX-Request-Id: {GUESS}\r\n\r\n"
            );
            requests.push(guess.into_bytes());
        }
    }
    requests
        .push(format!("GET /metrics?token={TOKEN} HTTP/1.0\r\nUser-Agent: {DEVICE}\r\n\r\n").into_bytes());
    requests.push(format!("GET /healthz?token={TOKEN} HTTP/1.0\r\nCookie: {DEVICE}\r\n\r\n").into_bytes());
}

/// Bodies: questions, names, components and track logs.
fn bodies(start_ms: i64, requests: &mut Vec<Vec<u8>>) {
    let [latitude, longitude] = PLACE;
    let time = jiff::Timestamp::from_millisecond(start_ms).expect("a time").strftime("%Y-%m-%d %H:%M:%S");
    for who in [EMAIL, DEVICE, TOKEN, ADMIN, ODD_DEVICE] {
        let escaped = who.replace('@', "%40");
        let json = "Content-Type: application/json\r\n";
        let mut send = |method: &str, target: &str, headers: &str, body: &str| {
            let head = format!(
                "{method} {target} HTTP/1.0\r\nAuthorization: Bearer {ADMIN}\r\n{headers}Content-Length: {}\r\n\r\n",
                body.len()
            );
            requests.push([head.as_bytes(), body.as_bytes()].concat());
        };
        if who != ODD_DEVICE {
            for body in [
                format!("{{\"filter\": {{\"{who}\": {{\"${who}\": 1}}}}}}"),
                format!("{{\"filter\": {{\"duration_ms\": \"{who}\"}}, \"{who}\": 1}}"),
                format!("{{\"limit\": \"{who}\"}}"),
                format!("\"{who}\""),
                who.to_owned(),
            ] {
                send("POST", "/api/events/query", json, &body);
                send("PUT", "/api/vehicles/0123456789abcdef", json, &body);
            }
            send("PUT", &format!("/api/vehicles/{escaped}"), json, "{\"name\": \"Sparky\"}");
            // What is no component, in every way in which one is replaced.
            send("PUT", "/api/plugins/usage-tier", "", &format!("(component \"{who}\")"));
            send("PUT", &format!("/api/plugins/{escaped}"), "", who);
            send("PUT", "/api/plugins/usage-tier/shadow", "", who);
            send("POST", &format!("/api/plugins/usage-tier/activate/{escaped}"), "", "");
        }
        // A log: whose it is, its columns, its rows.
        let log = format!(
            "GPS Time,Device Time,Latitude,Longitude,Engine RPM(rpm),{who}({who}),Note\n\
             {time},{who},{latitude},{longitude},900,{who},{who}\n{who},{who},{latitude},x,{who},{who},{who}\n"
        );
        let token = format!("X-Device-Id: {who}\r\nUser-Agent: import ({who})\r\nX-Request-Id: {who}\r\n");
        let upload = token.clone() + &format!("Authorization: Bearer {TOKEN}\r\n");
        let mut import = |target: &str, headers: &str, body: &str| {
            let head = format!("POST {target} HTTP/1.0\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
            requests.push([head.as_bytes(), body.as_bytes()].concat());
        };
        import("/api/import", &upload, &log);
        import("/api/import", &upload, who);
        import("/api/import", &token, &log);
        let bearer = format!("Authorization: Bearer {TOKEN}\r\nUser-Agent: {who}\r\n");
        import(&format!("/api/import?device_id={escaped}"), &bearer, &log);
        // What somebody calls a vehicle is no secret by itself.
        if who != ODD_DEVICE {
            import(&format!("/api/import?vehicle={escaped}"), &bearer, &log);
            import(&format!("/api/import?{escaped}={escaped}"), &bearer, &log);
        }
    }
}
