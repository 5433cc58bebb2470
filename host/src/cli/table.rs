//! Text for people to read: in columns, with units.

/// Rows of cells, each column as wide as its widest cell; the first column to
/// the left, the others to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// Bytes in MB, 1 decimal; small sizes in KB.
pub fn size(bytes: usize) -> String {
    match bytes {
        ..1_048_576 => format!("{} KB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
    }
}

/// Microseconds in the unit that suits them, 1 decimal.
pub fn duration(us: f64) -> String {
    match us {
        ..1e3 => format!("{us:.1} µs"),
        ..1e6 => format!("{:.1} ms", us / 1e3),
        _ => format!("{:.1} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["call", "µs"], ["describe", "1.5"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "call       µs\ndescribe  1.5\n");
    }

    #[test]
    fn durations_have_units() {
        assert_eq!([0.0, 1.52, 8192.0, 2e6].map(duration), ["0.0 µs", "1.5 µs", "8.2 ms", "2.0 s"]);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([size(1), size(1 << 20), size(3 << 19)], ["1 KB", "1.0 MB", "1.5 MB"]);
    }
}
