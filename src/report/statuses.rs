//! Statuses that are posted as such, by a token.
//!
//! That a status is being sent is kept in the store before, so that neither a lost answer nor a restart posts it twice:
//! the forge is asked first what it shows.

use std::time::Duration;

use crate::courier;
use crate::forge::Answer;
use crate::forge::Found;
use crate::moment::Moment;
use crate::report::Error;
use crate::report::poster::Address;
use crate::report::poster::Fate;
use crate::report::poster::Poster;
use crate::secret::Secret;
use crate::store::Due;

impl Poster {
    /// Brings a status on by one request, and notes in `due` whether the forge has it is unknown then. `now` is when the
    /// request is made.
    pub(super) async fn tell(
        &self,
        due: &mut Due,
        address: &Address,
        token: &Secret,
        now: Moment,
    ) -> Result<Fate, Error> {
        if due.unsure {
            return self.look(due, address, token).await;
        }
        let again = now.plus(u64::try_from(address.forge.lag().as_millis()).unwrap_or(u64::MAX));
        self.store().sending(due, again).await.map_err(Error::Store)?;
        let page = self.page(due);
        let request = address.forge.describe(&address.status(due, page.as_deref()));
        let sent =
            self.courier().send(&request, token, |answer| address.forge.classify(&request, answer)).await;
        due.unsure = unsure(&sent);
        let lag = if due.unsure { address.forge.lag() } else { Duration::ZERO };
        Ok(self.fate(due, address, sent).no_sooner(lag))
    }

    /// Asks the forge what it shows of a status that it may have been told.
    async fn look(&self, due: &mut Due, address: &Address, token: &Secret) -> Result<Fate, Error> {
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
        Ok(self.fate(due, address, answer))
    }
}

/// Returns whether the forge may have a status and did not say so.
fn unsure(sent: &Result<Answer, courier::Error>) -> bool {
    match sent {
        Ok(Answer::Unsure(_)) => true,
        Ok(
            Answer::Taken
            | Answer::TakenLast(_)
            | Answer::Later(_)
            | Answer::Limited
            | Answer::Ours(_)
            | Answer::Never(_),
        ) => false,
        Err(error) => error.may_have_arrived(),
    }
}
