# shellcheck shell=bash
# shellcheck disable=SC2154
# The brokers: their Debian folders, settings, processes, and how each one shows that it answers. Read by scripts/bed.
#
# Debian 12's own RabbitMQ is too old, so each broker runs inside a folder that holds a newer Debian and nothing else
# of this machine. Its mounts are in a namespace of its own and vanish with the process.

RABBIT_USER=bed
# An equal stamp means no build; updates within a release come with a folder that is made anew: remove it.
RABBIT_PACKAGES=rabbitmq-server
# How many seconds may it take to get and unpack a folder?
RABBIT_BUILD_LIMIT=1200

# The mirror of Debian that this machine itself goes to, where it is one: its main archive, and not that of its updates.
rabbit_mirror() {
  apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -m 1 '/debian/*$' || true
}

# rabbit_stamp NAME: what the folder is made of.
rabbit_stamp() {
  local release=trixie
  if [[ "$1" == rabbit-newest ]]; then release=sid; fi
  echo "$release $RABBIT_PACKAGES"
}

rabbit_is_built() {
  [[ "$(cat "$SHARE/$1.stamp" 2>/dev/null)" == "$(rabbit_stamp "$1")" ]]
}

# rabbit_is_there NAME: the folder is built, or can be.
rabbit_is_there() {
  local instead="set WINDLASS_BED_AMQP_URL and WINDLASS_BED_AMQP_ADMIN_URL to a RabbitMQ of your own"
  [[ "$(id -u)" == 0 ]] || die "only root can run RabbitMQ in a folder: $instead, or name the parts that you want"
  rabbit_is_built "$1" || command -v debootstrap >/dev/null ||
    die "missing: debootstrap. On Debian: apt-get install debootstrap, or $instead"
}

# rabbit_folder NAME RELEASE: makes share/NAME from Debian's RELEASE unless it is there.
rabbit_folder() {
  local folder="$SHARE/$1" release="$2" log="$CACHE/$1-build.log" mirror
  mirror="$(rabbit_mirror)"
  if rabbit_is_built "$1"; then return 0; fi
  printf 'scripts/bed: getting RabbitMQ and a Debian %s to run it in, once (about 2 min)\n' "$release" >&2
  rm -rf --one-file-system "$folder" "$folder.new" "$folder.stamp"
  # The folder's own programs read it as other users, too.
  (umask 022 && exec nice -n 5 timeout --kill-after=10 "$RABBIT_BUILD_LIMIT" debootstrap --variant=minbase \
    --include="$RABBIT_PACKAGES" "$release" "$folder.new" ${mirror:+"$mirror"} >"$log" 2>&1 </dev/null 9>&-) || {
    tail -n 15 "$log" >&2
    die "getting RabbitMQ from Debian $release failed, see $log: is Debian's mirror reachable? Where it misses a key, apt-get install debian-archive-keyring"
  }
  rm -rf "$folder.new"/var/cache/apt/archives/*.deb
  mkdir -p "$folder.new/bed"
  # Not every release brings it, and nodes find each other by this name.
  echo '127.0.0.1 localhost' >"$folder.new/etc/hosts"
  mv "$folder.new" "$folder"
  rabbit_stamp "$1" >"$folder.stamp"
}

# Settings and secrets of one node; the last arguments are all nodes of its cluster.
rabbit_files() {
  local part="$1" port="$2" node number=0
  shift 2
  mkdir -p "$RUN/rabbit/$part"
  remember "$RUN/rabbit/password"
  remember "$RUN/rabbit/.erlang.cookie"
  chmod 400 "$RUN/rabbit/.erlang.cookie"
  [[ -s "$RUN/pki/server.crt" ]] || { mkdir -p "$RUN/pki" && certificates; }
  echo '[rabbitmq_management].' | replace "$RUN/rabbit/$part/plugins"
  {
    rabbit_settings "$part" "$port"
    for node in "$@"; do
      printf 'cluster_formation.classic_config.nodes.%s = %s@localhost\n' "$((++number))" "$node"
    done
  } | replace "$RUN/rabbit/$part/rabbitmq.conf"
}

# rabbit_settings PART PORT: four ports in a row are AMQP, AMQP over TLS, the management API and the other nodes'.
# The write-ahead log is small, since its default of 512 MB for each node is for machines that do nothing else.
rabbit_settings() {
  local port="$2"
  cat <<END
listeners.tcp.bed = 127.0.0.1:$port
listeners.ssl.bed = 127.0.0.1:$((port + 1))
ssl_options.cacertfile = /bed/pki/ca.crt
ssl_options.certfile = /bed/pki/server.crt
ssl_options.keyfile = /bed/pki/server.key
ssl_options.verify = verify_none
management.tcp.ip = 127.0.0.1
management.tcp.port = $((port + 2))
default_user = $RABBIT_USER
default_pass = $(<"$RUN/rabbit/password")
default_user_tags.administrator = true
log.file = false
log.console = true
log.console.level = warning
vm_memory_high_watermark.absolute = $RABBIT_MEMORY
disk_free_limit.absolute = 200MB
raft.wal_max_size_bytes = 67108864
END
}

# What a shell does to run a command inside a folder: it is told the folder, the bed's run folder and the command.
# shellcheck disable=SC2016
IN_FOLDER='mount --bind "$2" "$1/bed"
  mount --rbind /proc "$1/proc"
  mount --rbind /dev "$1/dev"
  root="$1" && shift 2
  exec chroot "$root" "$@"'
# How much memory may a broker take before it is short of it?
RABBIT_MEMORY=1500MB

# rabbit_alarm on|off: the broker `rabbit` is short of memory, as it finds itself, or no longer.
rabbit_alarm() {
  local limit
  case "$1" in
    on) limit=1 ;;
    off) limit="$RABBIT_MEMORY" ;;
    *) die "it is scripts/bed alarm on, or off" ;;
  esac
  alive rabbit || die "no broker of this bed runs: run scripts/bed up rabbit, without a server of your own in its place"
  unshare --mount --propagation private sh -euc "$IN_FOLDER" sh "$SHARE/rabbit" "$RUN" \
    /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/bed/rabbit \
    ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$PORT_EPMD" \
    /usr/lib/rabbitmq/bin/rabbitmqctl --quiet -n rabbit@localhost set_vm_memory_high_watermark absolute "$limit"
}

# run_node PART PORT FOLDER: the broker is process 1's child no longer than this bed's, and sees the bed's run folder
# as /bed. Told that it runs under systemd, its start script becomes the broker instead of waiting for it.
run_node() {
  local part="$1" port="$2" root="$SHARE/$3" home="/bed/rabbit/$1"
  launch "$part" "$port" unshare --mount --propagation private sh -euc "$IN_FOLDER" sh "$root" "$RUN" \
    /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/bed/rabbit "WINDLASS_BED_PART=$RUN/$part" \
    RUNNING_UNDER_SYSTEMD=true RABBITMQ_NODENAME="$part@localhost" \
    RABBITMQ_CONFIG_FILE="$home/rabbitmq.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$home/plugins" \
    RABBITMQ_MNESIA_BASE="$home/data" RABBITMQ_LOG_BASE="$home/log" \
    RABBITMQ_DIST_PORT="$((port + 3))" ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$PORT_EPMD" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' \
    /usr/lib/rabbitmq/bin/rabbitmq-server
}

# The nodes' register, as a part of its own: a broker that finds none starts one that nobody stops.
run_epmd() {
  local root="$SHARE/rabbit"
  [[ -d "$root" ]] || root="$SHARE/rabbit-newest"
  ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$PORT_EPMD" launch epmd "$PORT_EPMD" chroot "$root" /usr/bin/epmd
}

epmd_answers() {
  (exec 3<>"/dev/tcp/127.0.0.1/$PORT_EPMD") 2>/dev/null
}

run_rabbit() { run_node rabbit "$PORT_RABBIT" rabbit; }
run_rabbit-newest() { run_node rabbit-newest "$PORT_RABBIT_NEWEST" rabbit-newest; }
run_rabbit-a() { run_node rabbit-a "$PORT_RABBIT_A" rabbit; }
run_rabbit-b() { run_node rabbit-b "$PORT_RABBIT_B" rabbit; }
run_rabbit-c() { run_node rabbit-c "$PORT_RABBIT_C" rabbit; }

# rabbit_asks PORT PATH: asks the management API of the node on that AMQP port; fails on any answer but 2xx.
rabbit_asks() {
  curl --silent --fail --max-time 5 --noproxy '*' \
    --config <(printf 'user = "%s:%s"\n' "$RABBIT_USER" "$(<"$RUN/rabbit/password")") "http://127.0.0.1:$(($1 + 2))$2"
}

# rabbit_answers PORT [NODES]: its AMQP port is open, nothing is short, and so many nodes of its cluster run.
rabbit_answers() {
  rabbit_asks "$1" "/api/health/checks/port-listener/$1" >/dev/null &&
    rabbit_asks "$1" /api/health/checks/local-alarms >/dev/null &&
    [[ "$(rabbit_asks "$1" '/api/nodes?columns=running' | grep -o '"running":true' | wc -l)" -ge "${2:-1}" ]]
}

rabbit_up() {
  rabbit_files rabbit "$PORT_RABBIT"
  start epmd && await epmd epmd_answers
  start rabbit
}

rabbit-newest_up() {
  rabbit_files rabbit-newest "$PORT_RABBIT_NEWEST"
  start epmd && await epmd epmd_answers
  start rabbit-newest
}

rabbit3_up() {
  local nodes=(rabbit-a rabbit-b rabbit-c)
  rabbit_files rabbit-a "$PORT_RABBIT_A" "${nodes[@]}"
  rabbit_files rabbit-b "$PORT_RABBIT_B" "${nodes[@]}"
  rabbit_files rabbit-c "$PORT_RABBIT_C" "${nodes[@]}"
  start epmd && await epmd epmd_answers
  start rabbit-a
  start rabbit-b
  start rabbit-c
}

rabbit3_awaited() {
  await rabbit-a rabbit_answers "$PORT_RABBIT_A" 3
  await rabbit-b rabbit_answers "$PORT_RABBIT_B" 3
  await rabbit-c rabbit_answers "$PORT_RABBIT_C" 3
}

# rabbit_url PORT [SCHEME]: the address of the node's virtual host /, as the administrator.
rabbit_url() {
  printf '%s://%s:%s@127.0.0.1:%s/%%2f' "${2:-amqp}" "$RABBIT_USER" "$(<"$RUN/rabbit/password")" "$1"
}

# rabbit_node_env PREFIX PORT: what tests need to know of one node. The user is the same in all three.
rabbit_node_env() {
  cat <<END
$1_URL=$(rabbit_url "$2")
$1_TLS_URL=$(rabbit_url "$(($2 + 1))" amqps)
$1_ADMIN_URL=http://127.0.0.1:$(($2 + 2))
END
}
