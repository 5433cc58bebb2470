//! The parameters the simulated phone uploads: names and units as Torque tells them in its
//! unit requests. Data only; what the values are is `readout`'s business.

/// A parameter as the app knows it.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// PID in lower-case hex without leading zeros, as in `k` keys.
    pub pid: &'static str,
    /// Unit of the value on the wire (`defaultUnit`).
    pub unit: &'static str,
    /// Unit the driver looks at (`userUnit`); the value does not follow it.
    pub display_unit: &'static str,
    /// Short name.
    pub short_name: &'static str,
    /// Full name.
    pub full_name: &'static str,
}

/// Rows of PID, unit, display unit, short name, full name.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// Every parameter of an upload, in the order in which the app would list them.
pub fn parameters() -> impl Iterator<Item = Parameter> {
    PHONE.iter().chain(STANDARD).chain(VOLT).map(|row| {
        let (pid, unit, display_unit, short_name, full_name) = *row;
        Parameter { pid, unit, display_unit, short_name, full_name }
    })
}

/// From the phone's own sensors and sums; the last six are none of the receiver's.
const PHONE: &[Row] = &[
    ("ff1005", "°", "°", "GPSLon", "GPS Longitude"),
    ("ff1006", "°", "°", "GPSLat", "GPS Latitude"),
    ("ff1001", "km h", "mph", "GPS Spd", "Speed (GPS)"),
    ("ff1007", "", "", "GPS Brng", "GPS Bearing"),
    ("ff1239", "m", "ft", "GPS Acc", "GPS Accuracy"),
    ("ff1010", "m", "ft", "GPS Height", "GPS Altitude"),
    ("ff123a", "", "", "GPS Sat", "GPS Satellites"),
    ("ff1204", "km", "miles", "Trip", "Trip Distance"),
    ("ff1271", "l", "gal", "Fuel Used", "Fuel used (trip)"),
    ("ff1220", "g", "g", "Accel(x)", "Acceleration Sensor(X axis)"),
    ("ff1221", "g", "g", "Accel(y)", "Acceleration Sensor(Y axis)"),
    ("ff1222", "g", "g", "Accel(z)", "Acceleration Sensor(Z axis)"),
    ("ff1270", "mb", "mb", "Baro", "Barometer (on Android device)"),
    ("ff1266", "s", "s", "TripTime", "Trip Time(Since journey start)"),
    ("ff1238", "V", "V", "Volts(Ad)", "Voltage (OBD Adapter)"),
];

/// Standard OBD-II parameters.
const STANDARD: &[Row] = &[
    ("c", "rpm", "rpm", "Revs", "Engine RPM"),
    ("d", "km h", "mph", "Speed", "Speed (OBD)"),
    ("11", " ", " ", "Throttle", "Throttle Position(Manifold)"),
    ("4", " ", " ", "Load", "Engine Load"),
    ("42", "V", "V", "Volts(CM)", "Voltage (Control Module)"),
    ("5", "°C", "°F", "Coolant", "Engine Coolant Temperature"),
    ("f", "°C", "°F", "Intake", "Intake Air Temperature"),
    ("46", "°C", "°F", "Air temp", "Ambient air temp"),
    ("a6", "km", "miles", "Odometer", "Odometer (from ECU)"),
    ("21", "km", "miles", "MIL On", "Distance travelled with MIL CEL lit"),
    ("2f", " ", " ", "Fuel", "Fuel Level (From Engine ECU)"),
    ("5b", " ", " ", "HBATT", "Hybrid Battery Charge ( )"),
];

/// The Volt's own parameters (mode 22), as owners add them to the app.
const VOLT: &[Row] = &[
    ("22002f", " ", " ", "Fuel%", "Volt Fuel Level"),
    ("22005b", " ", " ", "SOC", "Volt State of Charge"),
    ("220009", "V", "V", "HV Volts", "HV Battery Voltage"),
    ("222429", "V", "V", "HV Volts2", "HV Pack Voltage"),
    ("22000a", "A", "A", "HV Amps", "HV Battery Current"),
    ("22000b", "kW", "kW", "HV kW", "HV Battery Power"),
    ("222414", "A", "A", "HV Dis", "HV Discharge Amps"),
    ("22434f", "°F", "°F", "Batt Temp", "HV Battery Temperature"),
    ("220038", "°F", "°F", "Batt Cool", "HV Battery Coolant"),
    ("220057", "", "", "Chg Stat", "Charger Status"),
    ("22006e", "kW", "kW", "Chg kW", "Charger Power"),
    ("224373", "W", "W", "Chg W", "Charger Power (W)"),
    ("224368", "V", "V", "Chg ACV", "Charger AC Volts"),
    ("224369", "A", "A", "Chg ACA", "Charger AC Amps"),
    ("22436b", "V", "V", "Chg HVV", "Charger HV Volts"),
    ("22436c", "A", "A", "Chg HVA", "Charger HV Amps"),
    ("22437d", "Wh", "Wh", "Last Chg", "Last Charge Energy"),
    ("220051", "rpm", "rpm", "Motor A", "Motor A Speed"),
    ("220052", "rpm", "rpm", "Motor B", "Motor B Speed"),
    ("220053", "rpm", "rpm", "Gen", "Generator Speed"),
    ("221570", "°F", "°F", "MotT1", "Motor Temperature 1"),
    ("221571", "°F", "°F", "MotT2", "Motor Temperature 2"),
    ("221572", "°F", "°F", "MotT3", "Motor Temperature 3"),
    ("221573", "°F", "°F", "MotT4", "Motor Temperature 4"),
    ("221154", "°F", "°F", "Oil", "Engine Oil Temperature"),
    ("22203f", "ft-lb", "ft-lb", "Torque", "Motor Torque"),
    ("221930", "", "", "Eng Run", "Engine Running"),
    ("220049", "°F", "°F", "Cool F", "Volt Engine Coolant"),
    ("220047", "°F", "°F", "Trans", "Transmission Temperature"),
    ("2241a3", "kWh", "kWh", "Batt Cap", "Battery Capacity"),
    ("224322", "mi", "mi", "Life EV", "Lifetime EV Miles"),
    ("224323", "mi", "mi", "Life Gas", "Lifetime Gas Miles"),
    ("224324", "gal", "gal", "Life Fuel", "Lifetime Fuel"),
    ("224325", "kWh", "kWh", "Life kWh", "Lifetime Energy"),
    ("22430a", "mi", "mi", "EV Range", "Range Left Electric"),
    ("22430c", "mi", "mi", "Gas Range", "Range Left Gas"),
];
