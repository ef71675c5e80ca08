//! Whether the process lives and is ready, and its numbers.

use std::sync::atomic::Ordering;

use actix_web::FromRequest;
use actix_web::Handler;
use actix_web::HttpResponse;
use actix_web::Resource;
use actix_web::Responder;
use actix_web::guard;
use actix_web::web;

use crate::server::Shared;
use crate::server::problem::Refusal;

/// Makes a page that can be read and nothing else.
pub fn resource<F, Args>(path: &str, page: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(page))
        .default_service(web::to(|| async { Refusal::WrongMethod("GET, HEAD").answer() }))
}

/// Says that the process answers.
pub async fn lives() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// Says whether deliveries can be accepted.
pub async fn is_ready(shared: web::Data<Shared>) -> HttpResponse {
    let why = if shared.stopping.load(Ordering::Relaxed) {
        "stopping\n"
    } else if shared.intake.is_ready().await {
        return HttpResponse::Ok().content_type("text/plain").body("ready\n");
    } else {
        "the queue does not answer\n"
    };
    HttpResponse::ServiceUnavailable().content_type("text/plain").body(why)
}

/// Renders the metrics.
pub async fn metrics(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body((shared.metrics)())
}
