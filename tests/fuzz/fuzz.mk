# fuzz.mk - the fuzz targets, with libFuzzer: each tests/fuzz/fuzz_NAME.c is one, and those of
# the architecture's folder.
#
#	make fuzz			every target for FUZZ_SECONDS, corpora kept in build/fuzz/
#	make fuzz FUZZ=kernel		this one
#	make check-fuzz			all seeds and some seconds each, as CI does

FB := build/$(ARCH)-fuzz
FUZZ_SRCS := $(if $(filter $(HOST_ARCH),$(ARCH)),$(wildcard tests/fuzz/fuzz_*.c)) $(wildcard tests/fuzz/$(ARCH)/fuzz_*.c)
FUZZ ?= $(patsubst fuzz_%.c,%,$(notdir $(FUZZ_SRCS)))
SEED_BINS := $(patsubst %.c,$(B)/tests/fuzz/%,$(notdir $(wildcard tests/fuzz/seed_*.c tests/fuzz/$(ARCH)/seed_*.c)))
FUZZ_BINS := $(FUZZ:%=$(FB)/fuzz_%)
FUZZ_OBJS := $(LIB_SRCS:%.c=$(FB)/%.o)
FUZZ_SAN := address,undefined
FUZZ_CFLAGS := $(filter-out -O2 $(SANFLAGS),$(ALL_CFLAGS)) -O1 -g -fno-sanitize-recover=all \
	-Wno-missing-prototypes -Itests

.PRECIOUS: $(FB)/%.o
$(FB)/%.o: %.c
	$(call say,CLANG,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,$(FUZZ_SAN) -MMD -MP -c -o $@ $<

define link_fuzz
	$(call say,LD,$@)
	$(Q)$(CLANG) -fsanitize=fuzzer,$(FUZZ_SAN) -pthread -o $@ $^ $(LIB_LIBS)
endef
$(FB)/fuzz_%: $(FB)/tests/fuzz/fuzz_%.o $(FUZZ_OBJS)
	$(link_fuzz)
$(FB)/fuzz_%: $(FB)/tests/fuzz/$(ARCH)/fuzz_%.o $(FUZZ_OBJS)
	$(link_fuzz)

$(B)/tests/fuzz/seed_%: $(B)/tests/fuzz/seed_%.o
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^
$(B)/tests/fuzz/seed_%: $(B)/tests/fuzz/$(ARCH)/seed_%.o
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^

-include $(FUZZ_OBJS:.o=.d) $(FUZZ_SRCS:%.c=$(FB)/%.d)

.PHONY: fuzz check-fuzz
fuzz: $(FUZZ_BINS) $(SEED_BINS)
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run $(FUZZ)

check-fuzz: $(FUZZ_BINS) $(SEED_BINS)
	$(Q)FUZZ_TARGETS="$(FUZZ)" FUZZ_SECONDS=5 $(SUITE) 'fuzz targets, $(ARCH)' tests/fuzz/run
