# Functions for benchmarks of three processes of Stele beside three of a rival. Source this file.
#
# All run on this machine with their data in one temporary directory; rival and Stele take turns, so
# that the moods of the machine hit both, and medians of the rounds are compared. Processor time is
# that of the servers alone. CACHE are the MiB that Stele's nodes and the rival's may cache.

source "$(dirname "${BASH_SOURCE[0]}")/../Tests/EndToEnd/cluster.sh"

ROUNDS="${ROUNDS:-3}"
SECONDS_EACH="${SECONDS_EACH:-5}"
RIVALS=()

# Installs a package of Debian's if a program is missing.
need() { # program, package
    [ -x "$1" ] || command -v "$1" >/dev/null && return
    apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$2" >/dev/null || {
        echo "$1 is missing: install Debian's $2" >&2
        exit 1
    }
}

# Processor time in microseconds that processes have used, with those of children that have ended.
processor_time() { # process identifiers
    local all=("$@") pid
    for pid in "$@"; do all+=($(pgrep -P "$pid" || true)); done
    for pid in "${all[@]}"; do
        # What is before the last parenthesis may hold anything.
        sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null || true
    done | awk -v tick="$(getconf CLK_TCK)" '
        { sum += $12 + $13 + $14 + $15 } END { printf "%.0f\n", sum / tick * 1e6 }'
}

median() { printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# Collects what one side of one row measured in one round.
declare -A RATES COSTS
record() { # row, side, rate, microseconds of processor time for each
    RATES["$1/$2"]+=" $3"
    COSTS["$1/$2"]+=" $4"
}

# Prints one row of the table, and keeps its line for programs.
RATIOS=()
row() { # row, rival, floor or -
    local ours theirs ratio
    ours=$(median ${RATES["$1/stele"]})
    theirs=$(median ${RATES["$1/$2"]})
    ratio=$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.2f", a / b }')
    printf '%-34s %10.0f/s %6.0f µs   %10.0f/s %6.0f µs   %5s  %s\n' "$1" \
        "$ours" "$(median ${COSTS["$1/stele"]})" "$theirs" "$(median ${COSTS["$1/$2"]})" "$ratio" "$3"
    [ "$3" = - ] || RATIOS+=("$(printf 'ratio\t%s\t%s\t%s' "$1" "$ratio" "$3")")
}

heading() { # rival
    echo "on $(nproc) cores, $(date +%F); medians of $ROUNDS rounds of $SECONDS_EACH s"
    printf '%-34s %12s %9s   %12s %9s   %5s  %s\n' "" Stele CPU "$1" CPU ratio floor
}

print_ratios() { printf '%s\n' "${RATIOS[@]}"; }

# Starts three nodes of Stele with caches of so many MiB and new data.
start_stele() { # MiB
    NODE_OPTIONS="--cache-size $1"
    start_cluster
}

stop_stele() {
    kill_all
    sleep 0.5
    rm -rf "$DATA"/node*
}

stele_processes() { echo "${PID[1]} ${PID[2]} ${PID[3]}"; }

stop_rivals() {
    local pid
    for pid in "${RIVALS[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    RIVALS=()
}

trap 'stop_rivals; clean_up' EXIT
