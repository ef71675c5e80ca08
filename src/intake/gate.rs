//! The gate of one forge: its webhooks' secrets, the sources it holds, and how often each may be heard of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

use uuid::Uuid;

use crate::application::Name;
use crate::bucket::Bucket;
use crate::bucket::Rate;
use crate::event::Event;
use crate::event::Hint;
use crate::event::What;
use crate::forge::Kind;
use crate::intake::Known;
use crate::intake::alarm::Alarm;
use crate::moment::Moment;
use crate::secret::Secret;

/// The secrets of a forge's webhooks.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Those of the forge; with none, every delivery is unsigned.
    pub shared: Vec<Secret>,
    /// Those of the sources whose own webhooks have others.
    pub own: BTreeMap<Name, Vec<Secret>>,
}

impl Keys {
    /// Returns the secrets that may sign a delivery to the forge's webhook, or to that of a source alone.
    pub fn of(&self, source: Option<&Name>) -> &[Secret] {
        source.and_then(|source| self.own.get(source)).unwrap_or(&self.shared)
    }
}

pub struct Gate {
    pub kind: Kind,
    /// The alarm of the forge's webhook, and those of the webhooks of sources.
    alarm: Alarm,
    alarms: BTreeMap<Name, Alarm>,
    keys: RwLock<Arc<Keys>>,
    names: Vec<Name>,
    /// Sources by repository in lowercase, since forges compare without case.
    sources: BTreeMap<String, Vec<Name>>,
    buckets: Mutex<BTreeMap<Name, Bucket>>,
}

/// Why a hint leads to no event.
pub enum Unmet {
    /// It is about nothing that is configured; why, in words for a person.
    Idle(String),
    /// There were too many of them; how long until the next is taken.
    TooMany(Duration),
}

impl Gate {
    pub fn new(known: Known) -> Self {
        let Known { kind, keys, sources: held } = known;
        let mut sources: BTreeMap<String, Vec<Name>> = BTreeMap::new();
        for (source, repository) in &held {
            sources.entry(repository.to_lowercase()).or_default().push(source.clone());
        }
        Self {
            kind,
            alarm: Alarm::default(),
            alarms: held.iter().map(|(name, _)| (name.clone(), Alarm::default())).collect(),
            keys: RwLock::new(Arc::new(keys)),
            names: held.into_iter().map(|(name, _)| name).collect(),
            sources,
            buckets: Mutex::default(),
        }
    }

    /// Returns the source with this name, if this forge holds it.
    pub fn source(&self, name: &str) -> Option<&Name> {
        self.names.iter().find(|known| known.as_str() == name)
    }

    /// Returns the alarm of the forge's webhook, or of that of a source alone.
    pub fn alarm(&self, source: Option<&Name>) -> &Alarm {
        source.and_then(|source| self.alarms.get(source)).unwrap_or(&self.alarm)
    }

    /// Returns the secrets as they are now.
    pub fn keys(&self) -> Arc<Keys> {
        // A pointer is whole also after a panic elsewhere.
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes other secrets; deliveries that are looked at meanwhile are judged by the old ones.
    pub fn renew(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Returns the events that a hint leads to, one for each source that it is about, as long as there are not too many
    /// of them.
    ///
    /// # Errors
    /// It leads to none.
    pub fn events(
        &self,
        only: Option<&Name>,
        delivery: &str,
        hint: &Hint,
        rate: Option<Rate>,
        now: Moment,
    ) -> Result<Vec<Event>, Unmet> {
        let sources = self.meant(only, hint).map_err(Unmet::Idle)?;
        let Some(what) = Option::<What>::from(hint) else { return Ok(Vec::new()) };
        if let Some(rate) = rate {
            self.spend(&sources, rate, now).map_err(Unmet::TooMany)?;
        }
        let several = sources.len() > 1;
        Ok(sources.into_iter().map(|source| event(delivery, source, &what, several, now)).collect())
    }

    /// Returns the sources that a hint is about.
    fn meant(&self, only: Option<&Name>, hint: &Hint) -> Result<Vec<&Name>, String> {
        let repository = match hint {
            Hint::Ignored { why } => return Err(why.clone()),
            Hint::Push(push) => &push.repository,
            Hint::PullRequest(request) => &request.repository,
            Hint::Rerun(rerun) => &rerun.repository,
        };
        let Some(sources) = self.sources.get(&repository.to_lowercase()) else {
            return Err(format!("no source is configured for {repository}"));
        };
        // A secret of one source speaks for that source alone.
        let meant = |source: &&Name| only.is_none_or(|only| only == *source);
        let sources: Vec<&Name> = sources.iter().filter(meant).collect();
        match (sources.is_empty(), only) {
            (true, Some(only)) => {
                Err(format!("this webhook is for source {only}, which is not {repository}"))
            }
            _ => Ok(sources),
        }
    }

    /// Takes a token of each of the sources.
    fn spend(&self, sources: &[&Name], rate: Rate, now: Moment) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for source in sources {
            let bucket = buckets.get(*source).copied().unwrap_or_else(|| Bucket::full(rate, now));
            let bucket = bucket.refilled(rate, now);
            buckets.insert((*source).clone(), bucket.take(rate)?);
        }
        Ok(())
    }
}

/// Makes the event of one source. One delivery may concern several sources, whose events need names of their own.
fn event(delivery: &str, source: &Name, what: &What, several: bool, received_at: Moment) -> Event {
    let id = if several {
        Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{source}/{delivery}").as_bytes()).to_string()
    } else {
        delivery.to_owned()
    };
    Event::new(id, source.clone(), what.clone(), received_at)
}
