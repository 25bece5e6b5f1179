/*
 * firmware.h - firmware that a machine starts with instead of a kernel (x86-64): OVMF and others
 * that end at 4 GiB, with their variables in a flash memory below, and fw_cfg to ask about the
 * rest.
 */
#ifndef LKVM_ARCH_X86_FIRMWARE_H
#define LKVM_ARCH_X86_FIRMWARE_H

#include "vmm/machine.h"

/* What of @cfg can be judged without files: LKVM_ERR_INPUT. */
int x86_firmware_check(const struct lkvm_config *cfg, struct lkvm_error *err);

/*
 * arch_add_memory()'s part: the firmware ends at 4 GiB and (flash) what is below it. Sizes are
 * checked: LKVM_ERR_INPUT. Without --firmware nothing happens. Called between RAM below and above.
 */
int x86_firmware_add_memory(struct machine *m, struct lkvm_error *err);

/*
 * arch_load()'s part when the machine has firmware: its code into memory, what fw_cfg says (ACPI
 * tables, e820, number of CPUs; kernel, initrd and command line where there are). Registers of the
 * vCPUs stay as KVM has them after reset, which is the reset vector.
 */
int x86_firmware_load(struct machine *m, struct lkvm_error *err);

/* What fw_cfg says of any machine that has it: RAM, number of CPUs. */
int x86_fw_cfg_machine(struct machine *m, struct lkvm_error *err);

#endif
