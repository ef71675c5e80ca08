//! How requests get to a cluster.

use http::HeaderValue;
use http::Request;
use http::Response;
use http::header::USER_AGENT;
use http_body_util::Limited;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::Body;
use kube::client::ConfigExt;
use tower::BoxError;
use tower::Layer;
use tower::ServiceExt;
use tower::util::option_layer;

/// Makes a client that says who asks, unless the request does, and that breaks off an answer of more than `limit` bytes,
/// whatever it is read for.
///
/// It is put together from the parts of kube's own, but for one thing: what is written is sent at once. The first request
/// on a connection follows the end of its handshake, and would else be held back until that is acknowledged, which takes
/// 40 ms; and each watch has a connection of its own.
///
/// # Errors
/// Certificates and tokens that cannot be used. A proxy is not gone through: whoever calls refuses one.
pub(super) fn client(
    config: &kube::Config,
    limit: usize,
    agent: &HeaderValue,
) -> Result<kube::Client, kube::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let agent = agent.clone();
    let sender = Client::builder(TokioExecutor::new())
        .build::<_, Body>(connector)
        .map_request(move |mut request: Request<Body>| {
            request.headers_mut().entry(USER_AGENT).or_insert_with(|| agent.clone());
            request
        })
        .map_err(BoxError::from);
    let sender = config.extra_headers_layer()?.layer(sender);
    let sender = option_layer(config.auth_layer()?).layer(sender);
    let sender = config.base_uri_layer().layer(sender);
    let bounded =
        sender.map_response(move |answer: Response<_>| answer.map(|body| Limited::new(body, limit)));
    Ok(kube::Client::new(bounded, config.default_namespace.clone()))
}
