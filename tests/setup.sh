#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs the Debian 12 packages that pvshim needs, one list for each purpose.
#
#   tests/setup.sh [--check] PURPOSE...     build, lint, screen, fbdev, bench or all
#   . tests/setup.sh; setup_need PURPOSE... the same from a script: 0, or 1 after one clear line
#
# Nothing happens when everything is there: no network, no root. Otherwise apt-get installs what is
# missing, through sudo when not root, without a question and without output unless it fails.
# --check only prints what is missing (exit status 1 when something is).

setup_packages()
{
	case "$1" in
	build)	# what meson.build asks for
		echo g++ meson ninja-build pkg-config python3 \
			libgtest-dev libgmock-dev libbenchmark-dev \
			liburcu-dev libjemalloc-dev libxen-dev \
			libfuse3-dev fuse3 libvncserver-dev libpng-dev \
			libxcb1-dev libxcb-xtest0-dev \
			libcli11-dev nlohmann-json3-dev libdw-dev libzydis-dev ;;
	lint)	# the tools of tests/lint
		echo clang-14 clang-format-14 clang-tidy-14 shellcheck binutils ;;
	screen)	# an X server, and clients that draw on it
		echo fuse3 xvfb x11-apps x11-utils x11-xserver-utils xauth xterm ;;
	fbdev)	# programs that draw to /dev/fb0
		echo fuse3 fbset ffmpeg xserver-xorg-core xserver-xorg-video-fbdev \
			x11-apps x11-utils x11-xserver-utils ;;
	bench)	# what draws in bench/run
		echo gnuplot-nox ;;
	all)
		setup_packages build
		setup_packages lint
		setup_packages screen
		setup_packages fbdev
		setup_packages bench ;;
	*)
		echo "setup: no such purpose '$1'; there are: build lint screen fbdev bench all" >&2
		return 2 ;;
	esac
}

# setup_missing PURPOSE...: the packages that are not installed, one line.
setup_missing()
{
	local purpose wanted package have missing=()

	for purpose; do
		wanted=$(setup_packages "$purpose") || return 2
		have=$(dpkg-query -W -f '${Status} ${Package}\n' 2>/dev/null |
			sed -n 's/^install ok installed //p')
		for package in $wanted; do
			grep -qxF -- "$package" <<<"$have" || missing+=("$package")
		done
	done
	[ ${#missing[@]} -eq 0 ] || printf '%s\n' "${missing[@]}" | sort -u | paste -sd ' '
}

# setup_need PURPOSE...: installs what is missing.
setup_need()
{
	local missing log attempt as_root=()

	missing=$(setup_missing "$@") || return 2
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "setup: missing: $missing; this is no Debian (no apt-get)," \
			"install them by hand" >&2
		return 1
	fi
	if [ "$(id -u)" -ne 0 ]; then
		if ! sudo -n true 2>/dev/null; then
			if [ ! -t 0 ] || ! command -v sudo >/dev/null; then
				echo "setup: missing: $missing; not root and no sudo without a" \
					"password: as root, apt-get install them" >&2
				return 1
			fi
		fi
		as_root=(sudo)
	fi
	log=$(mktemp) || return 1
	echo "setup: installing $missing" >&2
	for attempt in 1 2 3; do
		# The index is fetched only when an install without it has failed: it may be fresh.
		if [ "$attempt" -gt 1 ] || ! ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1; then
			"${as_root[@]}" apt-get -q -o Acquire::Retries=3 \
				-o DPkg::Lock::Timeout=300 update >>"$log" 2>&1 </dev/null ||
				sleep $((attempt * 3))
		fi
		# shellcheck disable=SC2086 # a list of names
		if "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
			--no-install-recommends -o Acquire::Retries=3 \
			-o DPkg::Lock::Timeout=300 install $missing >>"$log" 2>&1 </dev/null; then
			break
		fi
	done
	missing=$(setup_missing "$@")
	if [ -n "$missing" ]; then
		tail -n 15 "$log" | sed 's/^/setup: apt-get: /' >&2
		echo "setup: could not install: $missing; the lines above say why" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	set -euo pipefail
	case "${1:-}" in
	--check)
		shift
		missing=$(setup_missing "$@")
		[ -z "$missing" ] || { echo "$missing"; exit 1; } ;;
	-h | --help | '')
		sed -n 's/^# \{0,1\}//; 3,11p' "$0" ;;
	*)
		setup_need "$@" ;;
	esac
fi
