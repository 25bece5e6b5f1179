# guests.mk - building the freestanding guests: one .c here is one guest, NAME.elf, at the start of
# RAM. Some have twins: NAME.image, an arm64 Image, and NAME.flat, a file without any header that
# runs 512 KiB into RAM, as test kernels made for kvmtool do.
#
# They are built apart from everything else: no libc, no FP registers, never instrumented; always for
# arm64, also where the program around them is built for the host.

GUEST_DIR := tests/guests/$(ARCH)
GUEST_COMMON_NAMES := lib fdt gic
GUESTS := $(filter-out $(GUEST_COMMON_NAMES),$(patsubst $(GUEST_DIR)/%.c,%,$(wildcard $(GUEST_DIR)/*.c)))
GUEST_FLAT := hello smp
GUEST_IMAGES := hello mem
GUEST_BINS := $(GUESTS:%=$(TB)/guests/%.elf) $(GUEST_FLAT:%=$(TB)/guests/%.flat) \
	$(GUEST_IMAGES:%=$(TB)/guests/%.image)
GUEST_COMMON := $(addprefix $(TB)/guests/,start.o $(GUEST_COMMON_NAMES:%=%.o))

GUEST_TOOLS := $(or $(CROSS_COMPILE),$(if $(filter-out arm64,$(HOST_ARCH)),aarch64-linux-gnu-))
GUEST_CFLAGS := -std=gnu11 -O2 -ffreestanding -fno-pic -mgeneral-regs-only -mstrict-align \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns \
	-mno-outline-atomics -I. -Iinclude $(WARN)
GUEST_LDFLAGS := -nostdlib -static -z noexecstack -z max-page-size=4096 --build-id=none \
	-T $(GUEST_DIR)/guest.lds
GUEST_AT_RAM := --defsym LOAD_ADDR=0x80000000
GUEST_AT_FLAT := --defsym LOAD_ADDR=0x80080000

$(TB)/guests/%.o: $(GUEST_DIR)/%.c $(GUEST_DIR)/guests.mk
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(GUEST_TOOLS)gcc $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(TB)/guests/%.o: $(GUEST_DIR)/%.S $(GUEST_DIR)/guests.mk
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(GUEST_TOOLS)gcc $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(TB)/guests/%.elf: $(TB)/guests/%.o $(GUEST_COMMON) $(GUEST_DIR)/guest.lds
	$(call say,LD,$@)
	$(Q)$(GUEST_TOOLS)ld $(GUEST_LDFLAGS) $(GUEST_AT_RAM) -o $@ $(filter %.o,$^)

$(TB)/guests/%.flat: $(TB)/guests/%.o $(GUEST_COMMON) $(GUEST_DIR)/guest.lds
	$(call say,LD,$@)
	$(Q)$(GUEST_TOOLS)ld $(GUEST_LDFLAGS) $(GUEST_AT_FLAT) -o $@.linked $(filter %.o,$^)
	$(Q)$(GUEST_TOOLS)objcopy -O binary $@.linked $@

$(TB)/guests/%.image: $(TB)/guests/%.o $(TB)/guests/image.o $(GUEST_COMMON) $(GUEST_DIR)/guest.lds
	$(call say,LD,$@)
	$(Q)$(GUEST_TOOLS)ld $(GUEST_LDFLAGS) $(GUEST_AT_RAM) -o $@.linked $(filter %.o,$^)
	$(Q)$(GUEST_TOOLS)objcopy -O binary $@.linked $@

-include $(wildcard $(TB)/guests/*.d)
