#!/bin/bash
# Makes this checkout ready: what the system lacks, the virtual environment, Kafka, ClickHouse, models.
#
#   infra/setup/setup.sh run     # what running needs
#   infra/setup/setup.sh test    # and what only tests need
#
# Every step looks first whether it has been done, so a second run takes a second or two.
set -euo pipefail
cd "$(dirname "$0")/../.."
purpose=${1:-run}
[ "$purpose" = run ] || [ "$purpose" = test ] || { sed -n '4,5s/^# *//p' "$0" >&2; exit 2; }

# How much is in the folder that a step fills, if it names one in `fills`; counted every few seconds.
filled() {
    if [ -n "${fills:-}" ] && (($1 % 5 == 0)); then
        local size
        size=$(du -sm "$fills" 2>/dev/null | cut -f1) || return 0  # it is not there yet, or changes
        so_far=", $size MB so far"
    fi
}

# Runs a command quietly while a line shows that it moves; its output is shown when it fails.
step() {
    local what=$1 log begun=$SECONDS so_far=""
    shift
    log=$(mktemp)
    "$@" >"$log" 2>&1 &
    local job=$!
    while kill -0 "$job" 2>/dev/null; do
        filled $((SECONDS - begun))
        if [ -t 1 ]; then
            printf '\r  %s ... %ds%s ' "$what" $((SECONDS - begun)) "$so_far"
            sleep 1
        else
            if ((SECONDS - begun > 0 && (SECONDS - begun) % 15 == 0)); then
                printf '  %s ... %ds%s\n' "$what" $((SECONDS - begun)) "$so_far"
            fi
            sleep 1
        fi
    done
    if wait "$job"; then
        [ -t 1 ] && printf '\r'
        printf '  %s: done in %ds                         \n' "$what" $((SECONDS - begun))
        rm -f "$log"
    else
        printf '\n  %s: failed\n' "$what" >&2
        tail -n 30 "$log" >&2
        rm -f "$log"
        exit 1
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "root or sudo is needed for: $*" >&2
        return 1
    fi
}

missing_packages() {
    command -v java >/dev/null || echo default-jre-headless
    command -v mvn >/dev/null || echo maven
    command -v npm >/dev/null || echo npm
    command -v ffmpeg >/dev/null || echo ffmpeg
    command -v curl >/dev/null || echo curl
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    [ "$purpose" = test ] || return 0
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql
    command -v chromium >/dev/null || echo chromium
    command -v kcat >/dev/null || echo kcat
    ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || echo libfaketime
    command -v cc >/dev/null || printf '%s\n' gcc libc6-dev  # one a line
    command -v runuser >/dev/null || echo util-linux
    # a camera of GStreamer, and a web server for segments: tests/fixtures_cameras.py
    ls /usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib >/dev/null 2>&1 || echo gir1.2-gst-rtsp-server-1.0
    /usr/bin/python3 -c 'import gi' 2>/dev/null || echo python3-gi
    ls /usr/lib/*/gstreamer-1.0/libgstapp.so >/dev/null 2>&1 || echo gstreamer1.0-plugins-base
    ls /usr/lib/*/gstreamer-1.0/libgstrtp.so >/dev/null 2>&1 || echo gstreamer1.0-plugins-good
    ls /usr/lib/*/gstreamer-1.0/libgstvideoparsersbad.so >/dev/null 2>&1 || echo gstreamer1.0-plugins-bad
    ls /usr/lib/*/gio/modules/libgiognutls.so >/dev/null 2>&1 || echo glib-networking
    command -v openssl >/dev/null || echo openssl
    command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || echo nginx-light
}

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

python_is_new_enough() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "Python 3.11 or newer is needed; python3 is $(python3 --version 2>&1)" >&2
        return 1
    }
}

# The stamp holds what was installed, so that a changed lock file is seen.
install_python_packages() {
    [ -x .venv/bin/python ] || python3 -m venv .venv
    # what is downloaded counts too while one watches
    mkdir -p .venv/tmp
    export TMPDIR=$PWD/.venv/tmp
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$1"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    rm -rf .venv/tmp
    sha256sum "$1" pyproject.toml >.venv/.installed
}

python_is_current() {
    [ -f .venv/.installed ] || return 1
    sha256sum --check --status .venv/.installed 2>/dev/null || return 1
    # what was installed for tests serves for running too
    [ "$purpose" = run ] || grep -q requirements-dev.lock .venv/.installed
}

mapfile -t packages < <(missing_packages)
if [ ${#packages[@]} -gt 0 ]; then
    step "system packages (${packages[*]})" install_packages "${packages[@]}"
fi
python_is_new_enough
if ! python_is_current; then
    lock=requirements.lock
    [ "$purpose" = run ] || lock=requirements-dev.lock
    fills=.venv step "Python packages from $lock (about 3 GB, some minutes)" install_python_packages "$lock"
fi
step "Kafka's jars" .venv/bin/python -m infra.kafka.jars
step "Kafka's classes" .venv/bin/python -m infra.kafka.classes
step "ClickHouse's library" .venv/bin/python -m infra.clickhouse.library
.venv/bin/sightline models fetch
