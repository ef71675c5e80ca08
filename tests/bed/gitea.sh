# shellcheck shell=bash
# shellcheck disable=SC2154
# The forge: its settings, its people, and how it shows that it answers. Read by scripts/bed.

GITEA_ADMIN=keeper
GITEA_BOT=windlass-bot
GITEA_ORG=bed
# What the bot's token may do: read and write repositories (fetch, statuses, hooks), comment, say who it is.
GITEA_BOT_SCOPES='["write:repository","write:issue","read:user","read:organization"]'
# Gitea runs git: away from the git settings of whoever called.
GITEA_AWAY=(env -u GIT_DIR -u GIT_CONFIG_GLOBAL HOME="$RUN/gitea/home")

gitea_files() {
  local dir="$RUN/gitea" name
  mkdir -p "$dir"/{secrets,home}
  for name in secret-key internal-token bot-password; do
    remember "$dir/secrets/$name"
  done
  # One that runs has added to its settings, and its git hooks would do so again, several at once.
  alive gitea || gitea_settings | replace "$dir/app.ini"
  gitea_git | replace "$dir/git" && chmod 700 "$dir/git"
}

# The git that Gitea runs: after each push it walks the whole commit without a limit of its own, and a commit made to be
# huge holds its queue and takes all memory. More than 20 s of work or 1 GB in that walk ends it. Only there: programs
# that git starts as hooks inherit its limits, and Gitea's reserve more than that.
gitea_git() {
  cat <<END
#!/bin/sh
ulimit -t 20
case " \$* " in *" log "*) ulimit -v 1000000 ;; esac
exec $(printf %q "$(command -v git)") "\$@"
END
}

# A forge without delays. Each of its two queues between a push and the hook polls a file, up to every 2 s, and then
# gathers for 100 ms: kept in memory and one by one, they take no time. Several workers, so that a huge commit or a
# receiver that does not answer holds nobody else's hooks up; hooks may overtake each other, as they do in life.
gitea_settings() {
  local dir="$RUN/gitea"
  cat <<END
APP_NAME = bed
RUN_MODE = prod
RUN_USER = $(id -un)
WORK_PATH = $dir
$([[ "$(id -u)" != 0 ]] || echo "I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true")
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = $PORT_GITEA
ROOT_URL = http://127.0.0.1:$PORT_GITEA/
DISABLE_SSH = true
OFFLINE_MODE = true
LFS_START_SERVER = false
STATIC_ROOT_PATH = $SHARE/gitea
[database]
DB_TYPE = sqlite3
PATH = $dir/gitea.db
SQLITE_JOURNAL_MODE = WAL
SQLITE_TIMEOUT = 20000
[security]
INSTALL_LOCK = true
SECRET_KEY = $(<"$dir/secrets/secret-key")
INTERNAL_TOKEN = $(<"$dir/secrets/internal-token")
[queue]
TYPE = channel
BATCH_LENGTH = 1
[queue.push_update]
MAX_WORKERS = 4
[queue.webhook_sender]
MAX_WORKERS = 16
[webhook]
ALLOWED_HOST_LIST = loopback
[repository]
ROOT = $dir/repositories
DEFAULT_BRANCH = main
DEFAULT_PRIVATE = private
ENABLE_PUSH_CREATE_USER = true
ENABLE_PUSH_CREATE_ORG = true
[repository.signing]
SIGNING_KEY = none
[git]
PATH = $dir/git
HOME_PATH = $dir/home
DISABLE_DIFF_HIGHLIGHT = true
[api]
ENABLE_SWAGGER = false
MAX_RESPONSE_ITEMS = 1000
[service]
DISABLE_REGISTRATION = true
AUTO_WATCH_NEW_REPOS = false
[indexer]
ISSUE_INDEXER_TYPE = db
[cache]
ADAPTER = memory
[session]
PROVIDER = memory
[oauth2]
ENABLED = false
[actions]
ENABLED = false
[packages]
ENABLED = false
[cron.update_checker]
ENABLED = false
[log]
MODE = console
LEVEL = Warn
logger.router.MODE =
END
}

run_gitea() {
  launch gitea "$PORT_GITEA" "${GITEA_AWAY[@]}" "$BIN/gitea" web --config "$RUN/gitea/app.ini"
}

gitea_answers() {
  forge GET /version >/dev/null
}

# forge METHOD PATH [JSON] [USER_OR_TOKEN_FILE]: asks Gitea's API; fails on any answer but 2xx.
forge() {
  local method="$1" path="$2" body="${3:-}" token="${4:-}" flags=()
  [[ -z "$body" ]] || flags+=(-H 'Content-Type: application/json' --data "$body")
  curl --silent --fail --max-time 10 --noproxy '*' -X "$method" "${flags[@]}" \
    --config <([[ -z "$token" ]] || printf 'header = "Authorization: token %s"\n' "$(<"$token")") \
    "http://127.0.0.1:$PORT_GITEA/api/v1$path"
}

# The administrator (with a token, and a password that nobody knows), the organisation and the bot; done once, each step
# again when an earlier try broke off before it.
gitea_people() {
  local secrets="$RUN/gitea/secrets"
  if [[ -s "$secrets/bot-token" ]] && forge GET /user '' "$secrets/bot-token" >/dev/null; then return 0; fi
  [[ -s "$secrets/admin-token" ]] || gitea_admin
  gitea_org || give_up gitea "refused the organisation $GITEA_ORG"
  gitea_bot || give_up gitea "refused the user $GITEA_BOT"
}

gitea_admin() {
  local secrets="$RUN/gitea/secrets" token
  gitea_command admin user create --admin --username "$GITEA_ADMIN" --email "$GITEA_ADMIN@bed.invalid" \
    --random-password --must-change-password=false 2>&1 | grep -v 'random password' >>"$RUN/log/gitea.log" || true
  token="$(gitea_command admin user generate-access-token --username "$GITEA_ADMIN" --token-name "bed-$(random)" \
    --scopes all --raw 2>>"$RUN/log/gitea.log" | tail -n 1)"
  [[ "$token" =~ ^[0-9a-f]{40}$ ]] || give_up gitea "gave the administrator no token"
  echo "$token" >"$secrets/admin-token"
}

gitea_command() {
  "${GITEA_AWAY[@]}" "$BIN/gitea" --config "$RUN/gitea/app.ini" "$@"
}

gitea_org() {
  local admin="$RUN/gitea/secrets/admin-token"
  forge GET "/orgs/$GITEA_ORG" '' "$admin" >/dev/null ||
    forge POST /orgs "{\"username\":\"$GITEA_ORG\",\"visibility\":\"public\"}" "$admin" >/dev/null
}

# The bot writes to every repository of the organisation, through a team of its own.
gitea_bot() {
  local secrets="$RUN/gitea/secrets" team
  local admin="$secrets/admin-token" units='["repo.code","repo.issues","repo.pulls"]'
  forge GET "/users/$GITEA_BOT" '' "$admin" >/dev/null ||
    forge POST /admin/users "{\"username\":\"$GITEA_BOT\",\"email\":\"$GITEA_BOT@bed.invalid\",\"must_change_password\":false,
      \"password\":\"$(<"$secrets/bot-password")\"}" "$admin" >/dev/null || return 1
  team="$(team_id)" || team=''
  if [[ -z "$team" ]]; then
    forge POST "/orgs/$GITEA_ORG/teams" "{\"name\":\"bots\",\"permission\":\"write\",\"includes_all_repositories\":true,
      \"units\":$units}" "$admin" >/dev/null || return 1
    team="$(team_id)"
  fi
  forge PUT "/teams/$team/members/$GITEA_BOT" '' "$admin" || return 1
  gitea_bot_token
}

# The number of the bots' team; nothing when there is none.
team_id() {
  forge GET "/orgs/$GITEA_ORG/teams/search?q=bots" '' "$RUN/gitea/secrets/admin-token" |
    grep -Eo '"data":\[\{"id":[0-9]+' | grep -Eo '[0-9]+$'
}

# A token is made with the bot's password: Gitea takes no token for that.
gitea_bot_token() {
  local secrets="$RUN/gitea/secrets" answer
  answer="$(curl --silent --fail --max-time 10 --noproxy '*' -H 'Content-Type: application/json' \
    --config <(printf 'user = "%s:%s"\n' "$GITEA_BOT" "$(<"$secrets/bot-password")") \
    --data "{\"name\":\"bed-$(random)\",\"scopes\":$GITEA_BOT_SCOPES}" \
    "http://127.0.0.1:$PORT_GITEA/api/v1/users/$GITEA_BOT/tokens")" || return 1
  [[ "$answer" =~ \"sha1\":\"([0-9a-f]{40})\" ]] || return 1
  echo "${BASH_REMATCH[1]}" >"$secrets/bot-token"
}
