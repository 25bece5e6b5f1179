# guests.mk - building the freestanding guests: one .c here is one guest, NAME.elf, which
# has a twin NAME.pvh.elf that asks to be entered by PVH.
#
# They are built apart from everything else: no libc, no SSE, never instrumented.

GUEST_DIR := tests/guests/$(ARCH)
GUESTS := $(filter-out lib,$(patsubst $(GUEST_DIR)/%.c,%,$(wildcard $(GUEST_DIR)/*.c)))
GUEST_BINS := $(GUESTS:%=$(TB)/guests/%.elf) $(GUESTS:%=$(TB)/guests/%.pvh.elf)
# In the style of kvm-unit-tests, each kut/NAME.c of them: a Multiboot image, kut/NAME.flat; and one
# of 32-bit code that is loaded below 1 MiB.
KUT_COMMON := $(addprefix $(TB)/guests/,kut/kut.o start.o ap.o lib.o)
KUT_BINS := $(patsubst $(GUEST_DIR)/%.c,$(TB)/guests/%.flat,$(filter-out %/kut.c,$(wildcard $(GUEST_DIR)/kut/*.c)))
GUEST_BINS += $(KUT_BINS) $(TB)/guests/kut/low.flat
# The least that is firmware, from the reset vector on.
GUEST_BINS += $(TB)/guests/firmware.fd
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

$(TB)/guests/kut/%.flat: $(TB)/guests/kut/mb.o $(TB)/guests/kut/%.o $(KUT_COMMON) $(GUEST_DIR)/guest.lds
	$(call say,LD,$@)
	$(Q)$(LD) $(GUEST_LDFLAGS) -e mb_start -T $(GUEST_DIR)/guest.lds -o $@.64 $(filter %.o,$^)
	$(Q)$(OBJCOPY) -O elf32-i386 $@.64 $@
	$(Q)rm $@.64

$(TB)/guests/kut/low.flat: $(GUEST_DIR)/kut/low.S $(GUEST_DIR)/guests.mk
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -c -o $(@:.flat=.o) $<
	$(Q)$(LD) -m elf_i386 -nostdlib -z noexecstack --build-id=none -Ttext=0x8000 -o $@ $(@:.flat=.o)

$(TB)/guests/firmware.fd: $(GUEST_DIR)/firmware.S $(GUEST_DIR)/guests.mk
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -c -o $(@:.fd=.fd.o) $<
	$(Q)$(LD) -m elf_i386 -nostdlib -z noexecstack --build-id=none -Ttext=0xffff0000 -e 0xfffffff0 \
		--oformat binary -o $@ $(@:.fd=.fd.o)

-include $(wildcard $(TB)/guests/*.d $(TB)/guests/kut/*.d)
