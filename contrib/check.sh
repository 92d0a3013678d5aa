#!/bin/sh
# Everything that is tested before a change lands, from a fresh Debian 12 on:
#
#   contrib/check.sh            all of it, but for the last three steps
#   contrib/check.sh STEP...    some of: build clang sanitize js net hostile dist long package try
#
# `long` has the network tests that take minutes each; `package` makes the Debian package; `try`
# installs it in a Debian made for that, from a mirror.
#
# Installs Debian packages that are missing (as root), builds out of tree in
# build/, and prints one line a step. Logs are in build/check/. The last line
# is "N passed, N failed": unit test programs, fuzz seed replays and network
# tests; a step that fails otherwise counts as one. Exit status 1 when any failed.
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd)
. "$ROOT/contrib/packages.sh"
PYTHON=/usr/bin/python3
LOGS=$ROOT/build/check
PASSED=0
FAILED=0
export PYTHONDONTWRITEBYTECODE=1
# Where step js puts packages; tests that want them are left out until then.
export NONOS_JS="$ROOT/build/js"

# count PASSED FAILED [SKIPPED]: add to the sums.
count() {
	PASSED=$((PASSED + $1))
	FAILED=$((FAILED + $2))
	say "  $1 passed, $2 failed${3:+, $3 skipped}"
}

# attempt NAME COMMAND...: run with a log; on failure show its end and count it.
attempt() {
	name=$1
	shift
	start=$(date +%s)
	say "$name"
	if "$@" >"$LOGS/$name.log" 2>&1; then
		say "  done in $(($(date +%s) - start)) s"
		return 0
	fi
	tail -n 40 "$LOGS/$name.log"
	say "  FAILED; see $LOGS/$name.log"
	return 1
}

# counted NAME COMMAND...: a step that is one test.
counted() {
	if attempt "$@"; then
		count 1 0
	else
		count 0 1
	fi
}

# build NAME CONFIGURE-ARGUMENTS...
build() {
	attempt "build-$1" build_tree "$@" && return 0
	count 0 1
	return 1
}

# warnings NAME: none may be in the log of that build.
warnings() {
	if grep -E '\.[ch]:[0-9:]+ warning:' "$ROOT/build/$1/make.out"; then
		count 0 1
	fi
}

# One number of automake's summary.
sum_of() {
	awk -v word="# $1:" 'index($0, word) == 1 { n += $3 } END { print n + 0 }' "$2"
}

unit_tests() {
	attempt "unit-$1" make -C "$ROOT/build/$1" -j"$(nproc)" check
	log=$LOGS/unit-$1.log
	good=$(sum_of PASS "$log")
	bad=$(($(sum_of FAIL "$log") + $(sum_of ERROR "$log")))
	[ "$good" -gt 0 ] || [ "$bad" -gt 0 ] || bad=1
	[ "$bad" = 0 ] || grep -E '^(FAIL|ERROR):' "$log"
	count "$good" "$bad" "$(sum_of SKIP "$log")"
}

# pytest XML SECONDS SETTINGS ARGUMENTS...: SETTINGS are environment variables, see tests/net/conftest.py.
run_pytest() {
	report=$1 seconds=$2 environment=$3
	shift 3
	# shellcheck disable=SC2086
	(cd "$ROOT" && env TORNET_QUIET=1 $environment timeout --kill-after=60 --signal=INT "$seconds" \
		$PYTHON -m pytest -p no:cacheprovider -q --tb=short --durations=15 --junitxml="$report" "$@")
}

# net_tests NAME SECONDS SETTINGS PYTEST-ARGUMENTS...: with the programs of build/NAME unless SETTINGS
# say otherwise. Real tor programs have timings of their own, on a busy machine most of all: when a few
# tests fail they are run once more, which is said; what fails twice has failed, and so has what fails
# once under sanitizers.
net_tests() {
	lab=$1 limit=$2 settings="NONOS_BUILD=$ROOT/build/$1 $3" xml=$LOGS/net-$1.xml ended=0
	shift 3
	rm -f "$xml" "$xml.again"
	attempt "net-$lab" run_pytest "$xml" "$limit" "$settings" "$@" tests/net || ended=1
	: >"$xml.failed"
	[ "$lab" = sanitize ] || grep -q KeyboardInterrupt "$LOGS/net-$lab.log" || $PYTHON "$ROOT/contrib/net_sums.py" failed "$xml" >"$xml.failed"
	if [ -s "$xml.failed" ]; then
		say "  once more: $(tr '\n' ' ' <"$xml.failed")"
		ended=0
		set --
		while IFS= read -r one; do
			set -- "$@" "$one"
		done <"$xml.failed"
		attempt "net-$lab-again" run_pytest "$xml.again" "$limit" "$settings" "$@" || ended=1
	fi
	# shellcheck disable=SC2046
	count $($PYTHON "$ROOT/contrib/net_sums.py" count "$xml" "$ended")
}

step_build() {
	build release --enable-werror && { warnings release; unit_tests release; }
}

step_clang() {
	build clang CC=clang --enable-werror || return
	warnings clang
	attempt clang-tests make -C "$ROOT/build/clang" -j"$(nproc)" check TESTS= || count 0 1
}

step_sanitize() {
	build sanitize --enable-sanitizers && unit_tests sanitize
}

# Bundles of claims before a verifier made of npm packages, pinned in tests/js.
step_js() {
	[ -x "$ROOT/build/release/nonosctl" ] || build release --enable-werror || return
	js_tools
	if attempt js-packages js_packages &&
		attempt js make -C "$ROOT/build/release" check TESTS=tests/check_claims.py &&
		grep -q 'before two judges' "$ROOT/build/release/tests/check_claims.log"; then
		count 1 0
	else
		count 0 1
	fi
}

step_net() {
	[ -x "$ROOT/build/release/nonosd" ] || build release --enable-werror || return
	# Hostile peers meet the sanitizer build, except where memory is measured.
	net_tests release 900 "" -m "(not hostile or bounds) and not long"
}

# What takes minutes: accounting to the end of its period, epochs closed again and again.
step_long() {
	[ -x "$ROOT/build/release/nonosd" ] || build release --enable-werror || return
	net_tests long 1800 "NONOS_BUILD=$ROOT/build/release" -m long
}

step_hostile() {
	[ -x "$ROOT/build/sanitize/nonosd" ] || build sanitize --enable-sanitizers || return
	net_tests sanitize 900 "NET_SLOW=4 NET_MB=4 NET_LINKS=400" -m hostile
}

step_dist() {
	[ -f "$ROOT/build/release/Makefile" ] || build release --enable-werror || return
	counted distcheck env NONOS_SHORT=1 make -C "$ROOT/build/release" -j"$(nproc)" distcheck
}

step_package() {
	# shellcheck disable=SC2086
	packages_install $PACKAGES_PACKAGE
	counted package "$ROOT/contrib/debian/build.sh"
}

step_try() {
	# shellcheck disable=SC2086
	packages_install $PACKAGES_PACKAGE
	counted try "$ROOT/contrib/debian/try.sh"
}

mkdir -p "$LOGS"
# shellcheck disable=SC2086
packages_install $PACKAGES_BUILD $PACKAGES_LAB $PACKAGES_CHECK
begin=$(date +%s)
[ $# -gt 0 ] || set -- build clang sanitize js net hostile dist
for step in "$@"; do
	case $step in
	build | clang | sanitize | js | net | long | hostile | dist | package | try) "step_$step" ;;
	*) die "no step $step; see the top of $0" ;;
	esac
done
say "$(($(date +%s) - begin)) s in all"
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]
