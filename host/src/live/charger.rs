//! Whether a car charges, by what its readings say of the plug and by answers to
//! whether they charge, which may come after readings that are later.

/// What is known of the charger, by the times of readings: epoch milliseconds.
pub(super) struct Charger {
    /// The last that said something of the plug.
    seen_ms: i64,
    /// The last without a plug.
    unplugged_ms: i64,
    /// The first that is known not to charge. Before it charging may have begun
    /// unseen.
    idle_ms: Option<i64>,
    /// The last that is known to charge.
    charged_ms: Option<i64>,
}

impl Charger {
    /// Of a trip that begins here, or whose beginning was not seen.
    pub(super) fn new(begins: bool) -> Self {
        Self {
            seen_ms: i64::MIN,
            unplugged_ms: i64::MIN,
            idle_ms: begins.then_some(i64::MIN),
            charged_ms: None,
        }
    }

    /// Takes what a reading says of the plug. Where charging may have started with
    /// it, comes back with the time since when it is plugged in. One that comes
    /// late changes nothing.
    pub(super) fn see(&mut self, connected: Option<bool>, time_ms: i64) -> Option<i64> {
        let connected = connected.filter(|_| time_ms > self.seen_ms)?;
        self.seen_ms = time_ms;
        if !connected {
            self.unplugged_ms = time_ms;
            self.idle_at(time_ms);
        }
        (connected && !self.charges()).then_some(self.unplugged_ms)
    }

    /// Takes the answer whether a reading charges; whether charging started with
    /// it.
    pub(super) fn answer(&mut self, time_ms: i64, plugged_since_ms: i64, charges: bool) -> bool {
        if !charges {
            self.idle_at(time_ms);
            return false;
        }
        let was_idle = self.idle_ms.is_some_and(|idle_ms| idle_ms < time_ms);
        let had_started = self.charged_ms.is_some_and(|charged_ms| charged_ms >= plugged_since_ms);
        self.charged_ms = self.charged_ms.max(Some(time_ms));
        was_idle && !had_started
    }

    /// Whether it charges.
    pub(super) fn charges(&self) -> bool {
        self.charged_ms.is_some_and(|charged_ms| charged_ms > self.unplugged_ms)
    }

    fn idle_at(&mut self, time_ms: i64) {
        self.idle_ms = Some(self.idle_ms.map_or(time_ms, |idle_ms| idle_ms.min(time_ms)));
    }
}
