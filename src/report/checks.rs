//! Statuses that are shown as check runs, at GitHub as an App.
//!
//! One request a status and turn, as fast as the forge's pace lets them. What a request will have left behind is kept
//! in the store before it is sent, so that neither a lost answer nor a restart shows anything twice.

use std::time::Duration;

use uuid::Uuid;

use crate::courier::App;
use crate::forge::StatusPost;
use crate::forge::github::app::Purpose;
use crate::forge::github::checks::After;
use crate::forge::github::checks::Check;
use crate::forge::github::checks::Show;
use crate::forge::github::checks::Turn;
use crate::moment::Moment;
use crate::outcome::Problem;
use crate::report::Error;
use crate::report::fate::Clock;
use crate::report::fate::Fate;
use crate::report::poster::Address;
use crate::report::poster::Poster;
use crate::store::Due;

impl Poster {
    /// Brings the check run of a status on by one request, and notes in `due` what is known of it then; in the store too,
    /// unless all is shown: that and the end of the status are one.
    pub(super) async fn show(
        &self,
        due: &mut Due,
        address: &Address,
        app: &App,
        clock: Clock,
    ) -> Result<Fate, Error> {
        let problems = self.problems(due).await?;
        let page = self.page(due);
        let status = address.status(due, page.as_deref());
        let folder = due.target.as_ref().and_then(|target| address.folders.get(target));
        let show = Show {
            status: &status,
            whole: due.target.is_none(),
            problems: &problems,
            folder: folder.map_or("", String::as_str),
        };
        let turn = Turn::next(due.check.as_ref(), &show, &Uuid::now_v7().to_string());
        // Should nobody hear of the answer, it is looked for no sooner than it may show.
        let again = Some(clock.after(address.forge.lag()));
        self.note(due.id, Some(&turn.check), again).await?;
        let (kept, ask) = (turn.clone(), turn.ask.clone());
        let sent = app.ask(&ask, &address.repository, Purpose::Post, |answer| turn.after(&show, answer));
        let (check, answer, shown) = match sent.await {
            Ok(After { check, answer, shown }) => (check, Ok(answer), shown),
            Err(error) if error.may_have_arrived() => (Some(kept.check), Err(error), false),
            Err(error) => (kept.unsent(), Err(error), false),
        };
        let lost = check.as_ref().is_some_and(|check| check.unsure);
        due.check = check;
        if !shown {
            self.note(due.id, due.check.as_ref(), None).await?;
        }
        let fate = self.fate(due, address, answer, clock);
        Ok(fate_of(fate, due, address, shown, lost))
    }

    /// Returns what stands in the way of a verdict, from the history of its run.
    async fn problems(&self, due: &Due) -> Result<Vec<Problem>, Error> {
        let Some(run) = due.run.as_ref().filter(|_| due.phase.is_final() && due.target.is_some()) else {
            return Ok(Vec::new());
        };
        let run = self.store().run(run).await.map_err(Error::Store)?;
        // Who shares the fate of a run of another target does not share its lines.
        let run = run.filter(|run| due.target.as_ref() == Some(&run.target));
        Ok(run.map(|run| run.problems).unwrap_or_default())
    }

    async fn note(&self, status: i64, check: Option<&Check>, again: Option<Moment>) -> Result<(), Error> {
        self.store().showing(status, check, again).await.map_err(Error::Store)
    }
}

/// Returns what becomes of a status whose check run was brought on by a request: it ends when all is shown.
fn fate_of(fate: Fate, due: &Due, address: &Address, shown: bool, lost: bool) -> Fate {
    match fate {
        // GitHub has it, and does not say what it calls it: lists may lag behind.
        Fate::Taken { wait, .. } if !shown && lost => {
            Fate::GoesOn { wait, held: vec![due.source.clone()] }.no_sooner(address.forge.lag())
        }
        Fate::Taken { wait, held } if !shown => Fate::GoesOn { wait, held },
        fate @ (Fate::Taken { .. } | Fate::GoesOn { .. } | Fate::GivenUp(_) | Fate::PutOff { .. }) => {
            fate.no_sooner(if lost { address.forge.lag() } else { Duration::ZERO })
        }
    }
}

impl Address {
    /// Returns what a status of this source says.
    pub(super) fn status<'a>(&'a self, due: &'a Due, page: Option<&'a str>) -> StatusPost<'a> {
        StatusPost {
            api: &self.api,
            repository: &self.repository,
            commit: &due.commit,
            context: &due.context,
            phase: due.phase,
            description: &due.description,
            target_url: page,
        }
    }
}
