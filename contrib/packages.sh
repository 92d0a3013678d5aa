# shellcheck shell=sh disable=SC2034
# Sourced by check.sh and demo.sh: Debian packages, installed when missing.
# Callers set ROOT to the top of the source tree.

PACKAGES_BUILD="gcc make autoconf automake pkg-config libc6-dev libevent-dev libssl-dev libsodium-dev \
	libsecp256k1-dev libjansson-dev libcurl4-openssl-dev zlib1g-dev libzstd-dev libsqlite3-dev libncurses-dev \
	libseccomp-dev"
PACKAGES_LAB="python3 tor openssl"
PACKAGES_CHECK="clang libclang-rt-14-dev libcmocka-dev python3-pytest zsh fish prometheus tmux valgrind xz-utils"
PACKAGES_JS="nodejs npm"
PACKAGES_PACKAGE="build-essential debhelper"

say() {
	printf '%s %s\n' "$(date +%H:%M:%S)" "$*"
}

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

packages_missing() {
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
	done
}

# Of prometheus promtool is used. Installing it or tor would start a server, and a client that
# talks to the public network; a policy-rc.d that says no keeps them off. One that is there
# already stays.
packages_install() {
	missing=$(packages_missing "$@")
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || die "this needs the Debian packages $missing"
	[ "$(id -u)" = 0 ] || die "as root, once: apt-get install --no-install-recommends $missing"
	say "installing $missing"
	policy=
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		policy=/usr/sbin/policy-rc.d
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	log=$(mktemp)
	# shellcheck disable=SC2086
	if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq -y --no-install-recommends $missing; } >"$log" 2>&1; then
		failed=
	else
		failed=yes
		tail -n 20 "$log" >&2
	fi
	rm -f "$log" ${policy:+"$policy"}
	[ -z "$failed" ] || die "apt-get could not install them"
}

# node and npm, from wherever they are.
js_tools() {
	# shellcheck disable=SC2086
	{ command -v node && command -v npm; } >/dev/null || packages_install $PACKAGES_JS
}

# The npm packages that tests/js pins, in build/js; fetched once.
js_packages() {
	cmp -s "$ROOT/tests/js/package-lock.json" "$ROOT/build/js/fetched" && return
	mkdir -p "$ROOT/build/js"
	cp "$ROOT"/tests/js/package.json "$ROOT"/tests/js/package-lock.json "$ROOT/build/js"
	npm ci --prefix "$ROOT/build/js" --no-audit --no-fund &&
		cp "$ROOT/tests/js/package-lock.json" "$ROOT/build/js/fetched"
}

# build_tree NAME CONFIGURE-ARGUMENTS... : configure once, then make, in build/NAME.
build_tree() {
	tree=$ROOT/build/$1
	shift
	mkdir -p "$tree"
	# Once these exist, make itself notices that they are out of date.
	[ -x "$ROOT/configure" ] || (cd "$ROOT" && autoreconf -fi) >"$tree/autoreconf.log" 2>&1 ||
		{ tail -n 20 "$tree/autoreconf.log" >&2; die "autoreconf failed"; }
	[ -f "$tree/Makefile" ] || (cd "$tree" && "$ROOT/configure" "$@") >"$tree/configure.out" 2>&1 ||
		{ tail -n 20 "$tree/configure.out" >&2; die "configure failed in $tree"; }
	make -C "$tree" -j"$(nproc)" >"$tree/make.out" 2>&1 ||
		{ tail -n 30 "$tree/make.out" >&2; die "make failed in $tree"; }
}
