//! Dead letters: what is known of each, and how it goes on when somebody has mended its cause, or gives it up.

use serde::{Deserialize, Serialize};

use crate::application::Name;
use crate::application::Target;
use crate::clock::now;
use crate::commit::CommitId;
use crate::event;
use crate::event::Event;
use crate::event::What;
use crate::job;
use crate::job::Job;
use crate::job::Watch;
use crate::moment::Moment;
use crate::outcome;
use crate::outcome::Report;
use crate::queue::DEAD_LISTED;
use crate::queue::Dead;
use crate::queue::Draft;
use crate::queue::Error;
use crate::queue::Queue;

/// A dead letter, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The lane that it came from.
    pub lane: String,
    /// Its id. Several letters of a lane may have the same; the oldest of them is meant then.
    pub id: String,
    /// What it is about, as far as this windlass can read it.
    pub about: About,
    /// How often it had been delivered.
    pub deliveries: u32,
    /// When it was buried.
    pub buried_at: Moment,
    /// Why.
    pub why: String,
    /// What it says; nothing in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// What a message is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The source.
    pub source: Option<Name>,
    /// The target.
    pub target: Option<Target>,
    /// The commit.
    pub commit: Option<CommitId>,
}

/// What is asked about dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// List them, the latest first, at most so many.
    List(u32),
    /// Show all of one: its lane and its id.
    Show(String, String),
    /// Send one back.
    Replay(String, String),
    /// Take one away for good.
    Drop(String, String),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// These there are, without their bodies.
    Listed(Vec<Letter>),
    /// This is it.
    Shown(Letter),
    /// It is at the end of its line again.
    Replayed,
    /// It was a job, and an event of this id asks for a new one in its place.
    AskedAgain(String),
    /// It is gone for good.
    Dropped,
    /// Of those that can be listed, none is of that lane and id.
    NotFound,
}

/// How a letter goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// To the end of its line, as it is.
    AsItIs,
    /// As a wish for its target. A job carries the definition of its application as it was then, and may be old.
    Again(Event),
}

/// Does what is asked.
///
/// # Errors
/// The queue cannot be read or written. A letter is then still there; a wish in its place may have been made already, and
/// a second one does no harm.
pub async fn attend(queue: &Queue, asked: &Asked) -> Result<Done, Error> {
    match asked {
        Asked::List(limit) => {
            let dead = queue.dead(*limit).await?;
            Ok(Done::Listed(dead.iter().map(letter).collect()))
        }
        Asked::Show(lane, id) => {
            let found = find(queue, lane, id).await?;
            let shown = found.map(|dead| Letter { body: Some(dead.body.clone()), ..letter(&dead) });
            Ok(shown.map_or(Done::NotFound, Done::Shown))
        }
        Asked::Replay(lane, id) => match find(queue, lane, id).await? {
            Some(dead) => replay(queue, &dead).await,
            None => Ok(Done::NotFound),
        },
        Asked::Drop(lane, id) => match find(queue, lane, id).await? {
            Some(dead) if queue.discard(&dead.lane, id).await? => Ok(Done::Dropped),
            Some(_) | None => Ok(Done::NotFound),
        },
    }
}

/// Finds the oldest letter of a lane with that id.
async fn find(queue: &Queue, lane: &str, id: &str) -> Result<Option<Dead>, Error> {
    let mut dead = queue.dead(DEAD_LISTED).await?;
    let place = dead.iter().rposition(|dead| dead.lane.to_string() == lane && dead.id == id);
    Ok(place.map(|place| dead.swap_remove(place)))
}

async fn replay(queue: &Queue, dead: &Dead) -> Result<Done, Error> {
    let Way::Again(event) = way(dead, uuid::Uuid::now_v7().to_string(), now()) else {
        let found = queue.replay(&dead.lane, &dead.id).await?;
        return Ok(if found { Done::Replayed } else { Done::NotFound });
    };
    // The letter goes last: a crash in between leaves it, and asking twice is asking once.
    queue.publish(vec![Draft::event(&event)]).await?;
    queue.discard(&dead.lane, &dead.id).await?;
    Ok(Done::AskedAgain(event.id))
}

/// Says how a letter goes back. A job that cannot be read goes as it is: who reads it now may be a newer windlass.
fn way(dead: &Dead, id: String, at: Moment) -> Way {
    match dead.read::<Job>(job::VERSION) {
        Ok(job) if kind(dead) == "jobs" => {
            let what = What::Again { target: job.target, commit: Some(job.commit) };
            Way::Again(Event::new(id, job.application.source, what, at))
        }
        Ok(_) | Err(_) => Way::AsItIs,
    }
}

fn letter(dead: &Dead) -> Letter {
    Letter {
        lane: dead.lane.to_string(),
        id: dead.id.clone(),
        about: about(dead),
        deliveries: dead.deliveries,
        buried_at: dead.buried_at,
        why: dead.why.clone(),
        body: None,
    }
}

/// Reads what a letter is about, where its lane and its form are known.
fn about(dead: &Dead) -> About {
    let read = match kind(dead).as_str() {
        "jobs" => dead.read::<Job>(job::VERSION).map(|job| About {
            source: Some(job.application.source),
            target: Some(job.target),
            commit: Some(job.commit),
        }),
        "watch" => dead.read::<Watch>(job::WATCH_VERSION).map(|watch| About {
            source: Some(watch.source),
            target: Some(watch.target),
            commit: Some(watch.commit),
        }),
        "events" | "asks" => dead.read::<Event>(event::VERSION).map(of_event),
        "reports" => dead.read::<Report>(outcome::VERSION).map(|report| {
            let (source, target) = report.what.by_worker().unzip();
            About { source: source.cloned(), target: target.cloned(), commit: None }
        }),
        _ => return About::default(),
    };
    read.unwrap_or_default()
}

fn of_event(event: Event) -> About {
    let (target, commit) = match event.what {
        What::Again { target, commit } => (Some(target), commit),
        What::Drift { target, .. } | What::Sync { target, .. } => (Some(target), None),
        What::Failed { target, commit, .. } => (Some(target), Some(commit)),
        What::Rerun { target, commit } => (target, Some(commit)),
        What::Push { after, .. } => (None, after),
        What::PullRequest { head, .. } => (None, Some(head)),
        What::Sweep { .. } => (None, None),
    };
    About { source: Some(event.source), target, commit }
}

/// The first part of a lane's name says what kind of messages it has.
fn kind(dead: &Dead) -> String {
    let lane = dead.lane.to_string();
    lane.split_once('.').map_or(lane.as_str(), |(kind, _)| kind).to_owned()
}

#[cfg(test)]
mod tests;
