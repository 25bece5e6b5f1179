# bench.mk - the programs and targets of `make bench`; figures are printed, a missed goal is not an error.
#
#	make bench		all that this host can run
#	make bench-start	exec to first KVM_RUN against a bare program
#	make bench-exits	a port and an MMIO exit against a bare KVM_RUN loop
#	make bench-footprint	memory and size of the program
#	make bench-setup	set-up against the number of vCPUs, on fakekvm
#	make bench-virtq	a virtqueue per request, without KVM
#	make bench-devices	what idle virtio devices cost
#	make bench-boot		in the bed: exec to init against QEMU's microvm (arm64: its virt machine)
#	make bench-blk		in the bed: random reads against QEMU
#	make bench-net		in the bed: a TCP stream through a tap against QEMU
#	make bench-console	in the bed: bytes per exit of the virtio console and the UART
#
#	BENCH_PAIRS=9 BENCH_BED_PAIRS=9 BENCH_KERNEL=FILE BENCH_EXIT_LOOPS=1500
#
# With ARCH=arm64 on another machine it is start, exits and boot, all in the bed.

BENCH_BINS := $(addprefix $(TB)/bench/,bare stopwatch lkvm-trivial setup virtq exits.bin)
BENCHES_x86 := start exits footprint setup virtq devices boot blk net console
BENCHES_arm64 := start exits footprint setup virtq devices boot
BENCHES_foreign := start exits boot
BENCHES := $(BENCHES_$(if $(filter $(HOST_ARCH),$(ARCH)),$(ARCH),foreign))

$(TB)/bench/bare: $(B)/tests/bench/$(ARCH)/bare.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ARCH_LIBS)

# Static: it is copied into the bed.
$(TB)/bench/stopwatch: $(B)/tests/bench/stopwatch.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -static -o $@ $^

$(TB)/bench/lkvm-trivial: $(CLI_OBJS) $(LIB_OBJS) $(B)/tests/bench/$(ARCH)/trivial.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--wrap=arch_add_devices -o $@ $^ $(LIB_LIBS) $(CLI_LIBS)

$(TB)/bench/setup: $(B)/tests/bench/setup.o $(FAKE_OBJS) $(LIB_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS)

$(TB)/bench/virtq: $(B)/tests/bench/virtq.o $(LIB_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_LIBS)

# The guest of the exit benchmark: by hand, or one like those of tests/guests.
ifneq ($(wildcard tests/bench/$(ARCH)/exits.S),)
$(TB)/bench/exits.bin: tests/bench/$(ARCH)/exits.S tests/bench/$(ARCH)/exits.h
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -I. -c -o $(@:.bin=.o) $<
	$(Q)$(OBJCOPY) -O binary -j .text $(@:.bin=.o) $@
else
$(TB)/guests/exits.o: tests/bench/$(ARCH)/exits.c tests/bench/$(ARCH)/exits.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(GUEST_TOOLS)gcc $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(TB)/bench/exits.bin: $(TB)/guests/exits.image
	@mkdir -p $(@D)
	$(Q)cp $< $@
endif

.PHONY: bench $(BENCHES:%=bench-%)
ifeq ($(CROSS_COMPILE)$(filter $(HOST_ARCH),$(ARCH)),)
# The programs of another machine run in its bed (CROSS_*: tests.mk).
bench $(BENCHES:%=bench-%):
	$(Q)$(MAKE) --no-print-directory CROSS_COMPILE=$(CROSS_$(ARCH)) $@
else
$(BENCHES:%=bench-%): bench-%: all $(BENCH_BINS)
	$(Q)tests/bench/$*

# One after the other, also with -j: they would measure each other.
bench: all $(BENCH_BINS)
	$(Q)bash -c '. tests/bench/lib; host_line'
	$(Q)ret=0; for b in $(BENCHES); do tests/bench/$$b || ret=1; done; exit $$ret
endif

-include $(wildcard $(TB)/bench/*.d $(B)/tests/bench/$(ARCH)/*.d)
