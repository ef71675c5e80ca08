# shellcheck shell=bash
# shellcheck disable=SC2154
# What each part that `scripts/bed up` takes by name is: what it needs, builds, starts, waits for and tells the tests;
# and which parts are replaced by servers that are there already. Read by scripts/bed.

kube_needs() { need_go; }
kube_build() { built kwok build_kwok && built kube build_kube; }

kube_up() {
  kube_files
  start etcd
  await etcd etcd_answers
  start east
  start west
}

kube_awaited() {
  await east kube_answers east
  start controllers
  start scheduler
  start kwok
  kube_node
  await west kube_answers west
  await controllers controllers_answer
  await scheduler scheduler_answers
  await kwok node_ready
}

kube_env() {
  cat <<END
WINDLASS_BED_EAST_URL=https://127.0.0.1:$PORT_EAST
WINDLASS_BED_WEST_URL=https://127.0.0.1:$PORT_WEST
WINDLASS_BED_EAST_KUBECONFIG=$RUN/east.kubeconfig
WINDLASS_BED_WEST_KUBECONFIG=$RUN/west.kubeconfig
WINDLASS_BED_LIMITED_KUBECONFIG=$RUN/limited.kubeconfig
WINDLASS_BED_LIMITED_USER=limited
WINDLASS_BED_AUDIT_EAST=$RUN/log/east-audit.json
WINDLASS_BED_AUDIT_WEST=$RUN/log/west-audit.json
END
}

gitea_needs() { need_go && need_c; }
gitea_build() { built gitea build_gitea; }
gitea_up() { gitea_files && start gitea; }
gitea_awaited() { await gitea gitea_answers && gitea_people; }

gitea_env() {
  local secrets="$RUN/gitea/secrets"
  cat <<END
WINDLASS_BED_GITEA_URL=http://127.0.0.1:$PORT_GITEA
WINDLASS_BED_GITEA_ADMIN=$GITEA_ADMIN
WINDLASS_BED_GITEA_ADMIN_TOKEN=$(<"$secrets/admin-token")
WINDLASS_BED_GITEA_BOT=$GITEA_BOT
WINDLASS_BED_GITEA_BOT_TOKEN=$(<"$secrets/bot-token")
WINDLASS_BED_GITEA_ORG=$GITEA_ORG
WINDLASS_BED_GITEA_REPOSITORIES=$RUN/gitea/repositories
END
}

rabbit_needs() { rabbit_is_there rabbit; }
rabbit_build() { rabbit_folder rabbit trixie; }
rabbit_awaited() { await rabbit rabbit_answers "$PORT_RABBIT"; }
rabbit_env() { rabbit_node_env WINDLASS_BED_AMQP "$PORT_RABBIT"; }

rabbit3_needs() { rabbit_is_there rabbit; }
rabbit3_build() { rabbit_folder rabbit trixie; }

rabbit3_env() {
  rabbit_node_env WINDLASS_BED_AMQP_A "$PORT_RABBIT_A"
  rabbit_node_env WINDLASS_BED_AMQP_B "$PORT_RABBIT_B"
  rabbit_node_env WINDLASS_BED_AMQP_C "$PORT_RABBIT_C"
}

rabbit-newest_needs() { rabbit_is_there rabbit-newest; }
rabbit-newest_build() { rabbit_folder rabbit-newest sid; }
rabbit-newest_awaited() { await rabbit-newest rabbit_answers "$PORT_RABBIT_NEWEST"; }
rabbit-newest_env() { rabbit_node_env WINDLASS_BED_AMQP_NEWEST "$PORT_RABBIT_NEWEST"; }

postgres_needs() { postgres_is_there; }
postgres_build() { :; }
postgres_up() { postgres_files && start postgres; }
postgres_awaited() { await postgres postgres_answers; }
postgres_env() { echo "WINDLASS_BED_POSTGRES_URL=$(postgres_url)"; }

toxiproxy_needs() { need_go; }
toxiproxy_build() { built toxiproxy build_toxiproxy; }
toxiproxy_up() { start toxiproxy; }
toxiproxy_awaited() { await toxiproxy toxiproxy_answers; }
toxiproxy_env() { echo "WINDLASS_BED_TOXIPROXY_URL=http://127.0.0.1:$PORT_TOXIPROXY"; }

flux_needs() { need_go; }

flux_build() {
  local name
  for name in "${FLUX[@]}"; do flux_built "$name"; done
}

# The processes of a part.
processes_of() {
  case "$1" in
    kube) echo etcd east west controllers scheduler kwok ;;
    rabbit | rabbit-newest) echo epmd "$1" ;;
    rabbit3) echo epmd rabbit-a rabbit-b rabbit-c ;;
    *) echo "$1" ;;
  esac
}

# What a server that replaces a part is named by; nothing for a part that cannot be replaced.
replaced_by() {
  case "$1" in
    rabbit) replacing WINDLASS_BED_AMQP_URL "$PORT_RABBIT" ;;
    postgres) replacing WINDLASS_BED_POSTGRES_URL "$PORT_POSTGRES" ;;
  esac
}

# replacing VARIABLE PORT: the variable's value, unless it is this bed's own: a terminal may have its exports.
replacing() {
  [[ "${!1:-}" == *"@127.0.0.1:$2/"* ]] || echo "${!1:-}"
}

# Those of the parts that no server replaces.
not_replaced() {
  local part
  for part in "$@"; do
    if [[ -z "$(replaced_by "$part")" ]]; then echo "$part"; fi
  done
}

# What the tests are told of a part that was replaced.
replaced_env() {
  case "$1" in
    rabbit)
      echo "WINDLASS_BED_AMQP_URL=$WINDLASS_BED_AMQP_URL"
      if [[ -n "${WINDLASS_BED_AMQP_TLS_URL:-}" ]]; then echo "WINDLASS_BED_AMQP_TLS_URL=$WINDLASS_BED_AMQP_TLS_URL"; fi
      if [[ -n "${WINDLASS_BED_AMQP_ADMIN_URL:-}" ]]; then echo "WINDLASS_BED_AMQP_ADMIN_URL=$WINDLASS_BED_AMQP_ADMIN_URL"; fi
      ;;
    postgres) echo "WINDLASS_BED_POSTGRES_URL=$WINDLASS_BED_POSTGRES_URL" ;;
  esac
}

# Whether a part has been up since the last `down`: then the tests hear of it, also while one of its processes is dead.
was_up() {
  local process
  for process in $(processes_of "$1"); do
    [[ -e "$RUN/pid/$process" ]] || return 1
  done
}

# The processes that should run: of all parts that were up, else of those that `up` without names starts.
processes_wanted() {
  local part wanted=()
  for part in "${PARTS[@]}" "${PARTS_BY_NAME[@]}"; do
    if was_up "$part"; then wanted+=("$part"); fi
  done
  [[ ${#wanted[@]} -gt 0 ]] || mapfile -t wanted < <(not_replaced "${PARTS[@]}")
  for part in "${wanted[@]}"; do processes_of "$part"; done | tr ' ' '\n' | awk '!seen[$0]++'
}

# Writes run/env: KEY=VALUE lines that the tests read.
write_env() {
  local part
  {
    cat <<END
WINDLASS_BED_DIR=$CACHE
WINDLASS_BED_RUN=$RUN
WINDLASS_BED_PIDS=$RUN/pid
WINDLASS_BED_MATERIAL=$MATERIAL
WINDLASS_BED_CA=$RUN/pki/ca.crt
END
    for part in "${PARTS[@]}" "${PARTS_BY_NAME[@]}"; do
      if [[ -n "$(replaced_by "$part")" ]]; then replaced_env "$part"; elif was_up "$part"; then "${part}_env"; fi
    done
  } | replace "$RUN/env"
}
