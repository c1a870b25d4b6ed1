# Makefile - one word for each common task; meson and ninja do the work. `make help` lists them.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
# How many end-to-end tests at once: most of their time is waiting for ssh.
TEST_JOBS ?= 4
# More for scripts/run-tests, such as "-k cancel", and for meson when it sets up $(BUILD).
TESTS ?=
SETUP ?=

NINJA = . scripts/cache-dirs && ninja

# b_lundef: the sanitizers' functions come at run time.
ASAN_SETUP = -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Ddebug=true
# The maestro's threads; the end-to-end tests need no build of their own for that.
TSAN_SETUP = -Db_sanitize=thread -Db_lundef=false -Doptimization=1 -Ddebug=true -Dfloors=api
FUZZ_SETUP = -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Ddebug=true \
	-Dx86_64_agent=disabled -Daarch64_agent=disabled

.PHONY: all help run test fresh asan tsan lint fmt fuzz bench install clean deps

all: $(BUILD)/build.ninja ## build errand into build/ (the default)
	@$(NINJA) -C $(BUILD) product

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what building and testing need (on Debian and Ubuntu; elsewhere, say what to install)
	@scripts/install-deps all

run: ## install what is needed, build, and train the example on this machine
	@scripts/install-deps build
	@$(MAKE) --no-print-directory all
	@scripts/run-example

test: ## install what is needed, build, and run the unit and end-to-end tests
	@scripts/install-deps test
	@$(MAKE) --no-print-directory all
	@$(NINJA) -C $(BUILD) installed
	@scripts/run-tests $(BUILD) --jobs $(TEST_JOBS) $(TESTS)

fresh: ## make run and make test as a stranger would, in new minimal Debian systems, as an ordinary user
	@scripts/fresh

asan: ## run the tests under AddressSanitizer and UBSan, except those for the release build
	@scripts/install-deps test
	@test -f build-asan/build.ninja || meson setup build-asan $(ASAN_SETUP)
	@$(NINJA) -C build-asan installed
	@scripts/run-tests build-asan --jobs $(TEST_JOBS) $(TESTS)

tsan: ## run the maestro's unit tests under ThreadSanitizer
	@scripts/install-deps test
	@test -f build-tsan/build.ninja || meson setup build-tsan $(TSAN_SETUP)
	@scripts/run-tests build-tsan --suite maestro --suite api

lint: ## check layout, clang's warnings, clang-tidy, shellcheck, headers, file lengths
	@scripts/install-deps lint
	@scripts/lint

fmt: ## format all C code as .clang-format says
	@scripts/fmt

fuzz: ## run every fuzz target for FUZZ_SECONDS (60)
	@scripts/install-deps lint
	@test -f build-fuzz/build.ninja || CC=clang meson setup build-fuzz $(FUZZ_SETUP)
	@$(NINJA) -C build-fuzz fuzzers
	@scripts/run-fuzz build-fuzz $(FUZZ_SECONDS)

bench: ## measure speed, side by side with rsync, ssh and GNU parallel
	@scripts/install-deps test
	@$(MAKE) --no-print-directory all
	@tests/bench/run

install: $(BUILD)/build.ninja ## install program, library, header, manual pages and completions: PREFIX (/usr/local), DESTDIR
	@meson configure $(BUILD) -Dprefix=$(PREFIX) >/dev/null
	@$(NINJA) -C $(BUILD) installed
	DESTDIR=$(DESTDIR) meson install -C $(BUILD) --quiet --no-rebuild

clean: ## remove all build directories
	rm -rf $(BUILD) build-asan build-fuzz build-lint build-tsan

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: type 'make deps'" >&2; exit 1; }
	meson setup $(BUILD) --prefix=$(PREFIX) $(SETUP)
