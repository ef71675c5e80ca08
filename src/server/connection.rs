//! An end for every connection.
//!
//! The HTTP server bounds the first head of a connection and the idle time between requests, but neither a second
//! head that comes in drops nor the rest of a chunked body that was refused already. So each connection has a watch
//! of its own, which cuts it off when nothing has been worked on for too long.

use std::any::Any;
use std::cell::Cell;
use std::net::Shutdown;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::rc::Weak;
use std::time::Duration;

use actix_web::dev::Extensions;
use tokio::time::Instant;

/// How long may a connection go on after a request on it was refused?
const AFTER_REFUSAL: Duration = Duration::from_secs(2);
/// How often does a watch look?
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is known of one connection, by the thread that serves it.
pub struct Watch {
    socket: TcpStream,
    /// Until when must the next request have come whole? Nothing while one is worked on.
    until: Cell<Option<Instant>>,
    patience: Duration,
}

/// A request that is worked on; the connection is not cut off meanwhile.
pub struct Work(Rc<Watch>);

impl Watch {
    /// Begins to watch a connection, as far as it is one of TCP. `patience` is how long it may be without work.
    pub fn begin(connection: &dyn Any, data: &mut Extensions, patience: Duration) {
        let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() else { return };
        // Without a second handle the connection is not watched: there are no files left, and soon no connections.
        let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return };
        let until = Cell::new(Some(Instant::now() + patience));
        let watch = Rc::new(Self { socket: socket.into(), until, patience });
        actix_web::rt::spawn(Self::look(Rc::downgrade(&watch)));
        data.insert(watch);
    }

    async fn look(watch: Weak<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // Gone with its connection.
            let Some(watch) = watch.upgrade() else { return };
            if watch.until.get().is_some_and(|until| until <= Instant::now()) {
                // It fails only when the other side was faster.
                drop(watch.socket.shutdown(Shutdown::Both));
                return;
            }
        }
    }

    /// Notes that a request is worked on.
    pub fn work(self: &Rc<Self>) -> Work {
        self.until.set(None);
        Work(self.clone())
    }
}

impl Work {
    /// Notes that it was refused: nothing more is to be expected on this connection.
    pub fn refuse(self) {
        let watch = self.0.clone();
        drop(self);
        watch.until.set(Some(Instant::now() + AFTER_REFUSAL));
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.until.set(Some(Instant::now() + self.0.patience));
    }
}
