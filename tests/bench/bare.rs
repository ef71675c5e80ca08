//! The least that a door over RabbitMQ could do: an actix handler that verifies a delivery's signature, publishes a
//! message as large as an event with a confirm, and answers. A process of its own, as windlass is.

use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use actix_web::App;
use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::HttpServer;
use actix_web::http::StatusCode;
use actix_web::web;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use lapin::BasicProperties;
use lapin::Channel;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::options::BasicPublishOptions;
use lapin::options::ConfirmSelectOptions;
use lapin::options::QueueDeclareOptions;
use lapin::types::AMQPValue;
use lapin::types::FieldTable;
use sha2::Sha256;

/// The queue that it publishes to.
pub const QUEUE: &str = "bare";

/// How large is what it publishes, in bytes? An event of windlass's has about as many.
const EVENT_BYTES: usize = 400;

/// How many threads serve? As many as those of windlass by default.
const WORKERS: usize = 2;

/// The secret that it verifies with, as the variable of this name says.
const SECRET: &str = "SECRET";

/// The process that is this handler; it is killed with this.
pub struct Bare {
    child: Child,
    /// Where it listens, such as `http://127.0.0.1:41234`.
    pub door: String,
}

impl Bare {
    /// Starts this program once more, as the handler, on a broker.
    pub fn start(broker: &str, secret: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command.args(["bare", broker]).env(SECRET, secret).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut door = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut door).unwrap();
        Self { child, door: door.trim().to_owned() }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Is that handler until it is killed; prints where it listens.
pub async fn serve(broker: &str) {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), durable, arguments).await.unwrap();
    let secret = std::env::var(SECRET).unwrap();
    let shared = web::Data::new((channel, Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap()));
    let app = move || App::new().app_data(shared.clone()).default_service(web::to(take));
    let server = HttpServer::new(app).workers(WORKERS).bind("127.0.0.1:0").unwrap();
    crate::say(&format!("http://{}", server.addrs()[0]));
    server.run().await.unwrap();
}

async fn take(
    request: HttpRequest,
    body: web::Bytes,
    shared: web::Data<(Channel, Hmac<Sha256>)>,
) -> HttpResponse {
    let (channel, key) = shared.as_ref();
    let signature = request.headers().get("x-gitea-signature").map(|value| value.as_bytes().to_vec());
    let signature = signature.and_then(|text| unhex(&text)).unwrap_or_default();
    if key.clone().chain_update(&body).verify_slice(&signature).is_err() {
        return HttpResponse::new(StatusCode::UNAUTHORIZED);
    }
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = BasicProperties::default().with_delivery_mode(2);
    let sent =
        channel.basic_publish("".into(), QUEUE.into(), options, &[b'e'; EVENT_BYTES], properties).await;
    match sent.unwrap().await {
        Ok(confirm) if confirm.is_ack() => HttpResponse::new(StatusCode::ACCEPTED),
        _ => HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE),
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let pairs = text.chunks_exact(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}
