//! What each form makes of the same readings.

use super::*;

fn reading(time_ms: i64, fields: &[(&str, f64)]) -> StoredReading {
    let fields = fields.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
    StoredReading { time_ms, fields }
}

fn written(mut form: impl Form) -> String {
    let mut out = Vec::new();
    form.begin(&mut out);
    form.add(
        &reading(
            1_767_225_600_000,
            &[("altitude_m", 12.5), ("latitude", 45.5), ("longitude", -122.25), ("speed_mph", 31.0)],
        ),
        &mut out,
    );
    form.add(&reading(1_767_225_601_500, &[("speed_mph", 31.25)]), &mut out);
    form.add(&reading(1_767_225_602_000, &[("latitude", 45.5), ("longitude", -122.5)]), &mut out);
    form.end(&mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn csv_has_a_line_a_reading_and_a_column_a_field() {
    let columns = ["latitude", "longitude", "odd,\"name\"", "speed_mph"].map(str::to_owned);
    insta::assert_snapshot!(written(Csv::new(columns)), @r#"
    time,latitude,longitude,"odd,""name""",speed_mph
    2026-01-01T00:00:00Z,45.5,-122.25,,31
    2026-01-01T00:00:01.5Z,,,,31.25
    2026-01-01T00:00:02Z,45.5,-122.5,,
    "#);
}

#[test]
fn json_has_every_number_of_every_reading() {
    insta::assert_snapshot!(written(Json::new("t")), @r#"{"trip_id":"t","readings":[{"altitude_m":12.5,"latitude":45.5,"longitude":-122.25,"speed_mph":31.0,"time":"2026-01-01T00:00:00Z","time_ms":1767225600000},{"speed_mph":31.25,"time":"2026-01-01T00:00:01.5Z","time_ms":1767225601500},{"latitude":45.5,"longitude":-122.5,"time":"2026-01-01T00:00:02Z","time_ms":1767225602000}]}"#);
}

#[test]
fn gpx_has_the_readings_with_a_fix() {
    insta::assert_snapshot!(written(Gpx), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <gpx version="1.1" creator="VoltTracker" xmlns="http://www.topografix.com/GPX/1/1">
    <trk><trkseg>
    <trkpt lat="45.5" lon="-122.25"><ele>12.5</ele><time>2026-01-01T00:00:00Z</time></trkpt>
    <trkpt lat="45.5" lon="-122.5"><time>2026-01-01T00:00:02Z</time></trkpt>
    </trkseg></trk>
    </gpx>
    "#);
}

#[test]
fn geojson_has_a_point_a_fix_longitude_first() {
    insta::assert_snapshot!(written(GeoJson::default()), @r#"{"type":"FeatureCollection","features":[{"geometry":{"coordinates":[-122.25,45.5,12.5],"type":"Point"},"properties":{"speed_mph":31.0,"time":"2026-01-01T00:00:00Z"},"type":"Feature"},{"geometry":{"coordinates":[-122.5,45.5],"type":"Point"},"properties":{"time":"2026-01-01T00:00:02Z"},"type":"Feature"}]}"#);
}

#[test]
fn thinned_readings_are_at_most_so_many_and_span_the_trip() {
    for (readings, points) in [(3600, 100), (3600, 2), (50, 100), (1, 10)] {
        let mut thinner = Thinner::new(0, (readings - 1) * 1000, points);
        let kept: Vec<i64> = (0..readings).map(|s| s * 1000).filter(|time| thinner.keeps(*time)).collect();
        assert!(kept.len() as i64 <= points, "{} of {points}", kept.len());
        assert!(kept.len() as i64 >= points.min(readings) / 2, "{} of {points}", kept.len());
        assert_eq!(kept[0], 0);
    }
}
