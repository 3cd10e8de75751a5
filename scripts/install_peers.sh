#!/usr/bin/env bash
# Installs the foreign programs that tests marked `debian` talk to. None of their daemons is started.
set -euo pipefail

wanted=(tshark kannel swaks postfix php-cli php-soap libnet-smpp-perl)
missing=()
for package in "${wanted[@]}"; do
    state=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $state == installed ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
    exit 0
fi
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "not installed: ${missing[*]} (needs root and apt-get)" >&2
    exit 1
fi

# Package scripts ask this file before they start a daemon.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
get=(apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=60)
# Only what waits for the network has a limit: a half-done installation would be worse.
timeout 90 "${get[@]}" update
timeout 180 "${get[@]}" install --yes --no-install-recommends --download-only "${missing[@]}"
"${get[@]}" install --yes --no-install-recommends --no-download "${missing[@]}" >/dev/null
