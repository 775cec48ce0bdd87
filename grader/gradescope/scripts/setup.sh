#!/usr/bin/env bash
# Gradescope runs this once, as root, when the autograder is built: in /autograder/source.
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
  echo "The grader needs Python 3.10, and this is $(python3 --version): choose Ubuntu 22.04 or newer as base image." >&2
  exit 1
fi
python3 -m venv venv
venv/bin/pip install --requirement requirements.txt --constraint constraints.txt

# Solutions are for root alone, whatever else stands between them and a student's code.
chmod -R go= solutions options.json
# The build fails here, not on the day, if anything is missing; and matplotlib has made its list of fonts.
PYTHONPATH=lib venv/bin/python -c "import grader.gradescope.run, grader.sandbox.kernel, matplotlib.pyplot"
