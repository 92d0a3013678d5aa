#!/bin/sh
# Make the Debian package, in a copy of the source tree:
#
#   contrib/debian/build.sh [--install] [--version VERSION] [DIRECTORY]
#
# The .deb is put into DIRECTORY, or build/debian. --install installs what it
# needs for building, and the package at the end; both as root. DEB_BUILD_OPTIONS
# is "nocheck" unless it is set: make check is for whoever works on the source.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/contrib/packages.sh"
install=no version="" out=$ROOT/build/debian
while [ $# -gt 0 ]; do
	case $1 in
	--install) install=yes ;;
	--version) version=${2:?--version needs one}; shift ;;
	-*) die "no option $1; see the top of $0" ;;
	*) out=$1 ;;
	esac
	shift
done

# What belongs to the source: what git knows, or, unpacked from an archive, all but what was built.
copy_source() {
	if git -C "$ROOT" rev-parse --git-dir >/dev/null 2>&1; then
		git -C "$ROOT" ls-files -z --cached --others --exclude-standard >"$work/names"
		tar -C "$ROOT" --null -T "$work/names" -cf - | tar -C "$1" -xf -
	else
		tar -C "$ROOT" --exclude=./build --exclude=./autom4te.cache -cf - . | tar -C "$1" -xf -
	fi
}

# shellcheck disable=SC2086
[ "$install" = no ] || packages_install $PACKAGES_BUILD $PACKAGES_PACKAGE
work=$(mktemp -d /tmp/nonos-deb.XXXXXX)
trap 'rm -rf "$work"' EXIT
tree=$work/nonos
mkdir "$tree"
copy_source "$tree"
cp -R "$tree/contrib/debian" "$tree/debian"
rm "$tree/debian/build.sh" "$tree/debian/try.sh"
if [ -n "$version" ]; then
	sed -i "s/^AC_INIT(\[nonos\], \[[^]]*\]/AC_INIT([nonos], [$version]/" "$tree/configure.ac"
	sed -i "1s/(.*)/($version)/" "$tree/debian/changelog"
fi

say "building the package"
[ -n "${DEB_BUILD_OPTIONS-}" ] || export DEB_BUILD_OPTIONS=nocheck DEB_BUILD_PROFILES=nocheck
(cd "$tree" && dpkg-buildpackage -b -us -uc) >"$work/log" 2>&1 || {
	tail -n 40 "$work/log" >&2
	die "the package could not be built"
}
mkdir -p "$out"
deb=$(basename "$work"/nonos_*.deb)
mv "$work"/nonos*.deb "$work"/*.changes "$work"/*.buildinfo "$out"
mv "$work/log" "$out/build.log"
say "$out/$deb"
[ "$install" = no ] || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$out/$deb"
