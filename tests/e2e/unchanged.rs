//! What a whole pass costs where nothing changed.

use windlass::outcome::Phase;

use crate::world::kube::Asked;
use crate::world::manifests::config_map;
use crate::world::manifests::deployment;
use crate::world::manifests::secret;
use crate::world::windlass::World;

/// How many requests may a whole pass take that changes nothing, discovery and all?
const REQUESTS: usize = 20;

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  selector: { app: web }\n\
                       \x20 ports: [{ port: 80 }]\n";

const INGRESS: &str = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\nspec:\n  rules:\n  - host: web.example.org\n\
     \x20   http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: web, port: { number: 80 } } } }] }\n";

const ACCOUNT: &str = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: web\n";

/// Asks for a whole pass of the same commit, and returns what the cluster was asked meanwhile.
async fn whole_pass(w: &World) -> Vec<Asked> {
    let mark = w.east.mark();
    w.ask_again("shop").await;
    w.settle().await;
    let run = w.runs().await.pop().unwrap();
    assert_eq!((run.phase, run.tally.unchanged), (Phase::Healthy, 7), "{:?}", run.changes);
    w.east.asked_since(mark, &w.installation).await
}

/// Checks that members were listed and followed, and that none of them was asked for by itself.
fn is_cheap(asked: &[Asked], members: &str) {
    let of_members = |asked: &&Asked| asked.uri.contains(&format!("/namespaces/{members}/"));
    let one_by_one: Vec<_> =
        asked.iter().filter(of_members).filter(|one| !matches!(&*one.verb, "list" | "watch")).collect();
    assert!(one_by_one.is_empty(), "{one_by_one:#?}");
    let writes: Vec<_> = asked.iter().filter(|asked| asked.is_write()).collect();
    assert!(writes.is_empty(), "{writes:#?}");
    assert!(asked.iter().any(|asked| asked.verb == "list"), "the live objects were looked at: {asked:#?}");
    assert!(asked.len() <= REQUESTS, "{} requests: {asked:#?}", asked.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_pass_that_changes_nothing_asks_for_no_object_by_itself_also_after_a_restart() {
    World::run(async |w| {
        let files = [
            ("shop/one.yaml", &*config_map("one", "1")),
            ("shop/two.yaml", &config_map("two", "2")),
            ("shop/key.yaml", &secret("key", "something")),
            ("shop/web.yaml", &deployment("web")),
            ("shop/service.yaml", SERVICE),
            ("shop/ingress.yaml", INGRESS),
            ("shop/account.yaml", ACCOUNT),
        ];
        let first = w.ship(&files).await;
        w.settle().await;
        w.expect(&first, "shop@east", "success", &["7 created", "healthy in"]).await;
        is_cheap(&whole_pass(w).await, &w.namespace);
        w.restart().await;
        let asked = whole_pass(w).await;
        assert!(
            asked.iter().any(|asked| asked.uri.starts_with("/apis?") || asked.uri == "/apis"),
            "{asked:#?}"
        );
        is_cheap(&asked, &w.namespace);
    })
    .await;
}
