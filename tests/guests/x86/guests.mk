# guests.mk - building the freestanding guests: one .c here is one guest, NAME.elf, which
# has a twin NAME.pvh.elf that asks to be entered by PVH.
#
# They are built apart from everything else: no libc, no SSE, never instrumented.

GUEST_DIR := tests/guests/$(ARCH)
GUESTS := $(filter-out lib,$(patsubst $(GUEST_DIR)/%.c,%,$(wildcard $(GUEST_DIR)/*.c)))
GUEST_BINS := $(GUESTS:%=$(TB)/guests/%.elf) $(GUESTS:%=$(TB)/guests/%.pvh.elf)
GUEST_COMMON := $(addprefix $(TB)/guests/,start.o ap.o lib.o)

GUEST_CFLAGS := -std=gnu11 -O2 -ffreestanding -fno-pic -mgeneral-regs-only -mno-red-zone \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -I. -Iinclude $(WARN)
GUEST_LDFLAGS := -nostdlib -static -z noexecstack -z max-page-size=4096 --build-id=none

$(TB)/guests/%.o: $(GUEST_DIR)/%.c $(GUEST_DIR)/guests.mk
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(TB)/guests/%.o: $(GUEST_DIR)/%.S $(GUEST_DIR)/guests.mk
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(TB)/guests/%.pvh.elf: $(TB)/guests/%.o $(GUEST_COMMON) $(TB)/guests/pvh.o $(GUEST_DIR)/guest.lds
	$(call say,LD,$@)
	$(Q)$(LD) $(GUEST_LDFLAGS) -T $(GUEST_DIR)/guest.lds -o $@ $(filter %.o,$^)

$(TB)/guests/%.elf: $(TB)/guests/%.o $(GUEST_COMMON) $(GUEST_DIR)/guest.lds
	$(call say,LD,$@)
	$(Q)$(LD) $(GUEST_LDFLAGS) -T $(GUEST_DIR)/guest.lds -o $@ $(filter %.o,$^)

-include $(wildcard $(TB)/guests/*.d)
