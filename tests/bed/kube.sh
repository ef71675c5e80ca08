# shellcheck shell=bash
# shellcheck disable=SC2154
# The Kubernetes parts: files, processes, and how each one shows that it answers. Read by scripts/bed.

NODE=bed-node-0

# Certificates, tokens, kubeconfigs and the audit policy; whatever exists is kept.
kube_files() {
  mkdir -p "$RUN"/{pki,tokens,etcd}
  local name
  for name in admin limited probe controllers scheduler kwok; do
    remember "$RUN/tokens/$name"
  done
  [[ -s "$RUN/pki/server.crt" ]] || certificates
  tokens | replace "$RUN/tokens.csv"
  audit_policy | replace "$RUN/audit-policy.yaml"
  kubeconfig admin "$PORT_EAST" east | replace "$RUN/east.kubeconfig"
  kubeconfig admin "$PORT_WEST" west | replace "$RUN/west.kubeconfig"
  kubeconfig limited "$PORT_EAST" east | replace "$RUN/limited.kubeconfig"
  for name in controllers scheduler kwok; do
    kubeconfig "$name" "$PORT_EAST" east | replace "$RUN/$name.kubeconfig"
  done
}

# An authority of the bed's own, and one server certificate for every part on 127.0.0.1.
certificates() {
  local pki="$RUN/pki"
  {
    openssl ecparam -name prime256v1 -genkey -noout -out "$pki/ca.key"
    openssl req -x509 -new -key "$pki/ca.key" -days 3650 -subj "/CN=windlass bed" -out "$pki/ca.crt" \
      -addext "keyUsage=critical,keyCertSign,cRLSign"
    openssl ecparam -name prime256v1 -genkey -noout -out "$pki/server.key"
    openssl req -new -key "$pki/server.key" -subj "/CN=127.0.0.1" -out "$pki/server.csr"
    openssl x509 -req -in "$pki/server.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 \
      -out "$pki/server.crt.new" -extfile <(printf '%s\n' 'subjectAltName=IP:127.0.0.1,DNS:localhost' \
        'extendedKeyUsage=serverAuth' 'basicConstraints=critical,CA:FALSE')
    openssl genrsa -out "$pki/accounts.key" 2048
  } >"$RUN/log/pki.log" 2>&1 || die "making certificates failed, see $RUN/log/pki.log"
  mv "$pki/server.crt.new" "$pki/server.crt"
}

# Everybody whom the API servers know. The limited user has no rights but those that a test binds.
tokens() {
  local name
  for name in admin probe controllers scheduler kwok; do
    printf '%s,bed:%s,%s,"system:masters"\n' "$(<"$RUN/tokens/$name")" "$name" "$name"
  done
  printf '%s,limited,limited\n' "$(<"$RUN/tokens/limited")"
}

# Who asked what, one line a request, but for the control plane itself: so a test can count what windlass asked.
audit_policy() {
  cat <<'END'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    users: ["system:apiserver", "bed:controllers", "bed:scheduler", "bed:kwok", "bed:probe"]
  - level: Metadata
END
}

# kubeconfig USER PORT CLUSTER
kubeconfig() {
  cat <<END
apiVersion: v1
kind: Config
current-context: $3
contexts:
  - name: $3
    context: { cluster: $3, user: $1 }
clusters:
  - name: $3
    cluster:
      server: https://127.0.0.1:$2
      certificate-authority-data: $(base64 -w0 <"$RUN/pki/ca.crt")
users:
  - name: $1
    user:
      token: $(<"$RUN/tokens/$1")
END
}

run_etcd() {
  launch etcd "$PORT_ETCD" "$BIN/kube" etcd "$RUN/etcd" "http://127.0.0.1:$PORT_ETCD" "http://127.0.0.1:$PORT_ETCD_PEER"
}

run_east() {
  run_apiserver east "$PORT_EAST" 10.96.0.0/16
}

# No controllers serve west: without this, a pod would wait for a service account that nobody makes.
run_west() {
  run_apiserver west "$PORT_WEST" 10.97.0.0/16 --disable-admission-plugins=ServiceAccount
}

# run_apiserver CLUSTER PORT SERVICES FLAGS...; the limits are high because a test's load is not to be throttled.
run_apiserver() {
  local cluster="$1" port="$2" services="$3" pki="$RUN/pki"
  shift 3
  set_aside "$RUN/log/$cluster-audit.json"
  launch "$cluster" "$port" "$BIN/kube" kube-apiserver \
    --etcd-servers="http://127.0.0.1:$PORT_ETCD" --etcd-prefix="/$cluster" \
    --bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port="$port" \
    --tls-cert-file="$pki/server.crt" --tls-private-key-file="$pki/server.key" --cert-dir="$pki" \
    --service-account-issuer="https://127.0.0.1:$port" \
    --service-account-signing-key-file="$pki/accounts.key" --service-account-key-file="$pki/accounts.key" \
    --service-cluster-ip-range="$services" --endpoint-reconciler-type=none \
    --token-auth-file="$RUN/tokens.csv" --authorization-mode=RBAC --allow-privileged=true \
    --max-requests-inflight=3000 --max-mutating-requests-inflight=1000 --profiling=false \
    --audit-policy-file="$RUN/audit-policy.yaml" --audit-log-path="$RUN/log/$cluster-audit.json" \
    --audit-log-maxsize=1000 --audit-log-maxbackup=1 "$@"
}

run_controllers() {
  launch controllers "$PORT_CONTROLLERS" "$BIN/kube" kube-controller-manager \
    --kubeconfig="$RUN/controllers.kubeconfig" --leader-elect=false --kube-api-qps=1000 --kube-api-burst=2000 \
    --bind-address=127.0.0.1 --secure-port="$PORT_CONTROLLERS" --authentication-skip-lookup \
    --tls-cert-file="$RUN/pki/server.crt" --tls-private-key-file="$RUN/pki/server.key" \
    --root-ca-file="$RUN/pki/ca.crt" --service-account-private-key-file="$RUN/pki/accounts.key" \
    --concurrent-namespace-syncs=20 --node-monitor-grace-period=1h
}

run_scheduler() {
  launch scheduler "$PORT_SCHEDULER" "$BIN/kube" kube-scheduler \
    --kubeconfig="$RUN/scheduler.kubeconfig" --leader-elect=false --kube-api-qps=1000 --kube-api-burst=2000 \
    --bind-address=127.0.0.1 --secure-port="$PORT_SCHEDULER" --authentication-skip-lookup \
    --tls-cert-file="$RUN/pki/server.crt" --tls-private-key-file="$RUN/pki/server.key"
}

run_kwok() {
  launch kwok "$PORT_KWOK" "$BIN/kwok" --kubeconfig="$RUN/kwok.kubeconfig" --config="$SHARE/kwok-stages.yaml" \
    --manage-all-nodes=true --server-address="127.0.0.1:$PORT_KWOK" --cidr=10.64.0.0/12
}

# ask PORT PATH CURL_FLAGS...: asks as a user whom the audit logs leave out; fails on any answer but 2xx.
ask() {
  local port="$1" path="$2"
  shift 2
  curl --silent --fail --max-time 5 --noproxy '*' --cacert "$RUN/pki/ca.crt" \
    --config <(printf 'header = "Authorization: Bearer %s"\n' "$(<"$RUN/tokens/probe")") "$@" "https://127.0.0.1:$port$path"
}

etcd_answers() {
  curl --silent --fail --max-time 5 --noproxy '*' "http://127.0.0.1:$PORT_ETCD/health" 2>/dev/null | grep -q '"health":"true"'
}

# Ready, and with the namespace that everything else lives in.
kube_answers() {
  local port="$PORT_EAST"
  if [[ "$1" == west ]]; then port="$PORT_WEST"; fi
  ask "$port" /readyz -o /dev/null && ask "$port" /api/v1/namespaces/default -o /dev/null
}

# Healthy, and done with the first thing that every pod needs.
controllers_answer() {
  ask "$PORT_CONTROLLERS" /healthz -o /dev/null &&
    ask "$PORT_EAST" /api/v1/namespaces/default/serviceaccounts/default -o /dev/null
}

scheduler_answers() {
  ask "$PORT_SCHEDULER" /readyz -o /dev/null
}

# The one node, which kwok plays.
kube_node() {
  if ask "$PORT_EAST" "/api/v1/nodes/$NODE" -o /dev/null; then return 0; fi
  ask "$PORT_EAST" /api/v1/nodes -o /dev/null -H 'Content-Type: application/json' --data @- <<END ||
{"apiVersion":"v1","kind":"Node","metadata":{"name":"$NODE",
 "annotations":{"kwok.x-k8s.io/node":"fake"},
 "labels":{"kubernetes.io/hostname":"$NODE","kubernetes.io/os":"linux","kubernetes.io/arch":"amd64"}},
 "status":{"capacity":{"cpu":"1000","memory":"1Ti","pods":"10000"},
  "allocatable":{"cpu":"1000","memory":"1Ti","pods":"10000"}}}
END
    give_up east "refused the node $NODE"
}

node_ready() {
  ask "$PORT_EAST" "/api/v1/nodes/$NODE?pretty=false" | grep -Eq '"type":"Ready","status":"True"'
}
