# tests.mk - building and running the tests (see docs/design.md, "Tests, in tiers").

TB := $(B)/tests

# ---- T0-T2: programs with cmocka, fakekvm and a way to make the host fail ------------------

FAKE_OBJS := $(patsubst %.c,$(B)/%.o,$(filter-out tests/fakekvm/default_backend.c,$(wildcard tests/fakekvm/*.c tests/fakekvm/$(ARCH)/*.c)))
FAULT_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard tests/faults.c))
# Calls of the library that tests/faults.c can make fail, by the linker's --wrap.
-include tests/faults.mk

# Those of an architecture are in its folder. What all have in common is tested once, as a build for
# the host: it is the same code.
SHARED_SRCS := $(if $(filter $(HOST_ARCH),$(ARCH)),$(wildcard tests/unit/test_*.c))
UNIT_SRCS := $(SHARED_SRCS) $(wildcard tests/unit/$(ARCH)/test_*.c)
UNIT_BINS := $(UNIT_SRCS:%.c=$(B)/%)
TEST_CFLAGS := -Itests -Itests/unit/$(ARCH) -Wno-missing-prototypes

$(B)/tests/%.o: EXTRA_CFLAGS = $(TEST_CFLAGS)

# Programs that are linked like those, but are for a real /dev/kvm.
T3_BINS := $(patsubst %.c,$(B)/%,$(wildcard tests/t3/$(ARCH)/test_*.c))
# Those of fakekvm that are for one as well, with the word "real".
RULES_BINS := $(TB)/unit/$(ARCH)/test_fakekvm $(TB)/unit/test_gmem_rules

$(sort $(UNIT_BINS) $(T3_BINS) $(RULES_BINS)): $(B)/%: $(B)/%.o $(FAKE_OBJS) $(FAULT_OBJS) $(LIB_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(FAULT_WRAP) -o $@ $^ $(LIB_LIBS) -lcmocka

# Programs that link the shared library alone, as an embedder's does: tests and the example.
EMBED_BINS := $(patsubst %.c,$(B)/%,$(wildcard tests/t3/test_*.c docs/examples/*.c))
$(EMBED_BINS): $(B)/%: %.c $(O)liblkvm.so
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< -L$(or $(O),.) -llkvm \
		-Wl,-rpath,$(CURDIR)/$(O) $(if $(findstring tests/,$<),-lcmocka)

# The command on a fake KVM: every exit status without a guest.
$(TB)/lkvm-fake: $(CLI_OBJS) $(filter-out %/kvm_linux.o,$(LIB_OBJS)) $(FAKE_OBJS) $(B)/tests/fakekvm/default_backend.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS) $(CLI_LIBS)

-include $(EMBED_BINS:=.d) $(UNIT_BINS:=.d) $(T3_BINS:=.d) $(FAKE_OBJS:.o=.d) $(FAULT_OBJS:.o=.d)

# ---- guests of our own -------------------------------------------------------------------

.PRECIOUS: $(TB)/guests/%.o
-include tests/guests/$(ARCH)/guests.mk

# ---- running -----------------------------------------------------------------------------

CLI_SCRIPTS := $(wildcard tests/cli/*.sh tests/cli/$(ARCH)/*.sh)
# What looks at the tree is run once, what looks at programs for each architecture.
ONCE_SCRIPTS := $(if $(filter $(HOST_ARCH),$(ARCH)),$(filter-out %/exports.sh %/library.sh,$(wildcard tests/layout/*.sh)) tests/abi/run.sh)
FAST_SCRIPTS := tests/layout/exports.sh tests/layout/library.sh $(CLI_SCRIPTS) $(ONCE_SCRIPTS)
KVM_SCRIPTS := $(wildcard tests/t3/*.sh tests/t3/$(ARCH)/*.sh) $(filter %/test_api,$(EMBED_BINS)) $(T3_BINS)
BED_SCRIPTS := $(wildcard tests/t4/*.sh tests/t4/$(ARCH)/*.sh)

# What the scripts find their programs by.
export LKVM := $(CURDIR)/$(O)lkvm
export LKVM_BUILD := $(CURDIR)/$(B)
export LKVM_ARCH := $(ARCH)
export CC
SUITE = PROVE="$(PROVE)" tests/suite

.PHONY: test-programs check check-fast check-unit check-kvm check-bed check-san demo
test-programs: all $(UNIT_BINS) $(EMBED_BINS) $(T3_BINS) $(TB)/lkvm-fake $(GUEST_BINS)

check-unit: test-programs
	$(Q)$(SUITE) 'T0-T2, $(ARCH)$(if $(SAN), ($(SAN)))' $(UNIT_BINS) $(if $(SAN),$(CLI_SCRIPTS),$(FAST_SCRIPTS))

check-san:
	$(Q)$(MAKE) --no-print-directory SAN=address,undefined check-unit

check-fast: check-unit $(if $(SAN),,check-san check-fuzz)

check-kvm: test-programs
	$(Q)$(SUITE) 'T3 (this host'"'"'s KVM)' $(KVM_SCRIPTS)

# Beds and demo run programs of the guest's architecture.
ifeq ($(CROSS_COMPILE)$(filter $(HOST_ARCH),$(ARCH)),)
CROSS_x86 := x86_64-linux-gnu-
CROSS_arm64 := aarch64-linux-gnu-
check-bed demo:
	$(Q)$(MAKE) --no-print-directory CROSS_COMPILE=$(or $(CROSS_$(ARCH)),$(error no cross compiler is known for $(ARCH))) $@
else
check-bed: all $(RULES_BINS) $(EMBED_BINS) $(T3_BINS) $(GUEST_BINS)
	$(Q)$(SUITE) 'T4 (stock kernels in the bed), $(ARCH)' $(BED_SCRIPTS)

demo:
	$(Q)tests/deps $(DEPS)
	$(Q)$(MAKE) --no-print-directory all $(TB)/guests/probe.elf
	$(Q)tests/demo
endif

# For each architecture, on any host: T0-T2, and T4 in its bed. T3 is this host's.
CHECK_ARCHS := x86 arm64
.PHONY: $(CHECK_ARCHS:%=check-fast-%) $(CHECK_ARCHS:%=check-bed-%)
$(CHECK_ARCHS:%=check-fast-%): check-fast-%:
	$(Q)$(MAKE) --no-print-directory ARCH=$* check-fast
$(CHECK_ARCHS:%=check-bed-%): check-bed-%:
	$(Q)$(MAKE) --no-print-directory ARCH=$* check-bed
CHECK_STEPS := $(CHECK_ARCHS:%=check-fast-%) check-kvm $(CHECK_ARCHS:%=check-bed-%)

# In this order also with -j: the cheap answers come first, and beds want the machine for themselves.
check:
	$(Q)tests/deps $(DEPS)
	$(Q)rm -f build/tally
	$(Q)# the kernel ABI is compared with the newest headers there are, downloaded once
	$(Q)export ABI_FETCH=$(if $(wildcard build/abi/headers),0,1); \
	ret=0; for t in $(CHECK_STEPS); do \
		$(MAKE) --no-print-directory $$t || ret=1; done; \
	tests/suite --total && exit $$ret

-include tests/bench/bench.mk
-include tests/fuzz/fuzz.mk
