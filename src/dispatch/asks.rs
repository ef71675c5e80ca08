//! What the workers of a lane ask for, before it becomes an event like any other.

use std::time::Duration;

use crate::event::Event;
use crate::queue::Draft;
use crate::queue::Lane;
use crate::queue::Settled;

use super::Dispatcher;
use super::Step;

impl Dispatcher {
    /// Returns the lanes whose workers may ask for something.
    #[must_use]
    pub fn lanes(&self) -> Vec<String> {
        self.lanes.all().into_iter().map(str::to_owned).collect()
    }

    /// Takes one wish of the workers of a lane, waiting for it up to `wait`. What they may ask for joins the line of its
    /// source's events; anything else is buried.
    ///
    /// # Errors
    /// Only those of the queue; the wish comes again.
    pub async fn ask_step(&self, lane: &str, wait: Duration) -> Result<Step, crate::queue::Error> {
        let Some(lease) = self.queue.next(&Lane::asks(lane), wait).await? else { return Ok(Step::Idle) };
        let event = match lease.read::<Event>(crate::event::VERSION) {
            Ok(event) => event,
            Err(unread) => return self.unread(&lease, &unread).await,
        };
        if let Err(why) = self.lanes.judge_ask(lane, &event) {
            tracing::error!(lane, message.id = lease.id, why, "a wish that is not granted was buried");
            let _settled = self.queue.bury(&lease, &why).await?;
            return Ok(Step::Buried { why });
        }
        self.queue.publish(vec![Draft::event(&event)]).await?;
        match self.queue.ack(&lease).await? {
            Settled::Done => Ok(Step::HandedOn),
            Settled::Lost => Ok(Step::Lost),
        }
    }
}
