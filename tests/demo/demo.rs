//! Shows windlass at work on real parts: pushes to a real Gitea turn a real cluster, and the commits turn green or red.
//!
//! `scripts/demo` builds everything and runs this. Each step is awaited within a bound and then checked against the
//! cluster and Gitea's API themselves; the first one that does not happen ends the demo with exit code 1.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the demo ends where it fails, and says so"
)]

use std::io::IsTerminal;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

mod acts;
mod cluster;
mod forge;
mod news;
mod screen;
mod stage;
#[path = "../world/mod.rs"]
mod world;

use screen::Screen;
use stage::Stage;
use stage::Where;

/// Shows windlass at work.
#[derive(Parser)]
struct Arguments {
    /// Do not ask before anything is written to the cluster of --kubeconfig.
    #[arg(long)]
    yes: bool,
    /// Use this cluster, by its current context, instead of the one of the test bed.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The program to show.
    #[arg(long, value_name = "FILE")]
    windlass: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    windlass::courier::prepare();
    let screen = Screen::new();
    let place = match &arguments.kubeconfig {
        Some(file) => Where::own(file),
        None => Where::bed(),
    };
    let place = match place {
        Ok(place) => place,
        Err(why) => {
            screen.failed(&why);
            return ExitCode::from(2);
        }
    };
    if !place.is_bed && !arguments.yes && !agreed(&place) {
        screen.failed("nothing was done: say yes, or give --yes");
        return ExitCode::from(2);
    }
    // What fails says so where it fails; this gives it the demo's voice.
    let voice = screen.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let why = panic.payload_as_str().map_or_else(|| panic.to_string(), str::to_owned);
        voice.failed(&why);
    }));
    show(&arguments, place, screen).await
}

async fn show(arguments: &Arguments, place: Where, screen: Screen) -> ExitCode {
    let Ok(stage) = tokio::spawn(Stage::make(place)).await.map(Arc::new) else { return ExitCode::FAILURE };
    let (played, shown, program) = (Arc::clone(&stage), screen.clone(), arguments.windlass.clone());
    let mut playing = tokio::spawn(async move {
        let door = played.start(program).await;
        shown.opened(&played, &door);
        acts::play(played, shown).await;
    });
    let ended = tokio::select! {
        ended = &mut playing => ended.is_ok(),
        _ = tokio::signal::ctrl_c() => {
            playing.abort();
            screen.failed("interrupted");
            false
        }
    };
    if !ended {
        screen.log(&stage.said().await);
    }
    let cleared = tokio::spawn(async move { stage.clear().await }).await;
    match (ended, cleared) {
        (true, Ok(what)) => {
            screen.closed(&what);
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

/// Asks whether the user's own cluster may be written to.
fn agreed(place: &Where) -> bool {
    let mut out = std::io::stderr();
    let asked = write!(
        out,
        "The demo makes the namespace {} in the cluster at {},\nwrites to that namespace alone, and deletes it at the end. Go on? [y/N] ",
        place.namespace, place.server
    );
    if asked.is_err() || out.flush().is_err() || !std::io::stdin().is_terminal() {
        return false;
    }
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok()
        && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}
