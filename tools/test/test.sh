#!/bin/bash
# Runs every check, in the order in which they are quick to fail. It stops at
# the first that does, leaves no process behind, and ends with a summary.
#
# It needs only the loopback interface, once the modules are there.
set -uo pipefail
cd "$(dirname "$0")/../.."

# Marks every process that a step starts, so that a forgotten one is found.
export QUANCUN_TEST_RUN=$$
tags=x11,no_emoji,migrated_fynedo
summary=""
failed=""

# What a test writes need not outlive it, and most tests wait for a disk more than
# for anything else: so they write into memory, if there is room. (What has to
# outlive a power cut is written to disks of lab/disk and of the kernel, which
# lose what was not synced; those in memory as well.) What go builds is too much.
export GOTMPDIR=${GOTMPDIR:-${TMPDIR:-/tmp}}
memory=""
if [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -1)" -gt $((4 << 20)) ]; then
	memory=$(mktemp -d /dev/shm/qXXXX)
	chmod 1777 "$memory" # PostgreSQL has a user of its own
	export TMPDIR=$memory
fi
trap 'rm -rf "${memory:-}"' EXIT

# step NAME COMMAND… runs one check, unless one has failed already.
step() {
	local name=$1 start=$SECONDS result=ok
	shift
	if [ -n "$failed" ]; then
		summary+=$(printf '%-10s skipped' "$name")$'\n'
		return
	fi
	echo "=== $name"
	if ! "$@"; then
		result=FAILED
		failed=$name
	fi
	summary+=$(printf '%-10s %-7s %4d s' "$name" "$result" $((SECONDS - start)))$'\n'
}

# beside NAME COMMAND… begins a check that goes on beside the next ones, until
# join, and gives way to them: a check that only computes may, one that has real
# time in it may not. What it says is kept until then.
beside() {
	local name=$1
	shift
	if [ -n "$failed" ]; then return; fi
	mkdir -p build/test
	set -m # a process group of its own, which join can end
	(
		renice -n 19 -p $BASHPID >/dev/null
		"$@"
	) >"build/test/$name.log" 2>&1 &
	begun[$name]=$!
	set +m
}
declare -A begun

# join NAME waits for a check that was begun, or ends it if another has failed.
join() {
	if [ -n "$failed" ] && [ -n "${begun[$1]:-}" ]; then
		kill -- "-${begun[$1]}"
		wait "${begun[$1]}"
	fi
	step "$1" finish "$1"
}

finish() {
	local result=0
	wait "${begun[$1]}" || result=$?
	cat "build/test/$1.log"
	return $result
}

# packages prints the packages below the given folders that exist.
packages() {
	local dir
	for dir in "$@"; do
		if [ -d "$dir" ]; then go list -e "./$dir/..."; fi
	done
}

# The race detector would have the window library compiled once more, for
# minutes, so what draws goes without. The screens draw into memory in tests and
# need no window library, nor its tags. What takes longest begins first, so that
# no processor waits for it in the end.
units() { packages ledger kiosk cmd upstream reader lab money pboc paycode journal | xargs -r go test -race -timeout=20m; }
screens() { packages ui assets | xargs -r go test -tags= -timeout=40m; } # units go first
others() { packages app tools | xargs -r go test; }

build() {
	local program
	go build -ldflags='-s -w' -o bin/ . ./cmd/... || return
	for program in quancun campusd campuslab; do
		if [ ! -x "bin/$program" ]; then
			echo "bin/$program was not built" >&2
			return 1
		fi
	done
}

e2e() {
	if [ ! -d tools/e2e ]; then
		echo "no scenarios yet"
		return 0
	fi
	make --no-print-directory e2e
}

# strays prints the processes that this run started and that still live. This
# script is none: it had begun before it set the mark.
strays() {
	local dir
	for dir in /proc/[0-9]*; do
		if grep -qzx "QUANCUN_TEST_RUN=$$" "$dir/environ" 2>/dev/null; then echo "${dir#/proc/}"; fi
	done
}

# clean waits for what is just ending, and ends and reports the rest.
clean() {
	local left pid
	for _ in $(seq 50); do
		left=$(strays)
		if [ -z "$left" ]; then return 0; fi
		sleep 0.1
	done
	for pid in $left; do
		echo "left behind: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")" >&2
		kill -KILL "$pid"
	done
	return 1
}
trap 'clean; exit 130' INT TERM

step setup tools/setup/setup.sh
step vet go vet ./...
step tidy go test -count=1 tidy_test.go # by name: it needs no other package to build
beside screens screens                  # they draw, while the units wait
beside sim make --no-print-directory sim # it computes for longest of all
step units units
join screens
step others others
step build build
step taptest go run ./tools/taptest -tags "$tags"
beside crash make --no-print-directory crash STATES=30000 # the whole is make crash: 100,000
step e2e e2e
join crash
join sim
step clean clean
[ "$failed" = clean ] || clean

echo "=== summary"
printf '%s' "$summary"
if [ -n "$failed" ]; then
	echo "FAILED: $failed"
	exit 1
fi
echo "all passed in $SECONDS s"
