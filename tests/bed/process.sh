# shellcheck shell=bash
# shellcheck disable=SC2154
# Starting, watching and stopping the bed's processes. Read by scripts/bed, which sets CACHE, RUN and the limits.

die() {
  printf 'scripts/bed: %s\n' "$*" >&2
  exit 1
}

# Says which of the named programs are missing, and how to get them.
need() {
  local program missing=()
  for program in "$@"; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [[ ${#missing[@]} -eq 0 ]] || die "missing: ${missing[*]}. On Debian: apt-get install curl git openssl util-linux"
}

pid_of() {
  cat "$RUN/pid/$1" 2>/dev/null
}

# Whether the part's pid file names a process that this bed started: pids come round again after a reboot. The bed's
# programs lie in its folder, but for Debian's Postgres.
alive() {
  local pid
  pid="$(pid_of "$1")" || return 1
  [[ "$(readlink "/proc/$pid/exe" 2>/dev/null)" =~ ^"$CACHE"/|/postgres$ ]] &&
    grep -qzxF "WINDLASS_BED_PART=$RUN/$1" "/proc/$pid/environ" 2>/dev/null
}

# Whether a test has stopped the part with SIGSTOP.
frozen() {
  grep -q '^State:[[:space:]]*T' "/proc/$(pid_of "$1")/status" 2>/dev/null
}

signal() {
  if alive "$1"; then
    kill "-$2" "$(pid_of "$1")" 2>/dev/null || true
  fi
}

# Asks a part to end. Postgres would wait for its clients, if it were asked as the others are.
ask_to_end() {
  if [[ "$1" == postgres ]]; then signal "$1" INT; else signal "$1" TERM; fi
}

# Starts a part unless it runs; each part has a function run_NAME that ends in `launch NAME PORT COMMAND...`.
start() {
  if alive "$1"; then
    if frozen "$1"; then signal "$1" CONT; fi
    return 0
  fi
  "run_$1"
}

# Runs the command in a session of its own, so that no terminal and no caller's pipe holds it or is held by it.
launch() {
  local part="$1" port="$2" log="$RUN/log/$1.log"
  shift 2
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    die "port $port, wanted by $part, is taken by another program: stop that, or set WINDLASS_BED_PORT to another base port"
  fi
  set_aside "$log"
  WINDLASS_BED_PART="$RUN/$part" setsid "$@" >>"$log" 2>&1 </dev/null 8>&- 9>&- &
  echo "$!" >"$RUN/pid/$part"
  # Until setsid has become the program, the process is not yet one of the bed's.
  within 5 alive "$part" || give_up "$part" "ended at once"
}

# Sets a large log aside, and keeps one old one.
set_aside() {
  if [[ -f "$1" && "$(stat -c %s "$1")" -gt "$LOG_LIMIT" ]]; then
    mv "$1" "$1.old"
  fi
}

# within SECONDS COMMAND...: whether the command succeeds before the time is over.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [[ "$SECONDS" -lt "$end" ]] || return 1
    sleep 0.05
  done
}

# await PART COMMAND...: waits until the command succeeds, gives up early when the part has died.
await() {
  local part="$1" end=$((SECONDS + START_LIMIT))
  shift
  until "$@"; do
    alive "$part" || give_up "$part" "died"
    [[ "$SECONDS" -lt "$end" ]] || give_up "$part" "did not answer within $START_LIMIT s"
    sleep 0.05
  done
}

give_up() {
  printf -- '--- the end of %s\n' "$RUN/log/$1.log" >&2
  tail -n 15 "$RUN/log/$1.log" >&2 || true
  die "$1 $2. Try scripts/bed up again; when it persists, scripts/bed down --wipe starts afresh (the bed's data is lost)"
}

# Ends a part that was asked to: waits, then kills. A frozen one hears nothing until it goes on.
stop() {
  signal "$1" CONT
  within "$STOP_LIMIT" gone "$1" || signal "$1" KILL
  within "$STOP_LIMIT" gone "$1" || die "$1 (pid $(pid_of "$1")) does not end"
  rm -f "$RUN/pid/$1"
}

gone() {
  ! alive "$1"
}

# A random word of 40 hexadecimal digits.
random() {
  openssl rand -hex 20
}

# remember FILE: keeps a random word in the file, so that it outlives a restart.
remember() {
  [[ -s "$1" ]] || random >"$1"
}

# replace FILE: puts standard input in the file's place in one step, since a test may be reading it.
replace() {
  cat >"$1.new" && mv "$1.new" "$1"
}
