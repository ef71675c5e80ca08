# shellcheck shell=bash
# What has to be on the machine before anything can be built. Read by scripts/test and scripts/demo, which define die.

# The programs that are wanted, and the Debian packages that bring them.
PROGRAMS=(cc:build-essential pkg-config:pkg-config curl:curl git:git openssl:openssl flock:util-linux)

# The Debian packages that are missing, told by a program or a library that they bring.
missing_packages() {
  local pair
  for pair in "${PROGRAMS[@]}"; do
    command -v "${pair%%:*}" >/dev/null || echo "${pair##*:}"
  done
  pkg-config --exists zlib 2>/dev/null || echo zlib1g-dev
}

# Installs what is missing where that is allowed, else says what it is.
packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
    [[ " ${missing[*]} " != *' postgresql '* ]] || no_database_service
    apt-get update -q || die "apt-get update failed, see above; wanted: ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" ||
      die "installing ${missing[*]} failed, see above"
  else
    die "missing packages (their Debian names): ${missing[*]}. On Debian: sudo apt-get install ${missing[*]}"
  fi
}

# What the bed's brokers and database are made of, unless they are replaced.
brokers_and_database() {
  [[ -n "${WINDLASS_BED_AMQP_URL:-}" ]] || PROGRAMS+=(debootstrap:debootstrap)
  [[ -n "${WINDLASS_BED_POSTGRES_URL:-}" ]] || PROGRAMS+=(pg_ctlcluster:postgresql)
}

# Debian's package makes a database and starts it as a service, unless it is told not to before it comes.
no_database_service() {
  mkdir -p /etc/postgresql-common/createcluster.d
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/windlass-bed.conf
}

go_is_there() {
  command -v go >/dev/null || [[ -x /usr/local/go/bin/go ]] ||
    die "missing: go. Get Go 1.26 or newer from https://go.dev/dl/ and unpack it to /usr/local/go"
}

rust_is_there() {
  [[ -x "$(command -v cargo)" ]] || PATH="$PATH:$HOME/.cargo/bin"
  command -v cargo >/dev/null || die "missing: Rust 1.95 or newer. Get it from https://rustup.rs"
}
