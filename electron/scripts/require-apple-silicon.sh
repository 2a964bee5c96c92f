#!/usr/bin/env bash
# Says why and fails where the app cannot be packaged.
set -euo pipefail

if [ "$(uname -s)" != Darwin ] || [ "$(uname -m)" != arm64 ]; then
  echo "The app is packaged on macOS on Apple silicon only; this is $(uname -s) on $(uname -m)." >&2
  exit 1
fi
