# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by the scripts here: gets what they need, and builds. What it says
# goes to standard error; it leaves standard input, which may be a Lua
# script, alone.

packages_build=(cmake make gcc libc6-dev pkg-config luajit libluajit-5.1-dev
  libev-dev libssl-dev libc-ares-dev libpcre2-dev libreadline-dev)
# busted, and the peers that specs talk to.
packages_test=(lua-busted groff-base curl openssl socat nginx redis-server gnutls-bin
  bind9-dnsutils netbase netcat-openbsd python3 iproute2 procps)
packages_check=(clang-format clang-tidy lua-check shellcheck)

say() { echo "weir: $*" >&2; }
die() { say "$@"; exit 1; }

# Those of the given packages that are not installed.
packages_missing() {
  local package installed
  # It fails when it does not know one of them, which is an answer too.
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" \
    2>/dev/null | sed -n 's/ installed$//p') || true
  for package in "$@"; do
    grep -qxF -- "$package" <<<"$installed" || echo "$package"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt, without questions and without starting the daemons that come along:
# the specs start their own, on ports of their own.
# shellcheck disable=SC2016 # the inner shell expands it
install_packages() {
  as_root env LC_ALL=C DEBIAN_FRONTEND=noninteractive sh -c '
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
      trap "rm -f $policy" EXIT
      printf "#!/bin/sh\nexit 101\n" >$policy && chmod +x $policy
    fi
    apt-get update -q
    apt-get install -y -q --no-install-recommends \
      -o DPkg::Lock::Timeout=300 "$@"
  ' sh "$@"
}

# require_packages PACKAGE...: installs what is missing.
require_packages() {
  command -v dpkg-query >/dev/null || { require_commands; return; }
  local missing log
  mapfile -t missing < <(packages_missing "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    die "missing packages: ${missing[*]} (not root, and there is no sudo)"
  say "installing ${missing[*]} (apt)"
  log=$(mktemp)
  if ! install_packages "${missing[@]}" </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "apt could not install ${missing[*]}"
  fi
  rm -f "$log"
}

# Without Debian's package system: names what is not there, and stops.
require_commands() {
  local thing missing=()
  for thing in cmake make cc pkg-config luajit; do
    command -v $thing >/dev/null || missing+=("$thing")
  done
  for thing in luajit openssl libcares libpcre2-8 readline; do
    pkg-config --exists $thing 2>/dev/null || missing+=("$thing (library)")
  done
  [ ${#missing[@]} = 0 ] || die "missing, and there is no apt:" \
    "$(printf '%s, ' "${missing[@]}")and perhaps libev"
}

# quietly LOG COMMAND...: shows the end of what it said if it failed.
quietly() {
  local log=$1
  shift
  "$@" </dev/null >"$log" 2>&1 || { tail -n 40 "$log" >&2; return 1; }
}

# build FOLDER [CMAKE-OPTION...]: configures, if that is new, and builds.
build() {
  local folder=$1
  shift
  mkdir -p "$folder"
  if [ ! -e "$folder/Makefile" ] && [ ! -e "$folder/build.ninja" ]; then
    say "building into $folder (this takes a moment)"
    set -- -B "$folder" "$@"
  elif [ $# -gt 0 ]; then
    set -- -B "$folder" "$@"
  fi
  [ $# = 0 ] || quietly "$folder/log" cmake -S "$root" "$@" ||
    die "cmake failed"
  quietly "$folder/log" cmake --build "$folder" --parallel \
    "$(getconf _NPROCESSORS_ONLN)" ||
    die "the build failed"
}

# One at a time: two terminals may start weir in a fresh clone at once.
prepare() { # FOLDER -- PACKAGE...
  local folder=$1
  shift
  mkdir -p "$folder"
  exec 9>"$folder/lock"
  if command -v flock >/dev/null; then flock 9; fi
  require_packages "$@"
  # shellcheck disable=SC2086 # options, split on purpose
  build "$folder" ${WEIR_CMAKE_OPTIONS:-}
  exec 9>&-
}
