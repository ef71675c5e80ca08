//! `POST /hooks/{forge}` and `POST /hooks/{forge}/{source}`: the only pages that anything is told to.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::Resource;
use actix_web::http::header;
use actix_web::web;

use crate::clock::now;
use crate::forge::Request;
use crate::intake::Answer;
use crate::intake::Hook;
use crate::server::Shared;
use crate::server::body;
use crate::server::problem::Refusal;

/// Stands for the value of a header that is no text, so that it is present and holds for nothing.
const NO_TEXT: &str = "\u{fffd}";

/// Makes the pages.
pub fn resource() -> Resource {
    web::resource(["/hooks/{forge}", "/hooks/{forge}/{source}"])
        .route(web::post().to(hear))
        .default_service(web::to(|| async { Refusal::WrongMethod("POST").answer() }))
}

async fn hear(request: HttpRequest, payload: web::Payload, shared: web::Data<Shared>) -> HttpResponse {
    match decide(&request, payload, &shared).await {
        Ok(answer) => tell(answer),
        Err(refusal) => refusal.answer(),
    }
}

async fn decide(request: &HttpRequest, payload: web::Payload, shared: &Shared) -> Result<Answer, Refusal> {
    let path = request.match_info();
    let hook = Hook { forge: path.get("forge").unwrap_or_default(), source: path.get("source") };
    if !shared.intake.knows(hook) {
        return Err(Refusal::NoSuchPage);
    }
    let (from, begun) = (shared.guests.address(request), now());
    if !shared.guests.may_call(hook.forge, from) {
        return Err(Refusal::Stranger);
    }
    let may_try = shared.guests.may_try(from, begun);
    if !is_readable(request) {
        return Err(Refusal::WrongType);
    }
    let declared = text(request, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let body = body::read(payload, declared, &shared.limits, &shared.bodies).await?;
    let headers: Vec<(&str, &str)> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or(NO_TEXT)))
        .collect();
    let delivered = Request { headers: &headers, body: &body.bytes, now: now() };
    let shown =
        from.map_or_else(|| "an address that a proxy did not tell".to_owned(), |from| from.to_string());
    let answer = shared.intake.accept(hook, &shown, delivered).await;
    if answer == Answer::Unsigned {
        // Whoever shares an address with strangers, and signs, is heard whatever they do.
        may_try.map_err(Refusal::TooMany)?;
        shared.guests.failed(from, now());
    }
    Ok(answer)
}

fn tell(answer: Answer) -> HttpResponse {
    match answer {
        Answer::Accepted { id, events } => {
            HttpResponse::Accepted().json(serde_json::json!({ "id": id, "events": events }))
        }
        Answer::Ignored { id, why } => {
            HttpResponse::Ok().json(serde_json::json!({ "id": id, "ignored": why }))
        }
        Answer::Unsigned => Refusal::Unsigned.answer(),
        Answer::UnknownHook => Refusal::NoSuchPage.answer(),
        Answer::TooMany { wait } => Refusal::TooMany(wait).answer(),
        Answer::Unavailable => Refusal::Unavailable.answer(),
    }
}

fn text<'a>(request: &'a HttpRequest, name: &header::HeaderName) -> Option<&'a str> {
    request.headers().get(name).map(|value| value.to_str().unwrap_or(NO_TEXT))
}

/// Says whether the body is of a type that forges send, and not compressed.
fn is_readable(request: &HttpRequest) -> bool {
    let kind = text(request, &header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let known = ["application/json", "application/x-www-form-urlencoded"];
    let encoding = text(request, &header::CONTENT_ENCODING).unwrap_or("identity");
    known.iter().any(|known| kind.eq_ignore_ascii_case(known)) && encoding.eq_ignore_ascii_case("identity")
}
