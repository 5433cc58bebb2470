//! The four questions that are asked again and again.

use serde_json::{Value, json};

use super::{Query, QueryError};

/// A question that has a name.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize, serde::Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Dashboard {
    /// Failures by deployment.
    FailuresByDeployment,
    /// How long operations take: what 99 of 100 do not exceed.
    DurationByOperation,
    /// Failures of the weather service by error code.
    WeatherFailures,
    /// Failures of vehicles that are used much, by operation and error code.
    HeavyUserFailures,
}

impl Dashboard {
    /// What it asks, of the time from `since` on and before `until`: RFC 3339.
    ///
    /// # Errors
    /// One of them is no time.
    pub fn query(self, since: Option<&str>, until: Option<&str>) -> Result<Query, QueryError> {
        let (mut filter, group_by, figures) = match self {
            Self::FailuresByDeployment => {
                (json!({"success": false}), json!(["service.deployment_id"]), json!(["count"]))
            }
            Self::DurationByOperation => {
                (json!({}), json!(["operation"]), json!(["p99(duration_ms)", "count"]))
            }
            Self::WeatherFailures => {
                let filter = json!({"operation": "external_api_weather", "success": false});
                (filter, json!(["error.code"]), json!(["count"]))
            }
            Self::HeavyUserFailures => {
                let filter = json!({"success": false, "vehicle_context.usage_tier": "heavy"});
                (filter, json!(["operation", "error.code"]), json!(["count"]))
            }
        };
        let bounds = [("$gte", since), ("$lt", until)].into_iter();
        let bounds = bounds.filter_map(|(operator, time)| Some((operator.to_owned(), Value::from(time?))));
        let bounds: serde_json::Map<_, _> = bounds.collect();
        if !bounds.is_empty() {
            filter["timestamp"] = Value::Object(bounds);
        }
        Query::parse(&json!({ "filter": filter, "group_by": group_by, "figures": figures, "limit": 1000 }))
    }
}
