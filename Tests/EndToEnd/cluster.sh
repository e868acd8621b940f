# Functions for scripts that run a cluster of three real processes. Source this file.
#
# STELE names the program; it is built in release mode if it is not set. NODE_OPTIONS are further
# options of `stele start`.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ -z "${STELE:-}" ]; then
    swift build -c release --product stele
    STELE="$(swift build -c release --show-bin-path)/stele"
fi
PORT="${PORT:-17400}"
PGPORT="${PGPORT:-15433}"
DATA="$(mktemp -d)"
export PGCONNECT_TIMEOUT=3
declare -A PID

address() { echo "127.0.0.1:$((PORT + $1 - 1))"; }

start_node() {
    "$STELE" start --data "$DATA/node$1" --listen "$(address "$1")" \
        --postgres "127.0.0.1:$((PGPORT + $1 - 1))" \
        --join "$(address 1),$(address 2),$(address 3)" ${NODE_OPTIONS:-} 2>>"$DATA/node$1.log" &
    PID[$1]=$!
    disown
}

# Waits until the node with that number answers reads.
await_node() {
    for _ in $(seq 300); do
        if "$STELE" kv scan none --host "$(address "$1")" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    echo "node $1 does not answer:" >&2
    tail -5 "$DATA/node$1.log" >&2
    return 1
}

start_cluster() {
    for node in 1 2 3; do start_node $node; done
    for _ in $(seq 100); do
        if "$STELE" init --host "$(address 1)" >/dev/null 2>&1; then break; fi
        sleep 0.1
    done
    for node in 1 2 3; do await_node $node; done
}

# Runs one statement on a node and prints bare values.
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$((PGPORT + $1 - 1))" -U postgres -c "$2" postgres; }

# The node that leads the tablet of all rows, as another node sees it.
leader() {
    "$STELE" status --json --host "$(address "$1")" |
        sed 's/.*"id":2,"start"[^}]*"leader":\([0-9]*\).*/\1/'
}

# Updates one row of table t through a node for some seconds, and notes when each was acknowledged.
write_through() { # node, seconds
    rm -f "$DATA"/acks.*
    echo "update t set v = v + 1 where id = 1;" >"$DATA/update.sql"
    pgbench -n -h 127.0.0.1 -p "$((PGPORT + $1 - 1))" -U postgres -c 1 -T "$2" -f "$DATA/update.sql" \
        -l --log-prefix="$DATA/acks" --max-tries=1000 postgres >"$DATA/pgbench" 2>&1 || true
}

# The longest time between two acknowledgements in milliseconds, and how many transactions failed.
longest_gap() {
    cat "$DATA"/acks.* | awk '
        $3 !~ /^[0-9]+$/ { failed++; next }
        { now = $5 * 1000 + $6 / 1000; if (last && now - last > gap) gap = now - last; last = now }
        END { printf "%.0f %d\n", gap, failed }'
}

kill_node() { kill -9 "${PID[$1]}" 2>/dev/null || true; }

kill_all() { kill -9 "${PID[1]}" "${PID[2]}" "${PID[3]}" 2>/dev/null || true; }

clean_up() {
    kill_all
    if [ "${KEEP:-0}" = 1 ]; then echo "data kept in $DATA"; else rm -rf "$DATA"; fi
}
trap clean_up EXIT
