#!/bin/sh
# Installs what building, running and testing on Debian need, and nothing else.
# It may be run any number of times; when all is there it only looks.
set -eu

# To build. The terminal is built for X11 alone, so nothing of Wayland is here.
build="gcc libc6-dev make git ca-certificates pkg-config xz-utils
	libgl-dev libx11-dev libxcursor-dev libxrandr-dev libxinerama-dev libxi-dev libxxf86vm-dev
	libpcsclite-dev"
# To test and demonstrate: a screen that nobody sees, a finger, a card reader,
# a witness of system calls for the journal's power cuts, a voice and what plays it,
# a TPM and a PKCS #11 token in software, PostgreSQL's programs, a file system whose power can be cut,
# and a referee for the books (hledger).
# Tests start a pcscd (PCSCLITE_CSOCK_NAME) and a PostgreSQL of their own, and
# leave alone those that systemd may start for the machine.
run="xvfb xdotool libgl1-mesa-dri pcscd vsmartcard-vpcd strace espeak-ng alsa-utils swtpm softhsm2 postgresql e2fsprogs hledger zbar-tools"

missing=""
for package in $build $run; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $package"
done

if [ -n "$missing" ]; then
	sudo=""
	if [ "$(id -u)" != 0 ]; then
		if ! sudo -n true 2>/dev/null; then
			echo "setup: these packages are missing. As root, run:" >&2
			echo "  apt-get update && apt-get install --no-install-recommends$missing" >&2
			exit 1
		fi
		sudo="sudo -n"
	fi
	echo "setup: installing$missing"
	export DEBIAN_FRONTEND=noninteractive
	$sudo apt-get update -qq
	# shellcheck disable=SC2086 # a list of words
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

# Any Go since 1.21 fetches the version that go.mod asks for by itself.
if ! command -v go >/dev/null; then
	echo "setup: Go is missing. Unpack it from https://go.dev/dl/ to /usr/local/go" >&2
	echo "  and add /usr/local/go/bin to PATH." >&2
	exit 1
fi
echo "setup: all is there, with $(cd "$(dirname "$0")/../.." && go env GOVERSION)"
