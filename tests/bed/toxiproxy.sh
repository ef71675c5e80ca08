# shellcheck shell=bash
# shellcheck disable=SC2154
# The proxy that cuts, delays and throttles connections. Its proxies are made by tests, through its API, on ports that
# they choose or leave to it (127.0.0.1:0), and are gone with it. Read by scripts/bed.

run_toxiproxy() {
  launch toxiproxy "$PORT_TOXIPROXY" "$BIN/toxiproxy" -host 127.0.0.1 -port "$PORT_TOXIPROXY"
}

toxiproxy_answers() {
  curl --silent --fail --max-time 5 --noproxy '*' "http://127.0.0.1:$PORT_TOXIPROXY/version" >/dev/null
}

build_toxiproxy() {
  nice -n 5 go build -buildvcs=false -o "$1" github.com/Shopify/toxiproxy/v2/cmd/server
}
