//! Every code of the taxonomy is expected by an end-to-end test: of the real
//! binary, which raises it. Whether that test provokes it honestly, its reader
//! sees; here only that nobody forgets it.

use std::path::Path;

use crate::events::Code;

/// What the end-to-end tests expect: their lines, and what their snapshots hold.
fn expectations(dir: &Path, lines: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("the folder of the end-to-end tests") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            expectations(&path, lines);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text");
        let is_snapshot = path.extension().is_some_and(|extension| extension == "snap");
        let expects = |line: &&str| {
            let line = line.trim_start();
            let asks = line.contains("error.code");
            if is_snapshot { line.starts_with("\"code\":") } else { !line.starts_with("//") && !asks }
        };
        lines.extend(text.lines().filter(expects).map(str::to_owned));
    }
}

#[test]
fn every_code_of_the_taxonomy_is_expected_by_an_end_to_end_test() {
    let mut lines = Vec::new();
    expectations(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tests"), &mut lines);
    let is_expected = |code: &&Code| {
        let literal = format!("\"{}\"", code.as_str());
        lines.iter().any(|line| line.contains(&literal))
    };
    let forgotten: Vec<_> = Code::ALL.iter().filter(|code| !is_expected(code)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}: provoke them in tests/, or remove them");
}
