//! The trial that a plugin stands before it is published. What the right
//! answer is, is the plugin's business; that there is a sound one, and the
//! same one whenever and whoever is asked, is looked at here.

use serde_json::Value;

use super::error::Unfit;
use super::pool::{Pool, bounded};
use super::questions::Ask;
use super::samples::AT_MS;

/// Asks the built-in questions, of one instance twice and of another one; the
/// error says which question went wrong, and how.
pub(super) async fn try_out<W: Ask>(pool: &Pool<W>) -> Result<(), Unfit> {
    let first = answers(pool).await?;
    same("the same again", &first, &answers(pool).await?)?;
    let used = pool.put_aside();
    let other = answers(pool).await;
    pool.put_back(used);
    same("another instance", &first, &other?)
}

type Answers = Vec<(&'static str, Value)>;

async fn answers<W: Ask>(pool: &Pool<W>) -> Result<Answers, Unfit> {
    let mut answers = Vec::new();
    for question in W::samples() {
        let function = W::function(&question);
        let answer = W::ask(pool, question, AT_MS).await;
        let answer = answer.map_err(|error| {
            Unfit::new(error.kind, format!("fails a trial call of `{function}`: {error}"))
        })?;
        let answer = serde_json::to_value(answer).map_err(|error| {
            Unfit::rejected(format!("answers `{function}` with what is no JSON: {error}"))
        })?;
        if let Some(failure) = answer.get("err") {
            return Err(Unfit::rejected(format!("fails an ordinary call of `{function}`: {failure}")));
        }
        answers.push((function, answer));
    }
    Ok(answers)
}

fn same(asked: &str, first: &Answers, then: &Answers) -> Result<(), Unfit> {
    let Some(((function, first), (_, then))) = first.iter().zip(then).find(|(first, then)| first != then)
    else {
        return Ok(());
    };
    let [first, then] = [first, then].map(|answer| bounded(&answer.to_string(), 300));
    Err(Unfit::rejected(format!(
        "answers `{function}` differently when asked {asked}, first {first}, then {then}: \
         plugins must be pure"
    )))
}
