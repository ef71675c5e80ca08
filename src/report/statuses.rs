//! Statuses that are posted as such, by a token.
//!
//! That a status is being sent is kept in the store before, so that neither a lost answer nor a restart posts it twice:
//! the forge is asked first what it shows.

use std::time::Duration;

use crate::courier;
use crate::forge::Answer;
use crate::forge::Found;
use crate::report::Error;
use crate::report::fate::Clock;
use crate::report::fate::Fate;
use crate::report::poster::Address;
use crate::report::poster::Poster;
use crate::secret::Secret;
use crate::store::Due;

/// How long may a forge go on with a request whose sender has gone?
const LOST_FOR: Duration = Duration::from_secs(10);

impl Poster {
    /// Brings a status on by one request, and notes in `due` whether it is unknown then that the forge has it.
    pub(super) async fn tell(
        &self,
        due: &mut Due,
        address: &Address,
        token: &Secret,
        clock: Clock,
    ) -> Result<Fate, Error> {
        if due.unsure {
            return self.look(due, address, token, clock).await;
        }
        self.store().sending(due, clock.after(address.forge.lag())).await.map_err(Error::Store)?;
        let page = self.page(due);
        let request = address.forge.describe(&address.status(due, page.as_deref()));
        let sent =
            self.courier().send(&request, token, |answer| address.forge.classify(&request, answer)).await;
        let again = unsure(&sent, address.forge.lag());
        due.unsure = again.is_some();
        Ok(self.fate(due, address, sent, clock).no_sooner(again.unwrap_or_default()))
    }

    /// Asks the forge what it shows of a status that it may have been told.
    async fn look(
        &self,
        due: &mut Due,
        address: &Address,
        token: &Secret,
        clock: Clock,
    ) -> Result<Fate, Error> {
        let page = self.page(due);
        let status = address.status(due, page.as_deref());
        let request = address.forge.look(&status);
        let found = self.courier().send(&request, token, |answer| address.forge.found(&status, answer)).await;
        let answer = match found {
            Ok(Found::Same) => Ok(Answer::Taken),
            Ok(Found::Other) => {
                self.store().not_sent(due).await.map_err(Error::Store)?;
                return Ok(Fate::GoesOn { wait: Duration::ZERO, held: Vec::new() });
            }
            Ok(Found::Unknown(answer)) => Ok(answer),
            Err(error) => Err(error),
        };
        Ok(self.fate(due, address, answer, clock))
    }
}

/// Returns after which time the forge is asked what it shows, where it may have a status and did not say so: as far as
/// what it shows may lag behind, or as long as it may still be at a request that nobody waits for any more.
fn unsure(sent: &Result<Answer, courier::Error>, lag: Duration) -> Option<Duration> {
    match sent {
        Ok(Answer::Unsure(_)) => Some(lag),
        Ok(
            Answer::Taken
            | Answer::TakenLast(_)
            | Answer::Later(_)
            | Answer::Limited
            | Answer::Ours(_)
            | Answer::Never(_),
        ) => None,
        Err(error) => error.may_have_arrived().then(|| LOST_FOR.max(lag)),
    }
}
