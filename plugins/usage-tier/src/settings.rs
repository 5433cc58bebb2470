//! The settings of this plugin, with defaults and ranges. No rule lives here.

plugin_settings::settings! {
    /// From how many closed trips on a vehicle is in a tier.
    pub struct Settings {
        light_from: u32 = "1", 0..=1_000_000_000, "From how many closed trips on a vehicle is in the tier `light`.";
        moderate_from: u32 = "20", 0..=1_000_000_000, "From how many closed trips on a vehicle is in the tier `moderate`.";
        heavy_from: u32 = "100", 0..=1_000_000_000, "From how many closed trips on a vehicle is in the tier `heavy`.";
    }
    check = ascending;
}

/// Tiers must ascend, else one of them could never be reached.
fn ascending(settings: &Settings) -> Result<(), String> {
    let Settings { light_from, moderate_from, heavy_from } = settings;
    if light_from <= moderate_from && moderate_from <= heavy_from {
        return Ok(());
    }
    Err(format!(
        "settings must ascend, but `light_from` is {light_from}, \
         `moderate_from` is {moderate_from}, `heavy_from` is {heavy_from}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        plugin_settings::configure(&pairs)
    }

    #[test]
    fn thresholds_must_ascend() {
        let refusal = given(&[("light_from", "30")]).expect_err("light above moderate");

        assert!(refusal.contains("`light_from` is 30"), "{refusal}");
        assert!(given(&[("light_from", "20"), ("heavy_from", "20")]).is_ok());
    }
}
