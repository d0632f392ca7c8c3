# The front door. A target is one line that calls one playbook or one program.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# What a caller may set.
INVENTORY ?= inventory.ini
ARGS ?=
LIMIT ?=
TAGS ?=
CHECK ?=
DATA ?= keep
SERVICE ?=
LINES ?= 100
BUNDLE ?=
COMPUTE ?=

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

# Make ends a path at its first space; until its functions are done, a space is a bar.
space := $(subst ,, )
absolute = $(subst $(space),|,$(abspath $(subst $(space),|,$(1))))
# As _platform_inventory_name in Ansible: hosts.ini is called like its directory.
inventory = $(call absolute,$(INVENTORY))
name = $(basename $(notdir $(inventory)))
inventory_name = $(subst |,$(space),$(if $(filter hosts,$(name)),$(notdir $(patsubst %/,%,$(dir $(inventory)))),$(name)))
bundle = $(subst |,$(space),$(call absolute,$(BUNDLE)))
PLATFORM ?= credentials/$(inventory_name)/platform.json
options = -i '$(INVENTORY)' $(if $(LIMIT),--limit '$(LIMIT)') $(if $(CHECK),--check --diff)
play = ansible-playbook $(options)
quiet = ANSIBLE_STDOUT_CALLBACK=plain ansible-playbook $(options)

##@ Try it
quickstart: .venv-quickstart ## Train and predict with nothing but Python: no Docker, no root
	@.venv-quickstart/bin/python ml/quickstart.py start $(ARGS)
quickstart-stop: ## Stop the quickstart's server; what it stored stays
	@$(or $(wildcard .venv-quickstart/bin/python),python3) ml/quickstart.py stop

##@ Run it
provision: .venv ## Put the platform on its hosts, or bring it up to date
	@$(play) $(if $(TAGS),--tags '$(TAGS)') $(if $(BUNDLE),-e platform_image_source=archive -e platform_bundle='"$(bundle)"') $(ARGS) ansible/provision.yml
train: .venv ## Train a model in a container and register it (ARGS="--n-estimators 200" COMPUTE=host)
	@.venv/bin/python ml/launch.py --platform '$(PLATFORM)' $(if $(COMPUTE),--host '$(COMPUTE)') train $(ARGS)
predict: .venv ## Predict with the champion (ARGS="--input my.csv --output out.csv")
	@.venv/bin/python ml/launch.py --platform '$(PLATFORM)' $(if $(COMPUTE),--host '$(COMPUTE)') predict $(ARGS)

##@ Look after it
status: .venv ## Services, health, versions, addresses, disk (ARGS=--json for programs)
	@$(quiet) $(filter-out --json,$(ARGS)) $(if $(filter --json,$(ARGS)),-e status_json=true) ansible/status.yml
logs: .venv ## What the services said last (SERVICE=mlflow LINES=100)
	@$(quiet) -e logs_lines=$(LINES) $(if $(SERVICE),-e logs_service=$(SERVICE)) $(ARGS) ansible/logs.yml
stop: .venv ## Stop every service; data stays
	@$(play) $(ARGS) ansible/stop.yml
start: .venv ## Start every service again
	@$(play) $(ARGS) ansible/start.yml
restart: .venv ## Stop and start every service
	@$(play) $(ARGS) ansible/restart.yml
credentials: .venv ## Show addresses, users and passwords
	@$(quiet) $(ARGS) ansible/credentials.yml
env: .venv ## Print exports for a notebook: eval "$(make env)"
	@$(quiet) $(ARGS) ansible/env.yml
push: .venv ## Fill the site's registry with the images (image_registry in the inventory)
	@$(play) $(ARGS) ansible/push.yml
bundle: .venv ## Make one file of all a platform needs, for hosts without internet (dist/)
	@$(play) $(ARGS) ansible/bundle.yml
destroy: .venv ## Remove the containers; DATA=delete removes all that bears the platform's name
	@$(play) -e destroy_data=$(DATA) $(ARGS) ansible/destroy.yml
clean: $(if $(wildcard .quickstart/server.json),quickstart-stop) ## Remove what was made in this directory, credentials aside
	@rm -rf .venv .venv-quickstart .venv-dev .venv-uv .quickstart .mypy_cache .ruff_cache .pytest_cache .ansible artifacts dist

##@ Work on it
test: .venv-dev ## Lint, unit and embedded tests: no Docker, no root
	@PATH="$(CURDIR)/.venv-dev/bin:$$PATH" tests/lint.sh
	@.venv-dev/bin/python -m pytest -q -n auto --dist loadfile tests/unit tests/embedded $(ARGS)
e2e: .venv-dev ## The real thing: engine, images, stack, jobs, failures, browser (root)
	@tests/e2e/prepare.sh >/dev/null
	@PATH="$(CURDIR)/.venv-dev/bin:$$PATH" .venv-dev/bin/python -m pytest -q tests/e2e $(ARGS)
bench: .venv .venv-dev ## Measure: against bare Ansible and a stock MLflow, at rest, under load (root; ARGS=--help)
	@.venv-dev/bin/python -m bench $(if $(filter-out inventory.ini,$(INVENTORY)),--inventory '$(INVENTORY)') $(ARGS)
lock: .venv-dev ## Compile requirements/ from pyproject.toml
	@PATH="$(CURDIR)/.venv-uv/bin:$$PATH" requirements/lock.sh
reference: .venv ## Write docs/reference.md from the roles' argument specs
	@.venv/bin/python docs/reference.py

help: ## This list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv: requirements/controller.txt FORCE
	@requirements/venv.sh .venv requirements/controller.txt $(if $(BUNDLE),'$(BUNDLE)')
.venv-quickstart: requirements/quickstart.txt FORCE
	@requirements/venv.sh .venv-quickstart requirements/quickstart.txt
.venv-dev: requirements/dev.txt FORCE
	@requirements/venv.sh .venv-dev requirements/dev.txt
FORCE:

.PHONY: quickstart quickstart-stop provision train predict status logs stop start restart credentials env push bundle destroy clean test e2e \
  bench lock reference help FORCE
