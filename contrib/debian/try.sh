#!/bin/sh
# Try the Debian package in a clean Debian 12 (as root; needs debootstrap):
#
#   contrib/debian/try.sh [DEB NEWER-DEB]
#
# Installs it, starts a relay as README says, looks at status and metrics, upgrades
# while it runs, removes and purges, and checks after each step what is there. Without arguments both packages are built first. The relay runs in a network
# namespace of its own, which has nothing but a loopback; what this starts ends with it.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/contrib/packages.sh"
MIRROR=${MIRROR:-http://deb.debian.org/debian}
SECURITY=${SECURITY:-http://deb.debian.org/debian-security}

[ "$(id -u)" = 0 ] || die "this needs root, for chroot and namespaces"
if [ -z "${TRY_INSIDE-}" ]; then
	# shellcheck disable=SC2086
	packages_install $PACKAGES_BUILD $PACKAGES_PACKAGE debootstrap iproute2 curl
	work=$(mktemp -d /tmp/nonos-try.XXXXXX)
	trap 'rm -rf --one-file-system "$work"' EXIT
	if [ $# -eq 2 ]; then
		old=$(realpath "$1") new=$(realpath "$2")
	else
		"$ROOT/contrib/debian/build.sh" "$work/old"
		"$ROOT/contrib/debian/build.sh" --version 99.0 "$work/new"
		old=$(echo "$work"/old/nonos_*.deb) new=$(echo "$work"/new/nonos_*.deb)
	fi
	# All that is mounted and started inside is gone when this returns.
	TRY_INSIDE=$work unshare --mount --pid --fork --kill-child --mount-proc "$0" "$old" "$new"
	exit
fi
OLD=$1 NEW=$2
SYSTEM=$TRY_INSIDE/root
LOG=$TRY_INSIDE/apt.log

inside() {
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$SYSTEM" "$@"
}

# The same without a network.
alone() {
	nsenter --net="/proc/$HOLDER/ns/net" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot "$SYSTEM" "$@"
}

apt() {
	inside apt-get -y --no-install-recommends "$@" >>"$LOG" 2>&1 || {
		tail -n 30 "$LOG" >&2
		die "apt-get $* failed"
	}
}

check() {
	what=$1
	shift
	"$@" || die "not so: $what"
	say "ok: $what"
}

# Files and directories, except those that apt, dpkg and ldconfig keep for themselves.
files() {
	(cd "$SYSTEM" && find . -xdev \( -path ./proc -o -path ./var/cache -o -path ./var/log -o -path ./var/lib/apt \
		-o -path './var/lib/dpkg/*-old' -o -path ./tmp \) -prune -o -print | LC_ALL=C sort)
}

left() {
	files | LC_ALL=C comm -13 "$TRY_INSIDE/before" -
}

wait_for() {
	tries=100
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.2
	done
}

field() {
	inside nonosctl --json status | sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\).*/\1/p" | head -n 1
}

make_system() {
	say "debootstrap, $MIRROR"
	debootstrap --variant=minbase bookworm "$SYSTEM" "$MIRROR" >"$TRY_INSIDE/debootstrap.log" 2>&1 || {
		tail -n 20 "$TRY_INSIDE/debootstrap.log" >&2
		die "debootstrap failed"
	}
	echo "deb $SECURITY bookworm-security main" >"$SYSTEM/etc/apt/sources.list.d/security.list"
	mount -t proc proc "$SYSTEM/proc"
	cp "$OLD" "$SYSTEM/tmp/old.deb"
	cp "$NEW" "$SYSTEM/tmp/new.deb"
	apt update
	# What it depends on comes first, to see afterwards what is of the package itself.
	apt satisfy "$(dpkg-deb -f "$OLD" Depends)"
	files >"$TRY_INSIDE/before"
	unshare --net sleep infinity &
	HOLDER=$!
	wait_for nsenter --net="/proc/$HOLDER/ns/net" ip link set lo up || die "no network namespace"
}

try_install() {
	apt install /tmp/old.deb
	check "the package is installed" inside dpkg -s nonos
	check "there is a user nonos" inside id nonos
	check "its directory is closed to others" [ "$(stat -c %a,%U "$SYSTEM/var/lib/nonos")" = "700,$(stat -c %U "$SYSTEM/run/nonos")" ]
	check "the unit is enabled" [ -L "$SYSTEM/etc/systemd/system/multi-user.target.wants/nonosd.service" ]
	check "nothing runs yet" [ ! -e "$SYSTEM/run/nonos/control.sock" ]
}

# The words of README, but for systemctl: no systemd runs here.
try_start() {
	inside nonosctl init --nickname Fresh --contact ops@example.org --yes
	alone nonosd --background 2>>"$TRY_INSIDE/daemon.log" || { tail "$TRY_INSIDE/daemon.log" >&2; die "nonosd does not start"; }
	inside nonosctl status
	inside nonosctl metrics | head -n 6
	check "the relay runs" [ "$(field state)" = running ]
	check "metrics come by the socket, too" \
		sh -c "curl -s --unix-socket '$SYSTEM/run/nonos/metrics.sock' http://x/metrics | grep -q '^nonos_state{state=\"running\"} 1'"
	check "the daemon gave up root" [ -z "$(find "$SYSTEM/var/lib/nonos" -user root)" ]
	FINGERPRINT=$(field fingerprint)
}

try_upgrade() {
	before=$(field version)
	apt install /tmp/new.deb
	check "the old program goes on" [ "$(field version)" = "$before" ]
	# What the postinst asks systemd for.
	alone nonosd --reload 2>>"$TRY_INSIDE/daemon.log"
	wait_for sh -c "[ \"$(field version)\" != '$before' ]" || true
	check "the new program runs: $(field version) after $before" [ "$(field version)" != "$before" ]
	check "the identity is the same: $FINGERPRINT" [ "$(field fingerprint)" = "$FINGERPRINT" ]
	alone nonosctl stop
	wait_for [ ! -e "$SYSTEM/run/nonos/control.sock" ] || die "it does not stop"
	alone nonosd --background 2>>"$TRY_INSIDE/daemon.log"
	check "the identity is the same after a stop and a start" [ "$(field fingerprint)" = "$FINGERPRINT" ]
	inside nonosctl stop
	wait_for [ ! -e "$SYSTEM/run/nonos/control.sock" ] || die "it does not stop"
}

try_remove() {
	apt remove nonos
	check "removing leaves configuration and identity" \
		[ -e "$SYSTEM/etc/nonos/nonosd.conf" -a -e "$SYSTEM/var/lib/nonos/keys/secret_id_key" ]
	check "and no program" [ ! -e "$SYSTEM/usr/sbin/nonosd" ]
	# As "systemctl enable nonosd@two" makes it.
	ln -s /lib/systemd/system/nonosd@.service "$SYSTEM/etc/systemd/system/multi-user.target.wants/nonosd@two.service"
	apt purge nonos
	left >"$TRY_INSIDE/left"
	cat "$TRY_INSIDE/left"
	check "purging leaves the identity" grep -qx ./var/lib/nonos/keys/secret_id_key "$TRY_INSIDE/left"
	check "and says so" grep -q 'var/lib/nonos is kept' "$LOG"
	check "and leaves nothing else" sh -c "! grep -v '^\./var/lib/nonos' '$TRY_INSIDE/left'"
	apt install /tmp/new.deb
	alone sh -c 'nonosctl init --nickname Fresh --yes && nonosd --background' >/dev/null 2>>"$TRY_INSIDE/daemon.log"
	check "installed again, it is the same relay" [ "$(field fingerprint)" = "$FINGERPRINT" ]
	inside nonosctl stop
	wait_for [ ! -e "$SYSTEM/run/nonos/control.sock" ] || die "it does not stop"
	apt purge nonos
	rm -r "$SYSTEM/var/lib/nonos"
	apt install /tmp/new.deb
	apt purge nonos
	left >"$TRY_INSIDE/left"
	cat "$TRY_INSIDE/left"
	check "purging a package that never ran leaves nothing" [ ! -s "$TRY_INSIDE/left" ]
}

make_system
try_install
try_start
try_upgrade
try_remove
say "the package installs, runs, upgrades and goes away"
