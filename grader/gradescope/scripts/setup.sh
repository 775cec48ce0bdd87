#!/usr/bin/env bash
# Gradescope runs this once, as root, when the autograder is built.
set -euo pipefail
cd /autograder/source

export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
if [ -f torch-index.txt ]; then
  PIP_EXTRA_INDEX_URL=$(cat torch-index.txt)
  export PIP_EXTRA_INDEX_URL
fi
apt-get update
apt-get install --yes --no-install-recommends python3 python3-venv
python3 -m venv venv
venv/bin/pip install --requirement requirements.txt --constraint constraints.txt

# Solutions are for root alone, whatever else stands between them and a student's code.
chmod -R go= solutions settings.json
# The build fails here, not on the day, if anything is missing.
PYTHONPATH=lib venv/bin/python -c "import grader.gradescope.run, grader.sandbox, ipykernel"
