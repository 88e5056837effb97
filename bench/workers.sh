#!/usr/bin/env bash
# bench/workers.sh DATABASE_URL [ROUNDS]: requests per second with one and with two workers, as on a machine with free cores.
# On a machine with two cores, the client and PostgreSQL take the second one. So each process that serves requests is limited
# to 40 % of a core (cpulimit), and the rest is free. Needs wrk, cpulimit and dist/taskwarden.
set -euo pipefail
cd "$(dirname "$0")/.."
export DATABASE_URL=$1 RATE_LIMIT=1000000 LOG_LEVEL=error BCRYPT_COST=4 DRAIN_MS=0 PORT=${PORT:-4801}
export JWT_SECRET='a secret that is long enough for the tests'
origin=http://127.0.0.1:$PORT

requests() { wrk -t1 -c64 -d6 "$@" "$origin/api/tasks" | awk '/Requests\/sec/ { print $2 }'; }

for _ in $(seq "${2:-4}"); do
  for workers in 1 2; do
    WORKERS=$workers dist/taskwarden >/dev/null &
    service=$!
    until curl -sf "$origin/ready" >/dev/null; do sleep 0.1; done
    sleep 1
    serving=$(pgrep -P "$service" || echo "$service")
    limits=()
    for pid in $serving; do
      cpulimit -p "$pid" -l 40 >/dev/null 2>&1 &
      limits+=($!)
    done
    token=$(curl -s "$origin/api/auth/register" -H 'content-type: application/json' \
      -d "{\"email\":\"$RANDOM$RANDOM@example.test\",\"password\":\"correct horse battery\"}" |
      sed 's/.*"access_token":"\([^"]*\)".*/\1/')
    printf '%s workers: 401 %s, list %s\n' "$workers" "$(requests)" "$(requests -H "authorization: Bearer $token")"
    kill "${limits[@]}"
    # shellcheck disable=SC2086
    kill -CONT $serving
    kill "$service"
    wait "$service" || true
  done
done
