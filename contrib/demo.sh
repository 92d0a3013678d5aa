#!/bin/sh
# Demonstration: a private Tor network on this machine, nothing of it on the Internet.
# Debian's tor gives three directory authorities and a client; three relays are ours.
# Downloads a file through a circuit made only of ours and checks it. Then the relays' operators
# stake, epochs of 20 seconds close, and what a relay earned is explained, proved and claimed; the
# proof is verified by nonosctl, and by a program made of npm packages that shares no code with it.
#
#   contrib/demo.sh [MEGABYTES]        default 100
#
# Installs Debian packages that are missing (as root), builds in build/release, fetches the npm
# packages to build/js, keeps everything else in a temporary directory, and stops and removes all
# it started.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
MEGABYTES=${1:-100}
. "$ROOT/contrib/packages.sh"

case $MEGABYTES in
'' | *[!0-9]*) die "usage: contrib/demo.sh [MEGABYTES]" ;;
esac

begin=$(date +%s)
# shellcheck disable=SC2086
packages_install $PACKAGES_BUILD $PACKAGES_LAB
say "building in build/release"
build_tree release
say "fetching viem, ethers and @openzeppelin/merkle-tree to build/js"
(js_tools && js_packages) >"$ROOT/build/js.log" 2>&1 ||
	say "they cannot be had (build/js.log says why): the claim is verified by nonosctl alone"
NONOS_BUILD=$ROOT/build/release
PYTHON=/usr/bin/python3
export NONOS_BUILD PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$ROOT/tests/net"

base=$(mktemp -d /tmp/nonos-demo.XXXXXX)
cleanup() {
	trap - EXIT INT TERM
	$PYTHON -m tornet destroy "$base" >/dev/null 2>&1 || true
	rm -rf "$base"
}
trap cleanup EXIT
trap 'cleanup; exit 130' INT TERM

say "built in $(($(date +%s) - begin)) s; now demo.py"
$PYTHON "$ROOT/contrib/demo.py" "$base" "$MEGABYTES"
cleanup
say "everything stopped; $(($(date +%s) - begin)) s in all"
