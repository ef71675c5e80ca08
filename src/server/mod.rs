//! The door: webhooks come in, health and metrics can be read, nothing else is said to anybody.
//!
//! What a stranger can send is bounded in size, time, number and memory before it is looked at. A delivery is
//! answered with 202 only after the queue has confirmed its events.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::App;
use actix_web::Error;
use actix_web::HttpServer;
use actix_web::dev::Service;
use actix_web::dev::ServiceRequest;
use actix_web::dev::ServiceResponse;
use actix_web::web;

use crate::intake::Intake;

mod body;
mod connection;
mod guests;
mod health;
mod hook;
mod limits;
mod network;
mod problem;

pub use self::guests::Guests;
pub use self::limits::Limits;
pub use self::network::Network;

use self::connection::Watch;

/// How long may the head of a request take to arrive?
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long may a closing connection take?
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Renders the metrics of the process as Prometheus reads them.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What all requests share.
struct Shared {
    limits: Limits,
    guests: Guests,
    intake: Arc<Intake>,
    metrics: Metrics,
    bodies: body::Budget,
    stopping: AtomicBool,
}

/// Serves until `stop` is over: then the server is not ready for a while, stops to listen, and gives requests their
/// time to finish.
///
/// # Errors
/// The listener cannot be used, or the server breaks down by itself.
pub async fn serve(
    limits: Limits,
    guests: Guests,
    intake: Arc<Intake>,
    metrics: Metrics,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let bodies = body::Budget::new(&limits);
    let shared =
        web::Data::new(Shared { limits, guests, intake, metrics, bodies, stopping: AtomicBool::new(false) });
    let routed = shared.clone();
    let patience = limits.idle_within + HEAD_WITHIN;
    let app = move || App::new().app_data(routed.clone()).configure(routes).wrap_fn(watched);
    let server = HttpServer::new(app)
        .on_connect(move |connection, data| Watch::begin(connection, data, patience))
        .workers(limits.workers)
        .max_connections(limits.connections.div_ceil(limits.workers.max(1)))
        .client_request_timeout(HEAD_WITHIN)
        .client_disconnect_timeout(CLOSE_WITHIN)
        .keep_alive(limits.idle_within)
        .shutdown_timeout(limits.stop_within.as_secs())
        .disable_signals()
        .listen(listener)?
        .run();
    let handle = server.handle();
    let stopping = async {
        stop.await;
        shared.stopping.store(true, Ordering::Relaxed);
        tokio::time::sleep(limits.announce_for).await;
        handle.stop(true).await;
    };
    let mut server = pin!(server);
    tokio::select! {
        served = &mut server => served,
        () = stopping => server.await,
    }
}

/// Tells the watch of the connection what is going on.
fn watched<S>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse, Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    let work = request.request().conn_data::<Rc<Watch>>().map(Watch::work);
    let answer = service.call(request);
    async move {
        let answer = answer.await;
        match work {
            Some(work) if answer.as_ref().is_ok_and(|answer| answer.status().is_client_error()) => {
                work.refuse()
            }
            work => drop(work),
        }
        answer
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .service(hook::resource())
        .service(health::resource("/healthz", health::lives))
        .service(health::resource("/readyz", health::is_ready))
        .service(health::resource("/metrics", health::metrics))
        .default_service(web::to(problem::no_such_page));
}
