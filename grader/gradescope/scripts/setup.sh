#!/usr/bin/env bash
# Gradescope runs this once, as root, in /autograder/source, when it builds the autograder.
set -euo pipefail
cd -- "$(dirname -- "$0")"

export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
if [ -f torch-index.txt ]; then
  PIP_EXTRA_INDEX_URL=$(cat torch-index.txt)
  export PIP_EXTRA_INDEX_URL
fi
apt-get update
apt-get install --yes --no-install-recommends python3 python3-venv
if ! python3 -c "import sys; sys.exit(sys.version_info < (3, 10))"; then
  echo "The grader needs Python 3.10, but this is $(python3 --version): choose Ubuntu 22.04 or newer as base image." >&2
  exit 1
fi
python3 -m venv venv
venv/bin/pip install --requirement requirements.txt --constraint constraints.txt

# Only root may read solutions, in addition to everything else that keeps students' code away from them.
chmod -R go= solutions options.json
# If anything is missing, fail now and not when students submit. This also makes matplotlib's list of fonts.
PYTHONPATH=lib venv/bin/python -c "import grader.gradescope.run, grader.sandbox.kernel, matplotlib.pyplot"
