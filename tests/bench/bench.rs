//! Measures windlass on the real parts of the test bed. `scripts/bench` builds it and runs this.
//!
//! `latency` measures one push after the other, from the delivery to the verdict; `door` how many deliveries are accepted
//! while nothing is done with them, and `door --rabbit` the same over RabbitMQ beside the least that could do it; `scale`
//! how work is shared by more and more workers; `engine` whole repositories, beside the least that could apply them, and
//! `engine --flux` beside Flux, too. Nothing is asserted about time; what came in is counted again where it must have
//! arrived.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a measurement ends where it fails"
)]

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::Subcommand;
use serde_json::json;

mod bare;
mod beside;
mod controllers;
mod door;
mod engine;
mod floor;
mod flux;
mod goals;
mod knock;
mod latency;
mod numbers;
mod rows;
mod scale;
mod scene;
mod shapes;
mod statuses;
#[path = "../world/mod.rs"]
mod world;

/// Measures windlass.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Write the numbers to this file as JSON, too.
    #[arg(long, value_name = "FILE", global = true)]
    json: Option<PathBuf>,
    /// The program to measure.
    #[arg(long, value_name = "FILE", global = true, default_value = "target/release/windlass")]
    windlass: PathBuf,
}

#[derive(Clone, Subcommand)]
enum What {
    /// From a delivery to its answer, the pending status, the object in the cluster and the final status.
    Latency {
        /// How many pushes?
        #[arg(long, default_value_t = 50)]
        pushes: usize,
        /// How many milliseconds lie between a push and its delivery? Gitea itself works on after a push, on the same
        /// cores; a pause tells windlass's own time from that.
        #[arg(long, default_value_t = 0)]
        pause: u64,
    },
    /// Targets a second with 1, 2, 4 and 8 workers over RabbitMQ and Postgres, and how fast they share the work anew.
    Scale {
        /// How many applications?
        #[arg(long, default_value_t = 256)]
        applications: usize,
        /// With how many workers?
        #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8])]
        workers: Vec<usize>,
    },
    /// Whole repositories of many applications, and one application of many objects: seconds until all is healthy.
    Engine {
        /// How many applications of four objects?
        #[arg(long, value_delimiter = ',', default_values_t = [100, 300, 1000])]
        applications: Vec<usize>,
        /// How many objects in one application?
        #[arg(long, default_value_t = 1500)]
        objects: usize,
        /// Beside Flux, which then does the same work on the same servers after windlass.
        #[arg(long)]
        flux: bool,
    },
    /// Deliveries of 8 KB, accepted in a second, at 1, 64 and 256 connections.
    Door {
        /// For how many seconds at each number of connections?
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Over RabbitMQ, beside a handler that only verifies and publishes.
        #[arg(long)]
        rabbit: bool,
    },
    /// Is that handler.
    #[command(hide = true)]
    Bare {
        /// Where is the broker?
        broker: String,
    },
}

#[tokio::main]
async fn main() {
    windlass::courier::prepare();
    let Arguments { what, json, windlass } = Arguments::parse();
    let cores = std::thread::available_parallelism().unwrap().get();
    let (name, numbers) = match what {
        What::Latency { pushes, pause } => {
            let pause = Duration::from_millis(pause);
            ("latency", latency::measure(&windlass, pushes, pause).await)
        }
        What::Scale { applications, workers } => {
            ("scale", scale::measure(&windlass, applications, &workers).await)
        }
        What::Engine { applications, objects, flux } => {
            ("engine", engine::measure(&windlass, &applications, objects, flux).await)
        }
        What::Door { seconds, rabbit: false } => ("door", door::measure(&windlass, seconds).await),
        What::Door { seconds, rabbit: true } => ("door at rabbit", beside::measure(&windlass, seconds).await),
        What::Bare { broker } => return bare::serve(&broker).await,
    };
    say(&format!("\n{cores} cores, shared by windlass, the bed and this measurement."));
    if let Some(file) = json {
        let all = json!({ "what": name, "cores": cores, "numbers": numbers });
        std::fs::write(file, serde_json::to_string_pretty(&all).unwrap()).unwrap();
    }
}

/// Prints a line.
fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
}
