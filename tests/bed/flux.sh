# shellcheck shell=bash
# shellcheck disable=SC2154
# The controllers of Flux, which are only built: bin/flux has the programs, share/flux the kinds that they serve. Read by
# scripts/bed.

FLUX=(source-controller kustomize-controller notification-controller)

# flux_built NAME: builds the controller, and copies the files of its kinds, so that an emptied module cache takes nothing
# away.
flux_built() {
  mkdir -p "$BIN/flux" "$SHARE/flux"
  built "flux/$1" build_flux "$1"
}

# build_flux NAME FILE
build_flux() {
  local source
  nice -n 5 go build -buildvcs=false -o "$2" "github.com/fluxcd/$1"
  source="$(go list -m -f '{{.Dir}}' "github.com/fluxcd/$1")"
  rm -rf "$SHARE/flux/$1"
  mkdir "$SHARE/flux/$1"
  cp --no-preserve=mode "$source"/config/crd/bases/*.yaml "$SHARE/flux/$1/"
}
