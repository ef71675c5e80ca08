# shellcheck shell=bash
# shellcheck disable=SC2154
# Building the bed's programs from the Go module proxy. Read by scripts/bed, which sets BIN, SHARE and HERE.

# The Go that the module files ask for.
GO_MINOR=26

# build PARTS: says first what is missing, then builds what is not built.
build() {
  local part
  mkdir -p "$BIN" "$SHARE"
  for part in "$@"; do "${part}_needs"; done
  for part in "$@"; do "${part}_build"; done
}

# Finds Go, also where its own installer puts it.
need_go() {
  command -v go >/dev/null || PATH="$PATH:/usr/local/go/bin"
  local how="get Go 1.$GO_MINOR or newer from https://go.dev/dl/ and unpack it to /usr/local/go"
  command -v go >/dev/null || die "missing: go. $how"
  [[ "$(go env GOVERSION)" =~ ^go1\.([0-9]+) && "${BASH_REMATCH[1]}" -ge "$GO_MINOR" ]] ||
    die "$(go env GOVERSION) is too old: $how"
}

need_c() {
  command -v cc >/dev/null || die "missing: a C compiler (Gitea's SQLite needs it). On Debian: apt-get install gcc libc6-dev"
}

# What the program is made of: a build with an equal stamp needs no second one.
stamp_of() {
  (cd "$HERE/$1" && go env GOVERSION && cat -- go.mod go.sum ./*.go) | sha256sum | cut -d' ' -f1
}

# built NAME COMMAND...: builds the program unless its stamp says that it is this very one.
built() {
  local name="$1" stamp
  shift
  stamp="$(stamp_of "$name")"
  if [[ -x "$BIN/$name" && "$(cat "$BIN/$name.stamp" 2>/dev/null)" == "$stamp" ]]; then
    return 0
  fi
  printf 'scripts/bed: building %s, once (with cold caches: kube 11 min, gitea 5 min, kwok 2 min, toxiproxy seconds, the three of flux 15 min on two cores)\n' "$name" >&2
  (cd "$HERE/$name" && "$@" "$BIN/$name.new") || die "building $name failed: is the Go module proxy ($(go env GOPROXY)) reachable?"
  mv "$BIN/$name.new" "$BIN/$name"
  echo "$stamp" >"$BIN/$name.stamp"
}

build_kube() {
  local version=k8s.io/component-base/version
  nice -n 5 go build -buildvcs=false -o "$1" \
    -ldflags "-s -w -X $version.gitVersion=v1.37.2 -X $version.gitMajor=1 -X $version.gitMinor=37" .
}

# Gitea reads templates and texts at run time; they are copied, so that an emptied module cache takes nothing away.
build_gitea() {
  local source
  nice -n 5 go build -buildvcs=false -o "$1" -tags "sqlite sqlite_unlock_notify" code.gitea.io/gitea
  source="$(go list -m -f '{{.Dir}}' code.gitea.io/gitea)"
  rm -rf "$SHARE/gitea"
  mkdir -p "$SHARE/gitea"
  cp -r --no-preserve=mode "$source"/{templates,options,public} "$SHARE/gitea/"
}

# The stages say what kwok's nodes and pods do: become ready at once, beat, end.
build_kwok() {
  local source file
  nice -n 5 go build -buildvcs=false -o "$1" sigs.k8s.io/kwok/cmd/kwok
  source="$(go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)"
  for file in "$source"/kustomize/stage/{node/fast,node/heartbeat,pod/fast}/*.yaml; do
    [[ "$file" == */kustomization.yaml ]] && continue
    printf -- '---\n' && cat -- "$file" && printf '\n'
  done >"$SHARE/kwok-stages.yaml"
}
