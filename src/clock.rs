//! The wall clock: the one place where the flow and the doors read it.

use crate::moment::Moment;

/// Returns the time that the machine's clock shows.
#[must_use]
pub fn now() -> Moment {
    Moment(jiff::Timestamp::now().as_millisecond())
}
