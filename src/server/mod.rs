//! The door.
mod limits;
pub use self::limits::Limits;
