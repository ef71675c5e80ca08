//! What the repositories that are measured hold.

/// Paths and texts.
pub type Files = Vec<(String, String)>;

/// How many ConfigMaps stand in one file?
const PER_FILE: usize = 50;

/// Returns the file of an application: a ServiceAccount, a Service, a Deployment of no replicas and an Ingress, all of
/// which say the round.
pub fn application(number: usize, round: usize) -> (String, String) {
    let name = format!("web-{number}");
    let metadata = format!("metadata:\n  name: {name}\n  labels:\n    round: \"{round}\"\n");
    let text = format!(
        "apiVersion: v1\nkind: ServiceAccount\n{metadata}\
         ---\napiVersion: v1\nkind: Service\n{metadata}spec:\n  selector:\n    app: {name}\n  ports:\n  - name: http\n    port: 80\n    targetPort: 8080\n\
         ---\napiVersion: apps/v1\nkind: Deployment\n{metadata}spec:\n  replicas: 0\n  selector:\n    matchLabels:\n      app: {name}\n  template:\n    metadata:\n      labels:\n        app: {name}\n    spec:\n      serviceAccountName: {name}\n      containers:\n      - name: web\n        image: registry.example/web:{round}\n        ports:\n        - containerPort: 8080\n\
         ---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n{metadata}spec:\n  rules:\n  - host: {name}.example\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            name: {name}\n            port:\n              number: 80\n"
    );
    (format!("a{number}/all.yaml"), text)
}

/// Returns the files of one application of so many ConfigMaps: the first says `first`, the others the round.
pub fn config_maps(objects: usize, round: usize, first: usize) -> Files {
    let numbers: Vec<_> = (0..objects).collect();
    let file = |(place, numbers): (usize, &[usize])| {
        let texts = numbers.iter().map(|&number| {
            let value = if number == 0 { first } else { round };
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map-{number}\ndata:\n  value: \"{value}\"\n---\n")
        });
        (format!("a0/maps-{place}.yaml"), texts.collect())
    };
    numbers.chunks(PER_FILE).enumerate().map(file).collect()
}
