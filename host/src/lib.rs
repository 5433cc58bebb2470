//! The parts of the VoltTracker server; what starts and joins them is elsewhere.

pub mod torque;
