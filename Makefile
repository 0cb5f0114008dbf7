# fenceline - see README.md. Plain `make` builds build/release/fenceline; `make help` lists the targets.

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
SYSCONFDIR ?= /etc
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
BASHDIR    ?= $(DATADIR)/bash-completion/completions
ZSHDIR     ?= $(DATADIR)/zsh/site-functions
FISHDIR    ?= $(DATADIR)/fish/vendor_completions.d
VERSION    := 0.1.0
MAN_DATE   := November 25, 2026

VARIANT ?= release
B       := build/$(VARIANT)
V       ?=
PARALLEL := -j$(shell nproc)
Q       := $(if $(V),,@)

CC         ?= cc
PKGS       := libuv hiredis libpq libcjson nettle inih libmicrohttpd
PKG_PACKAGES := libuv1-dev libhiredis-dev libpq-dev libcjson-dev nettle-dev libinih-dev libmicrohttpd-dev
WARNINGS   := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
WERROR     := $(if $(CI),-Werror)
# gcc's runtimes are linked in, as clang's are: each start of a test program is a quarter faster.
STATIC_SAN  = $(if $(findstring clang,$(CC)),,-static-lib$(1))
SAN_asan   := -fsanitize=address -fno-omit-frame-pointer $(call STATIC_SAN,asan)
SAN_ubsan  := -fsanitize=undefined -fno-sanitize-recover=all $(call STATIC_SAN,ubsan)
SAN_test   := $(SAN_asan) $(SAN_ubsan)
SAN_tsan   := -fsanitize=thread
OPT_release  := -O2 -g
OPT_debug    := -O2 -g1 -DFL_FAIL_POINTS
OPT_test     := -O1 -g1 -DFL_FAIL_POINTS $(SAN_test)
OPT_asan     := -O1 -g -DFL_FAIL_POINTS $(SAN_asan)
OPT_ubsan    := -O1 -g -DFL_FAIL_POINTS $(SAN_ubsan)
OPT_tsan     := -O1 -g1 -DFL_FAIL_POINTS $(SAN_tsan)
OPT_fuzz     := -O1 -g -DFL_FAIL_POINTS -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
OPT_coverage := -O0 -g -DFL_FAIL_POINTS --coverage

# One place asks for the libraries, and says which package holds a missing one.
define check_pkg
$(if $(shell pkg-config --exists $(1) 2>/dev/null && echo yes),,$(error $(1) is missing: install the Debian package $(2), or run tools/setup run))
endef
ifeq ($(filter clean help run check setup model fmt fmt-check layers stop uninstall,$(or $(MAKECMDGOALS),all)),)
$(foreach i,1 2 3 4 5 6 7,$(call check_pkg,$(word $(i),$(PKGS)),$(word $(i),$(PKG_PACKAGES))))
endif

FL_CPPFLAGS = -D_GNU_SOURCE -DFL_VERSION='"$(VERSION)"' -Iinclude -Isrc $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
FL_CFLAGS   = -std=c11 $(WARNINGS) $(WERROR) $(OPT_$(VARIANT))
FL_LIBS     = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread
TEST_LIBS   = $(FL_LIBS) $(shell pkg-config --libs cmocka 2>/dev/null)

SOURCES   := $(wildcard src/base/*.c src/core/*.c src/core/formats/*.c src/io/*.c src/app/*.c src/cli/*.c)
GENERATED := $(B)/gen/schema.c $(B)/gen/lua.c $(B)/gen/rights.c $(B)/gen/page.c
OBJECTS   := $(SOURCES:%.c=$(B)/%.o) $(GENERATED:.c=.o)
LIBRARY   := $(B)/libfenceline.a
UNIT        := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
INTEGRATION := $(patsubst tests/integration/%.c,$(B)/integration/%,$(wildcard tests/integration/test_*.c))
SIM         := $(patsubst %.c,$(B)/%.o,$(filter-out tests/sim/main.c tests/sim/test_sim.c,$(wildcard tests/sim/*.c)))
CHAOS       := $(patsubst %.c,$(B)/%.o,$(filter-out tests/chaos/test_%.c tests/chaos/checker.c tests/chaos/leases.c \
                                                      tests/chaos/clock.c, \
                                                      $(wildcard tests/chaos/*.c)))
FUZZ        := $(patsubst %.c,$(B)/%.o,$(filter-out tests/fuzz/libfuzzer.c tests/fuzz/test_%,$(wildcard tests/fuzz/*.c)))
FUZZ_NAMES  := $(shell sed -n 's/^    X(\([a-z_]*\)).*/\1/p' tests/fuzz/fuzz.h)
CONTRACT    := $(patsubst %.c,$(B)/%.o,$(filter-out tests/contract/test_%,$(wildcard tests/contract/*.c)))
TEST_LIB    := $(patsubst %.c,$(B)/%.o,$(wildcard tests/lib/*.c))

# The manual: one page a file of docs/man, and aliases for commands of two words (fenceline-jobs-list.1).
PAGES       := $(patsubst docs/man/%,$(B)/man/%,$(wildcard docs/man/*.[157]))
ALIASES     := $(B)/man/aliases
COMPLETIONS := $(B)/completion/fenceline.bash $(B)/completion/fenceline.zsh $(B)/completion/fenceline.fish

.DELETE_ON_ERROR:
.PHONY: all help setup run stop check unit integration bench bench-large bench-smoke bench-peers bench-peers-smoke asan \
        ubsan tsan coverage fmt fmt-check tidy layers install uninstall dist clean programs sim chaos fuzz fuzz-diff model browser

all: $(B)/fenceline $(PAGES) $(ALIASES) $(COMPLETIONS) ## build the program, its manual and its completions (default)

help: ## list the targets
	@grep -hE '^[a-z -]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z -]+):.*## (.*)/  \1 - \2/'

# ---- building ----

$(B)/fenceline: $(OBJECTS)
	@echo "  LD   $@"
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FL_LIBS)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(CC) $(FL_CPPFLAGS) $(CPPFLAGS) $(FL_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/gen/%.o: $(B)/gen/%.c
	$(Q)$(CC) $(FL_CPPFLAGS) $(CPPFLAGS) $(FL_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/gen/schema.c: tools/embed-schema $(sort $(wildcard config/schema/*.sql))
	@mkdir -p $(@D)
	$(Q)tools/embed-schema $(sort $(wildcard config/schema/*.sql)) > $@

$(B)/gen/lua.c: tools/embed-lua $(sort $(wildcard lua/*.lua))
	@mkdir -p $(@D)
	$(Q)tools/embed-lua $(sort $(wildcard lua/*.lua)) > $@

$(B)/gen/rights.c: tools/embed-text config/roles.sql config/redis.acl
	@mkdir -p $(@D)
	$(Q)tools/embed-text fl_roles_sql=config/roles.sql fl_redis_acl=config/redis.acl > $@

PAGE := $(addprefix src/app/page/page.,html css js)
$(B)/gen/page.c: tools/embed-text $(PAGE)
	@mkdir -p $(@D)
	$(Q)tools/embed-text $(join fl_page_html= fl_page_css= fl_page_js=,$(PAGE)) > $@

# ---- the manual, from the tables that the program parses ----

MANUAL := $(patsubst %.c,$(B)/%.o,$(wildcard tools/manual/*.c))
$(MANUAL): private FL_CPPFLAGS += -DMANUAL_DATE='"$(MAN_DATE)"'

$(B)/manual: $(MANUAL) $(LIBRARY)
	@echo "  LD   $@"
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FL_LIBS)

$(B)/man/%: docs/man/% config/fenceline.conf $(B)/manual
	@mkdir -p $(@D)
	$(Q)$(B)/manual page $< config/fenceline.conf > $@

$(ALIASES): $(B)/manual
	@rm -rf $@ && mkdir -p $@
	$(Q)$(B)/manual aliases $@

$(B)/completion/fenceline.%: $(B)/manual
	@mkdir -p $(@D)
	$(Q)$(B)/manual completion $* > $@

# All but main. Thin, so that a test program links in no time what it needs.
$(LIBRARY): $(filter-out $(B)/src/cli/main.o,$(OBJECTS))
	@rm -f $@
	$(Q)ar rcsT $@ $^

$(B)/unit/%: $(B)/tests/unit/%.o $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

# What the adapters rely on, replaced behind their back (tests/integration/test_guards.c).
WRAP_test_guards = -Wl,--wrap=fl_slice_compare,--wrap=PQcmdStatus,--wrap=fl_pg_add_command

$(B)/integration/%: $(B)/tests/integration/%.o $(TEST_LIB) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) $(WRAP_$*) -o $@ $^ $(TEST_LIBS)

# Production code, with two guards of it behind functions of the simulator (tests/sim/sim_guards.c).
SIM_WRAP = -Wl,--wrap=fl_fence_check_token,--wrap=fl_fence_is_mine

$(B)/sim/test_sim: $(B)/tests/sim/test_sim.o $(SIM) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) $(SIM_WRAP) -o $@ $^ $(TEST_LIBS)

$(B)/sim/sim: $(B)/tests/sim/main.o $(SIM) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) $(SIM_WRAP) -o $@ $^ $(FL_LIBS)

$(B)/chaos/test_%: $(B)/tests/chaos/test_%.o $(CHAOS) $(TEST_LIB) $(LIBRARY) | $(B)/chaos/checker $(B)/chaos/clock.so
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

$(B)/chaos/checker: $(B)/tests/chaos/checker.o $(B)/tests/chaos/leases.o $(B)/tests/chaos/judge.o $(B)/tests/chaos/content.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FL_LIBS)

# Loaded into Redis, which has no sanitizers.
$(B)/chaos/clock.so: tests/chaos/clock.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CPPFLAGS) -std=c11 $(WARNINGS) -O2 -fPIC -shared -o $@ $<

# The same cases on simulated and on real servers.
$(B)/contract/test_contract_sim: $(B)/tests/contract/test_contract_sim.o $(CONTRACT) $(SIM) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) $(SIM_WRAP) -o $@ $^ $(TEST_LIBS)

$(B)/contract/test_contract_real: $(B)/tests/contract/test_contract_real.o $(CONTRACT) $(TEST_LIB) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

# Memory that is not there: in front of the production code alone (tests/faults/test_allocation_faults.c).
ALLOCATION_WRAP = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc

$(B)/faults/test_port_faults: $(B)/tests/faults/test_port_faults.o $(SIM) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) $(SIM_WRAP) -o $@ $^ $(TEST_LIBS)

$(B)/faults/test_allocation_faults: $(B)/tests/faults/test_allocation_faults.o $(SIM) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) $(SIM_WRAP) $(ALLOCATION_WRAP) -o $@ $^ $(TEST_LIBS)

$(B)/fuzz/test_fuzz: $(B)/tests/fuzz/test_fuzz.o $(FUZZ) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

$(B)/fuzz/test_differential: $(B)/tests/fuzz/test_differential.o $(TEST_LIB) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

$(B)/browser/test_browser: $(B)/tests/browser/test_browser.o $(TEST_LIB) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

# One target as a libFuzzer program; VARIANT=fuzz only, by clang.
$(B)/fuzz/fuzz_%: tests/fuzz/libfuzzer.c $(FUZZ) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FL_CPPFLAGS) $(CPPFLAGS) $(FL_CFLAGS) $(CFLAGS) $(LDFLAGS) -DFUZZ_NAME=$* -fsanitize=fuzzer -o $@ $^ $(FL_LIBS)

programs: $(B)/fenceline $(UNIT) $(INTEGRATION) $(B)/sim/test_sim $(B)/contract/test_contract_sim \
          $(B)/contract/test_contract_real $(B)/faults/test_port_faults $(B)/faults/test_allocation_faults \
          $(B)/fuzz/test_fuzz $(B)/fuzz/test_differential $(B)/chaos/test_chaos $(B)/chaos/test_checker \
          $(PAGES) $(ALIASES) $(COMPLETIONS)

.SECONDARY:
-include $(OBJECTS:.o=.d) $(MANUAL:.o=.d) $(patsubst %.c,$(B)/%.d,$(wildcard tests/unit/*.c tests/integration/*.c tests/lib/*.c tests/sim/*.c tests/contract/*.c tests/faults/*.c tests/fuzz/*.c \
                                                             tests/chaos/*.c tests/browser/*.c tools/manual/*.c))

# ---- trying ----

setup: ## install what is missing from Debian's packages
	@tools/setup run

run: setup ## the whole demonstration: servers, import, refusal, race, rows
	@$(MAKE) --no-print-directory $(PARALLEL) all
	@tools/run-demo build/release/fenceline

stop: ## end the servers of `make run`
	@tools/servers stop .run

# ---- testing ----

# One program in three builds: as released but with fail points (for many runs), with sanitizers, for threads.
TEST_BUILDS = $(MAKE) --no-print-directory $(PARALLEL) VARIANT=test programs && \
    $(MAKE) --no-print-directory $(PARALLEL) VARIANT=debug build/debug/fenceline build/debug/sim/test_sim \
        build/debug/faults/test_port_faults && \
    $(MAKE) --no-print-directory $(PARALLEL) VARIANT=tsan build/tsan/fenceline

# These take longest, and should not begin when all others have ended.
LONG := $(patsubst %,build/test/integration/test_%,worker_faults bad_servers queue_faults race bad_input http lost_replies)

check: ## all tests, as CI runs them; ends with "N passed, N failed"
	@tools/setup check
	@$(MAKE) --no-print-directory layers fmt-check
	@$(TEST_BUILDS)
	@tests/run -j $$((2 * $(shell nproc))) $(LONG) build/test/chaos/test_* $(filter-out $(LONG),$(INTEGRATION:$(B)/%=build/test/%)) \
	    build/test/sim/test_sim build/debug/sim/test_sim build/test/contract/test_* \
	    build/test/faults/test_* build/debug/faults/test_port_faults build/test/fuzz/test_* tests/model/test_model \
	    tests/manual/test_manual tests/manual/test_install \
	    build/test/unit/test_*

unit: ## unit tests alone, without servers
	@$(MAKE) --no-print-directory $(PARALLEL) VARIANT=test unit-programs
	@tests/run build/test/unit/test_*

.PHONY: unit-programs
unit-programs: $(UNIT)

integration: ## integration tests on real servers that they start themselves
	@$(TEST_BUILDS)
	@tests/run -j $$((2 * $(shell nproc))) build/test/integration/test_*

browser: all build/release/browser/test_browser ## the status page in a real Chromium; screenshots go to build/browser
	@if command -v chromium >/dev/null; then build/release/browser/test_browser build/browser; \
	    else echo "SKIPPED: the status page in a browser needs the Debian package chromium"; fi

SEED ?= 1
N    ?= 20000
sim: build/release/sim/sim ## N seeds of the simulator from SEED on; MUTANT=NAME leaves a guard out, REPLAY=FAULTS tells one
	@build/release/sim/sim --seed $(SEED) --count $(N) $(if $(MUTANT),--mutant $(MUTANT)) $(if $(REPLAY),--replay $(REPLAY))

MINUTES ?= 2
chaos: all build/release/chaos/test_chaos ## real processes under seeded faults for MINUTES, from SEED on; MUTANT=NAME as in sim
	@MUTANT=$(MUTANT) build/release/chaos/test_chaos $(SEED) $$(($(MINUTES) * 60)) $(if $(V),verbose)

TIME     ?= 60
FUZZ_DIR ?= build/fuzz
FUZZ_CC  ?= clang
fuzz: ## fuzz each target for TIME seconds, or only TARGET=name; findings go to build/fuzz/found
	@command -v $(FUZZ_CC) >/dev/null || { \
	    echo "make fuzz needs $(FUZZ_CC) with libFuzzer: install the Debian package clang, or run tools/setup check" >&2; exit 1; }
	@$(MAKE) --no-print-directory $(PARALLEL) VARIANT=fuzz B=$(FUZZ_DIR) CC=$(FUZZ_CC) \
	    $(foreach name,$(or $(TARGET),$(FUZZ_NAMES)),$(FUZZ_DIR)/fuzz/fuzz_$(name))
	@tests/fuzz/run $(FUZZ_DIR) $(TIME) $(or $(TARGET),$(FUZZ_NAMES))

fuzz-diff: all ## N generated files from SEED on, as our readers of SubRip and WebVTT and those of Debian packages read them
	@tools/setup check
	@tests/fuzz/differential.py build/release/fenceline $(SEED) $(N)

model: ## search the models of the protocol with Spin, with every guard and without each: minutes
	@tools/setup check
	@tests/model/run

asan ubsan tsan: ## all tests under one sanitizer
	@$(MAKE) --no-print-directory $(PARALLEL) VARIANT=$@ programs
	@ASAN_OPTIONS=detect_leaks=1 tests/run build/$@/unit/test_* build/$@/integration/test_*

coverage: ## line coverage of the tests, as a figure
	@rm -rf build/coverage && $(MAKE) --no-print-directory $(PARALLEL) VARIANT=coverage programs
	@tests/run build/coverage/unit/test_* build/coverage/integration/test_*
	@lcov --quiet --capture --directory build/coverage/src --output-file build/coverage/all.info
	@lcov --summary build/coverage/all.info 2>&1 | grep -E 'lines|functions'

bench: all ## imports and jobs per second beside the ceiling of pgbench, and the latency, in one run
	@tests/bench/run build/release/fenceline

bench-large: all ## one large transcript, and replaces of one row: loop turns, memory, WAL, CPU, bloat
	@tests/bench/large build/release/fenceline

bench-smoke: all ## does the benchmark work? A few jobs of each kind, no figure is judged
	@tests/bench/smoke build/release/fenceline

bench-peers: all ## the same imports through six job queues of Ruby, Python and Node too; installs them; results in docs/bench
	@tests/bench/peers/run build/release/fenceline docs/bench docs/PERFORMANCE.md

bench-peers-smoke: all ## does that work? A few jobs through each, no figure is kept
	@tests/bench/peers/smoke build/release/fenceline

fmt: ## lay the C files out by .clang-format
	@clang-format -i $(shell git ls-files '*.c' '*.h')

fmt-check: ## is everything laid out?
	@clang-format --dry-run --Werror $(shell git ls-files '*.c' '*.h')

tidy: $(GENERATED) ## clang-tidy
	@clang-tidy --quiet $(SOURCES) -- -std=c11 $(FL_CPPFLAGS)

layers: ## does every file include only what its ring may see?
	@tools/layers

# ---- installing ----

SHARED := config/fenceline.conf config/roles.sql config/redis.acl packaging/grafana-dashboard.json \
          packaging/prometheus-alerts.yml

install: all ## into PREFIX (default /usr/local), DESTDIR respected
	install -D -m 755 $(B)/fenceline $(DESTDIR)$(BINDIR)/fenceline
	test -e $(DESTDIR)$(SYSCONFDIR)/fenceline/fenceline.conf || \
	    install -D -m 640 config/fenceline.conf $(DESTDIR)$(SYSCONFDIR)/fenceline/fenceline.conf
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/fenceline $(SHARED)
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man1 $(filter %.1,$(PAGES)) $(ALIASES)/*.1
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man5 $(filter %.5,$(PAGES))
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man7 $(filter %.7,$(PAGES))
	install -D -m 644 $(B)/completion/fenceline.bash $(DESTDIR)$(BASHDIR)/fenceline
	install -D -m 644 $(B)/completion/fenceline.zsh $(DESTDIR)$(ZSHDIR)/_fenceline
	install -D -m 644 $(B)/completion/fenceline.fish $(DESTDIR)$(FISHDIR)/fenceline.fish

# Folders go that were made for it, if nothing else is in them.
uninstall: ## all of it, but a configuration that was changed
	rm -f $(DESTDIR)$(BINDIR)/fenceline
	rm -f $(addprefix $(DESTDIR)$(DATADIR)/fenceline/,$(notdir $(SHARED)))
	rm -f $(DESTDIR)$(MANDIR)/man[157]/fenceline[.-]*[157]
	rm -f $(DESTDIR)$(BASHDIR)/fenceline $(DESTDIR)$(ZSHDIR)/_fenceline $(DESTDIR)$(FISHDIR)/fenceline.fish
	! cmp -s config/fenceline.conf $(DESTDIR)$(SYSCONFDIR)/fenceline/fenceline.conf || \
	    rm -f $(DESTDIR)$(SYSCONFDIR)/fenceline/fenceline.conf
	for folder in $(DATADIR)/fenceline $(SYSCONFDIR)/fenceline $(BASHDIR) $(dir $(BASHDIR)) $(ZSHDIR) $(dir $(ZSHDIR)) \
	    $(FISHDIR) $(dir $(FISHDIR)) $(MANDIR)/man1 $(MANDIR)/man5 $(MANDIR)/man7; do \
	    rmdir $(DESTDIR)$$folder 2>/dev/null || true; done

dist: ## a source archive of HEAD
	git archive --prefix=fenceline-$(VERSION)/ -o fenceline-$(VERSION).tar.gz HEAD

clean: ## remove build/
	rm -rf build
