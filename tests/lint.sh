#!/bin/sh
# Every linter over the whole tree, with zero warnings.
set -eu
cd "$(dirname "$0")/.."
echo "ruff"
ruff check .
ruff format --check .
echo "mypy"
mypy
# Apart, for its directory is called like Ansible's own package.
(cd ansible/plugins && mypy --config-file ../../pyproject.toml .)
echo "yamllint"
yamllint --strict .
echo "shellcheck"
git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck
# DL3008 wants Debian's packages pinned: the archive keeps one version of each, so a pin breaks at the next update.
echo "hadolint"
git ls-files -z '*/dockerfile.*' | xargs -0 hadolint --ignore DL3008
echo "ansible-lint"
ansible-lint --nocolor -q
