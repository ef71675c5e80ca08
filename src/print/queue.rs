//! `windlass queue`: what RabbitMQ has, and what windlass needs there.

use std::process::ExitCode;

use windlass::cli::Queue;
use windlass::queue::rabbit;
use windlass::queue::rabbit::Finding;
use windlass::queue::rabbit::State;
use windlass::role::Part;

use super::WRONG;
use super::load;
use super::out;

/// What to do about what is different.
const ADVICE: &str = "What is different stays as it is, so that no message is lost. To change a queue: stop all of windlass, see that \
`rabbitmqctl list_queues name messages` says 0 for it or move its messages with a shovel, delete it, and run \
`windlass queue apply`. An exchange holds no messages: stop all of windlass, delete it, and apply.\n";

/// Compares, and makes what is missing where that is asked.
pub async fn queue(asked: &Queue) -> anyhow::Result<ExitCode> {
    let (Queue::Plan(file) | Queue::Apply(file)) = asked;
    let Some(settings) = load(file.config.as_deref(), &Part::operator())? else {
        return Ok(ExitCode::from(WRONG));
    };
    let Some(options) = windlass::line::broker(&settings) else {
        out("The queue is a file of windlass's own (queue.url is not set): there is nothing to make.\n")?;
        return Ok(ExitCode::SUCCESS);
    };
    let applies = matches!(asked, Queue::Apply(_));
    let found = if applies { rabbit::furnish(&options).await? } else { rabbit::survey(&options).await? };
    out(&told(&found, applies))?;
    let fine = found.iter().all(|one| match one.state {
        State::Equal => true,
        State::Missing => applies,
        State::Different(_) => false,
    });
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells what was found, and what was done about it.
fn told(found: &[Finding], applies: bool) -> String {
    let (mut equal, mut missing, mut different) = (0_u32, 0_u32, 0_u32);
    let mut text = String::new();
    for Finding { kind, name, state } in found {
        let said = match state {
            State::Equal => {
                equal += 1;
                continue;
            }
            State::Missing => {
                missing += 1;
                if applies { "made".to_owned() } else { "missing".to_owned() }
            }
            State::Different(how) => {
                different += 1;
                format!("different: {how}")
            }
        };
        text += &format!("{kind:<8}  {name:<40}  {said}\n");
    }
    let made = if applies { "Made" } else { "Missing" };
    text += &format!("Equal: {equal}. {made}: {missing}. Different: {different}.\n");
    if different > 0 {
        text += ADVICE;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::told;
    use windlass::queue::rabbit::Finding;
    use windlass::queue::rabbit::State;

    #[test]
    fn only_what_is_not_equal_is_named_and_only_what_is_different_brings_advice() {
        let one = |name: &str, state| Finding { kind: "queue", name: name.to_owned(), state };
        let different = State::Different("x-max-length is none and should be '1000'".to_owned());
        let all = [one("a", State::Equal), one("b", State::Missing), one("c", different)];
        let plan = told(&all, false);
        assert!(plan.contains("  missing\n") && plan.contains("different: x-max-length is none"), "{plan}");
        assert!(plan.contains("Equal: 1. Missing: 1. Different: 1.\nWhat is different"), "{plan}");
        let applied = told(&all[..2], true);
        assert!(applied.ends_with("Equal: 1. Made: 1. Different: 0.\n"), "{applied}");
        assert!(!applied.contains("queue     a "), "{applied}");
    }
}
