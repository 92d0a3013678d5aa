#!/bin/sh
# Try the Debian package in a clean Debian 12 (as root; needs debootstrap):
#
#   contrib/debian/try.sh [DEB NEWER-DEB]
#
# Installs it, starts a relay as README says, looks at status and metrics, upgrades
# while it runs, removes and purges, and checks after each step what is there. Then
# systemd is booted on it and runs the units, also over an upgrade. Without arguments
# both packages are built first. All runs in namespaces of its own, whose network is a
# loopback alone but for apt; what this starts and mounts ends with it.
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
	group=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)/$(basename "$work")
	trap 'rm -rf --one-file-system "$work"; [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} \;' EXIT
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

# Puts a running systemd over the root, as /sbin/init of namespaces of its own; $1 is the root.
boot() {
	cat >"$TRY_INSIDE/boot" <<'END'
set -eu
mount --bind "$1" "$1"
cd "$1"
umount proc 2>/dev/null || true
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for node in null:3 zero:5 full:7 random:8 urandom:9; do
	mknod -m 666 "dev/${node%:*}" c 1 "${node#*:}"
done
mknod -m 666 dev/tty c 5 0
mkdir dev/pts dev/shm dev/mqueue dev/hugepages
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ip link set lo up
mkdir -p oldroot
pivot_root . oldroot
umount -l /oldroot
exec env -i container=chroot PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=no
END
	sh -c 'echo $$ >"$1/cgroup.procs" && exec unshare --mount --pid --fork --net --uts --ipc --cgroup --kill-child \
		sh "$2" "$3"' - "$GROUP" "$TRY_INSIDE/boot" "$1" >"$TRY_INSIDE/systemd.log" 2>&1 &
	BOOTED=$!
	wait_for sh -c "[ -n \"\$(cat /proc/$BOOTED/task/$BOOTED/children)\" ]" || die "systemd does not start"
	INIT=$(cut -d ' ' -f 1 "/proc/$BOOTED/task/$BOOTED/children")
	wait_for booted systemctl is-system-running || die "systemd does not come up: $(cat "$TRY_INSIDE/systemd.log")"
}

booted() {
	nsenter -t "$INIT" -m -p -n -u -i -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		DEBIAN_FRONTEND=noninteractive "$@"
}

versions() {
	booted sh -c 'nonosctl version && nonosctl -s /run/nonos-two/control.sock version' | sort -u
}

# The units themselves, with a relay and an instance: started, upgraded by the package, stopped.
try_systemd() {
	GROUP=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
	[ -n "$GROUP" ] || { say "no cgroup2 is mounted: the part with systemd is left out"; return; }
	GROUP=$GROUP/$(basename "$TRY_INSIDE")
	apt install systemd-sysv /tmp/old.deb
	cp "$OLD" "$SYSTEM/root/old.deb"
	cp "$NEW" "$SYSTEM/root/new.deb"
	mkdir "$GROUP"
	boot "$SYSTEM"
	booted nonosctl init --nickname Fresh --yes >/dev/null
	booted sh -c 'sed -e "/^user/d; s|lib/nonos$|&-two|; s|run/nonos/|run/nonos-two/|; s/:9001/:9002/" /etc/nonos/nonosd.conf \
		>/etc/nonos/two.conf'
	booted systemctl start nonosd nonosd@two
	check "both units run" booted systemctl is-active nonosd nonosd@two
	one=$(versions)
	booted dpkg -i /root/new.deb >>"$LOG" 2>&1
	wait_for both_new "$one" || die "the relays run $(versions)"
	check "both run the new version: $(versions | tr '\n' ' ')" both_new "$one"
	check "by taking over, not by a restart" \
		[ "$(booted systemctl show -p NRestarts --value nonosd nonosd@two | tr -d '\n')" = 00 ]
	booted systemctl stop nonosd nonosd@two
	check "they stop in order" [ "$(booted systemctl show -p Result --value nonosd nonosd@two | tr -d '\n')" = successsuccess ]
	kill -KILL "$INIT"
	wait "$BOOTED" 2>/dev/null || true
	find "$GROUP" -depth -type d -exec rmdir {} \;
}

both_new() {
	versions >"$TRY_INSIDE/versions"
	[ "$(wc -l <"$TRY_INSIDE/versions")" = 1 ] && ! grep -qxF "$1" "$TRY_INSIDE/versions"
}

make_system
try_install
try_start
try_upgrade
try_remove
try_systemd
say "the package installs, runs, upgrades and goes away"
