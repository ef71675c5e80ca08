# shellcheck shell=bash
# shellcheck disable=SC2154
# The database: its folder, settings, process, and how it shows that it answers. Read by scripts/bed and by tools.sh.

POSTGRES_USER=bed
# How many connections may all tests have together?
POSTGRES_CONNECTIONS=300

# The folder of Debian's newest server programs, or of those in PATH; nothing when there are none.
postgres_bin() {
  local found
  for found in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
    [[ ! -x "$found/initdb" || ! -x "$found/pg_isready" ]] || { echo "$found" && return 0; }
  done
  found="$(command -v initdb)" && dirname "$(readlink -f "$found")"
}

postgres_is_there() {
  postgres_bin >/dev/null ||
    die "missing: the PostgreSQL server. On Debian: apt-get install postgresql, or set WINDLASS_BED_POSTGRES_URL"
}

# The server refuses to be root. Its user owns its folder, and is let past the folders of root above it.
postgres_as() {
  if [[ "$(id -u)" == 0 ]]; then
    local user=nobody
    if getent passwd postgres >/dev/null; then user=postgres; fi
    chown -R "$user:" "$RUN/postgres"
    local kept="-all,+dac_override"
    POSTGRES_AS=(setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups
      --inh-caps="$kept" --ambient-caps="$kept" --bounding-set="$kept")
  else
    POSTGRES_AS=()
  fi
}

# A cluster of its own; made in another place first, so that a broken try leaves nothing behind.
postgres_files() {
  local dir="$RUN/postgres"
  mkdir -p "$dir"
  remember "$RUN/postgres-password"
  postgres_as
  [[ ! -s "$dir/data/PG_VERSION" ]] || return 0
  rm -rf "$dir/data" "$dir/data.new"
  (cd "$dir" && "${POSTGRES_AS[@]}" "$(postgres_bin)/initdb" --pgdata="$dir/data.new" --username="$POSTGRES_USER" \
    --pwfile="$RUN/postgres-password" --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-instructions \
    >"$RUN/log/postgres.log" 2>&1) || give_up postgres "could not make its folder"
  mv "$dir/data.new" "$dir/data"
}

run_postgres() {
  postgres_as
  launch postgres "$PORT_POSTGRES" "${POSTGRES_AS[@]}" "$(postgres_bin)/postgres" -D "$RUN/postgres/data" \
    -c listen_addresses=127.0.0.1 -p "$PORT_POSTGRES" -c unix_socket_directories= -c fsync=on \
    -c max_connections="$POSTGRES_CONNECTIONS" -c timezone=UTC
}

postgres_answers() {
  "$(postgres_bin)/pg_isready" --quiet --timeout=5 --host=127.0.0.1 --port="$PORT_POSTGRES"
}

postgres_url() {
  printf 'postgres://%s:%s@127.0.0.1:%s/postgres' "$POSTGRES_USER" "$(<"$RUN/postgres-password")" "$PORT_POSTGRES"
}
