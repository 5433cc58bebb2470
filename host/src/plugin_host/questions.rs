//! The calls of each slot as data: a function and its arguments, and what it
//! answers, both as JSON with the contract's names in snake case. The calls
//! themselves are `set`'s; what to ask on trial is `samples`'.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bindings::charging::Session;
use super::bindings::costs::{Cost, Usage};
use super::bindings::live::{Figures, Point};
use super::bindings::routes::Ends;
use super::bindings::sampling::{Facts, Verdict};
use super::bindings::soc_floor::Floor;
use super::bindings::tiers::VehicleStats;
use super::bindings::trips::{Failure, SocTransition, Summary, Trip};
use super::bindings::weather::{Impact, Sample};
use super::error::{PluginError, SummarizeError};
use super::pool::Pool;
use super::readings::TripReadings;
use super::samples;
use super::world::{SamplingPolicy, TripCalculator, UsageTier, World};

/// A world whose functions can be asked by name.
pub(super) trait Ask: World {
    /// A function and its arguments.
    type Question: DeserializeOwned + Clone + Send + Sync;
    /// What it answers.
    type Answer: Serialize + Send;

    /// The function's name, in snake case.
    fn function(question: &Self::Question) -> &'static str;

    /// Built-in questions, at least one for each function.
    fn samples() -> Vec<Self::Question>;

    /// Questions to measure calls with, and what they are: one of each function.
    fn workload() -> Vec<(String, Self::Question)> {
        let named = |question: Self::Question| (Self::function(&question).to_owned(), question);
        let mut questions: Vec<_> = Self::samples().into_iter().map(named).collect();
        questions.dedup_by(|(one, _), (other, _)| one == other);
        questions
    }

    /// Asks a plugin.
    fn ask(
        pool: &Pool<Self>,
        question: Self::Question,
        at_ms: i64,
    ) -> impl Future<Output = Result<Self::Answer, PluginError>> + Send;
}

/// What a policy can be asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum PolicyQuestion {
    Decide { facts: Facts, event: Event },
}

/// An event as a JSON object, read by path.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Event(pub(super) serde_json::Map<String, Value>);

impl Ask for SamplingPolicy {
    type Question = PolicyQuestion;
    type Answer = Verdict;

    fn function(question: &PolicyQuestion) -> &'static str {
        match question {
            PolicyQuestion::Decide { .. } => "decide",
        }
    }

    fn samples() -> Vec<PolicyQuestion> {
        samples::policy()
    }

    async fn ask(pool: &Pool<Self>, question: PolicyQuestion, at_ms: i64) -> Result<Verdict, PluginError> {
        let PolicyQuestion::Decide { facts, event } = question;
        pool.decide(facts, Arc::new(Value::Object(event.0)), at_ms).await
    }
}

/// What a usage tier can be asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum TierQuestion {
    Classify { stats: VehicleStats },
}

impl Ask for UsageTier {
    type Question = TierQuestion;
    type Answer = String;

    fn function(question: &TierQuestion) -> &'static str {
        match question {
            TierQuestion::Classify { .. } => "classify",
        }
    }

    fn samples() -> Vec<TierQuestion> {
        samples::tier()
    }

    async fn ask(pool: &Pool<Self>, question: TierQuestion, at_ms: i64) -> Result<String, PluginError> {
        let TierQuestion::Classify { stats } = question;
        Ok(pool.classify(stats, at_ms).await?.tier)
    }
}

/// What a trip calculator can be asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum CalculatorQuestion {
    Summarize { trip: Trip, readings: TripReadings },
    FiguresOf { first: Point, latest: Point },
    Condition { code: Option<i32> },
    Assess { samples: Vec<Sample> },
    Sessions { readings: TripReadings },
    CostOf { usage: Usage },
    FloorOf { transitions: Vec<SocTransition> },
    Predict { state_of_charge: f64, recent_kwh_per_mile: f64 },
    MatchRoute { trip: Ends, known: Vec<Ends> },
}

/// What a trip calculator answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum CalculatorAnswer {
    Summary(Box<Given<Summary, Failure>>),
    Figures(Figures),
    Condition(String),
    Impact(Option<Impact>),
    Sessions(Vec<Session>),
    Cost(Cost),
    Floor(Floor),
    Range(Option<f64>),
    Route(Option<u32>),
}

/// A `result` of the contract.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Given<T, E> {
    Ok(T),
    Err(E),
}

impl Ask for TripCalculator {
    type Question = CalculatorQuestion;
    type Answer = CalculatorAnswer;

    fn function(question: &CalculatorQuestion) -> &'static str {
        match question {
            CalculatorQuestion::Summarize { .. } => "summarize",
            CalculatorQuestion::FiguresOf { .. } => "figures_of",
            CalculatorQuestion::Condition { .. } => "condition",
            CalculatorQuestion::Assess { .. } => "assess",
            CalculatorQuestion::Sessions { .. } => "sessions",
            CalculatorQuestion::CostOf { .. } => "cost_of",
            CalculatorQuestion::FloorOf { .. } => "floor_of",
            CalculatorQuestion::Predict { .. } => "predict",
            CalculatorQuestion::MatchRoute { .. } => "match_route",
        }
    }

    fn samples() -> Vec<CalculatorQuestion> {
        samples::calculator()
    }

    fn workload() -> Vec<(String, CalculatorQuestion)> {
        samples::trips()
    }

    async fn ask(
        pool: &Pool<Self>,
        question: CalculatorQuestion,
        at_ms: i64,
    ) -> Result<CalculatorAnswer, PluginError> {
        use CalculatorAnswer as Answer;
        use CalculatorQuestion as Question;
        Ok(match question {
            Question::Summarize { trip, readings } => {
                let calculated = pool.summarize(trip, Arc::new(readings), at_ms).await;
                Answer::Summary(Box::new(match calculated {
                    Ok(calculation) => Given::Ok(calculation.summary),
                    Err(SummarizeError::Failed { stage, message, .. }) => {
                        Given::Err(Failure { stage, message })
                    }
                    Err(SummarizeError::Plugin { error, .. }) => return Err(error),
                }))
            }
            Question::FiguresOf { first, latest } => {
                Answer::Figures(pool.figures_of(first, latest, at_ms).await?)
            }
            Question::Condition { code } => Answer::Condition(pool.condition(code, at_ms).await?),
            Question::Assess { samples } => Answer::Impact(pool.assess(samples, at_ms).await?),
            Question::Sessions { readings } => {
                Answer::Sessions(pool.sessions(Arc::new(readings), 0, at_ms).await?)
            }
            Question::CostOf { usage } => Answer::Cost(pool.cost_of(usage, at_ms).await?),
            Question::FloorOf { transitions } => Answer::Floor(pool.floor_of(transitions, at_ms).await?),
            Question::Predict { state_of_charge, recent_kwh_per_mile } => {
                Answer::Range(pool.predict(state_of_charge, recent_kwh_per_mile, at_ms).await?)
            }
            Question::MatchRoute { trip, known } => {
                Answer::Route(pool.match_route(trip, &known, at_ms).await?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_a_sample_of_each<W: Ask>() {
        let exports = W::EXPORTS.iter().filter(|(interface, _)| *interface != "identity");
        let mut functions: Vec<_> = exports.flat_map(|(_, functions)| *functions).copied().collect();
        let mut sampled: Vec<_> = W::samples().iter().map(W::function).collect();
        functions.sort_unstable();
        sampled.sort_unstable();
        sampled.dedup();
        assert_eq!(sampled, functions);
    }

    #[test]
    fn every_function_of_every_world_can_be_asked() {
        has_a_sample_of_each::<SamplingPolicy>();
        has_a_sample_of_each::<UsageTier>();
        has_a_sample_of_each::<TripCalculator>();
    }
}
