//! The constants of the simulated car and the unit factors, each with its source. No behaviour.

/// Usable-scale pack energy in kWh; the receiver's rules use the same figure for SOC.
pub const BATTERY_KWH: f64 = 18.4;
/// Fuel tank in US gallons, as the receiver's PID catalogue gives it.
pub const TANK_GALLONS: f64 = 9.3122;
/// Kerb mass of a 2013–2016 Volt (about 1,680 kg) with a driver, in kg.
pub const MASS_KG: f64 = 1_760.0;
/// Share of the mass that the wheels, gears and motors add when accelerating.
pub const ROTATING_MASS_FACTOR: f64 = 1.04;
/// Drag area in m²: Cd 0.28 (GM) times about 2.2 m² of frontal area.
pub const DRAG_AREA_M2: f64 = 0.62;
/// Rolling resistance of the low-resistance tyres on average asphalt.
pub const ROLLING_RESISTANCE: f64 = 0.0095;
/// Gravity in m/s².
pub const GRAVITY: f64 = 9.81;
/// Battery to wheel efficiency when driving (inverter, motor, gears).
pub const DRIVE_EFFICIENCY: f64 = 0.87;
/// Wheel to battery efficiency when braking, friction brakes included.
pub const REGEN_EFFICIENCY: f64 = 0.65;
/// Limit of regenerative braking in kW.
pub const REGEN_LIMIT_KW: f64 = 55.0;
/// Drive motor's power limit in kW (111 kW, 149 hp).
pub const MOTOR_LIMIT_KW: f64 = 111.0;
/// The 1.4–1.5 l engine's most useful bus power in kW.
pub const ENGINE_LIMIT_KW: f64 = 55.0;
/// Energy of a US gallon of petrol (lower heating value) in kWh (EPA: 33.7).
pub const PETROL_KWH_PER_GALLON: f64 = 33.7;
/// Petrol to electric bus efficiency; with the friction power it gives 35–45 mpg.
pub const ENGINE_EFFICIENCY: f64 = 0.335;
/// Petrol power in kW that a running engine burns before it delivers any.
pub const ENGINE_FRICTION_FUEL_KW: f64 = 4.5;
/// Pack's open-circuit voltage at 0 % SOC (96 cells in series), in V.
pub const PACK_EMPTY_VOLTS: f64 = 340.0;
/// Rise of the open-circuit voltage per point of SOC, in V.
pub const PACK_VOLTS_PER_SOC: f64 = 0.5;
/// Pack's internal resistance in Ω.
pub const PACK_OHMS: f64 = 0.1;
/// Voltage of the outlet that a charger at home is on (North America), in V.
pub const MAINS_VOLTS: f64 = 240.0;
/// What the Volt's own charger takes from such an outlet at most, in kW (GM's data sheet).
pub const CHARGER_LIMIT_KW: f64 = 3.3;
/// Plug to battery efficiency of that charger.
pub const CHARGER_EFFICIENCY: f64 = 0.88;
/// Drive motor revolutions per minute at 1 m/s (7:1 gears, 0.33 m tyre radius).
pub const MOTOR_RPM_PER_MPS: f64 = 202.0;

/// Metres in a mile.
pub const METRES_PER_MILE: f64 = 1_609.344;
/// Litres in a US gallon.
pub const LITRES_PER_GALLON: f64 = 3.785_411_784;
/// km/h in 1 m/s.
pub const KMH_PER_MPS: f64 = 3.6;

/// °C to °F.
pub fn fahrenheit(celsius: f64) -> f64 {
    celsius * 1.8 + 32.0
}

/// Metres to miles.
pub fn miles(metres: f64) -> f64 {
    metres / METRES_PER_MILE
}
