//! A collector: it reads what comes by the official definitions of OTLP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::stand::Said;
use crate::stand::Stand;

pub struct Collector {
    pub stand: Stand,
    taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    pub fn start() -> Self {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&taken);
        let stand = Stand::start("", move |heard| {
            assert_eq!((heard.method.as_str(), heard.path.as_str()), ("POST", "/v1/traces"));
            assert_eq!(heard.content_type, "application/x-protobuf");
            into.lock().unwrap().push(ExportTraceServiceRequest::decode(&heard.body[..]).unwrap());
            Said::new(200, "application/x-protobuf", Vec::new())
        });
        Self { stand, taken }
    }

    /// Returns the spans of every batch.
    pub fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap();
        let resources = taken.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|one| &one.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Returns what every batch says of the process.
    pub fn resources(&self) -> Vec<BTreeMap<String, String>> {
        let taken = self.taken.lock().unwrap();
        let resources = taken.iter().flat_map(|request| &request.resource_spans);
        resources.map(|one| words(&one.resource.as_ref().unwrap().attributes)).collect()
    }
}

/// Returns attributes as texts.
pub fn words(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| {
        if let Value::StringValue(text) = value {
            return text.clone();
        }
        let Value::IntValue(number) = value else { panic!("{value:?} is not among what spans say") };
        number.to_string()
    };
    let value = |one: &KeyValue| text(one.value.as_ref().unwrap().value.as_ref().unwrap());
    attributes.iter().map(|one| (one.key.clone(), value(one))).collect()
}
