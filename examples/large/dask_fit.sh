#!/usr/bin/env bash
# Fit with a Dask scheduler and two worker processes of this machine.
# Usage: bash dask_fit.sh CONFIG [options of gapfit fit]
# On a cluster, start the same workers on its nodes; all must see the scheduler file and
# the output folder.
set -euo pipefail

folder="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
scheduler="$folder/scheduler.json"
dask scheduler --no-dashboard --port 0 --scheduler-file "$scheduler" >"$folder/scheduler.log" 2>&1 &
for n in 1 2; do
    dask worker --no-dashboard --nthreads 1 --scheduler-file "$scheduler" \
        >"$folder/worker$n.log" 2>&1 &
done
until [ -s "$scheduler" ]; do sleep 0.1; done

gapfit fit "$@" --executor dask --scheduler "$scheduler"
