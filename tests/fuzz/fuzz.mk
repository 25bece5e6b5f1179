# fuzz.mk - the fuzz targets, with libFuzzer: each tests/fuzz/fuzz_NAME.c is one.
#
#	make fuzz			every target for FUZZ_SECONDS, corpora kept in build/fuzz/
#	make fuzz FUZZ=kernel		this one
#	make check-fuzz			all seeds and some seconds each, as CI does

FB := build/$(ARCH)-fuzz
FUZZ ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
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

$(FB)/arch/x86/acpi.o: $(DSDT).inc

$(FUZZ_BINS): $(FB)/%: $(FB)/tests/fuzz/%.o $(FUZZ_OBJS)
	$(call say,LD,$@)
	$(Q)$(CLANG) -fsanitize=fuzzer,$(FUZZ_SAN) -pthread -o $@ $^ $(LIB_LIBS)

$(B)/tests/fuzz/seed_%: $(B)/tests/fuzz/seed_%.o
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^

-include $(FUZZ_OBJS:.o=.d) $(FUZZ:%=$(FB)/tests/fuzz/fuzz_%.d)

.PHONY: fuzz check-fuzz
fuzz: $(FUZZ_BINS) $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/seed_*.c))
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run $(FUZZ)

check-fuzz: $(FUZZ_BINS) $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/seed_*.c))
	$(Q)FUZZ_TARGETS="$(FUZZ)" FUZZ_SECONDS=5 $(SUITE) 'fuzz targets' tests/fuzz/run
