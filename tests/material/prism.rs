//! Prism, which answers as the description of an API says, and refuses what it does not allow.

use std::fs::File;
use std::net::TcpListener;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::shelf;
use crate::world::until;

/// A running Prism; it ends with this value.
pub struct Prism {
    /// Its address.
    pub url: String,
    child: Child,
    _folder: TempDir,
}

impl Prism {
    /// Starts Prism with a description, and waits until it answers.
    pub async fn start(description: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (file, log) = (folder.path().join("description.json"), folder.path().join("log"));
        std::fs::write(&file, description.to_string()).unwrap();
        // Another program could take the port first; then Prism ends, and says so.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let out = File::create(&log).unwrap();
        // It does not outlive a test that is killed.
        let mut node = Command::new("setpriv");
        node.args(["--pdeathsig", "KILL", "node"]);
        node.arg(shelf::at("npm/node_modules/@stoplight/prism-cli/dist/index.js"));
        node.args(["mock", "--host", "127.0.0.1", "--port", &port.to_string()]).arg(file);
        node.stdin(Stdio::null()).stderr(out.try_clone().unwrap()).stdout(out);
        let child = node.spawn().expect("setpriv and node are there: run scripts/bed up");
        let mut prism = Self { url: format!("http://127.0.0.1:{port}"), child, _folder: folder };
        until("Prism answers", async || {
            let ended = prism.child.try_wait().unwrap();
            assert!(ended.is_none(), "Prism ended: {}", std::fs::read_to_string(&log).unwrap());
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        prism
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
