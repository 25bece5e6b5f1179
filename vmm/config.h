/* config.h - the config of a VM, once validated (layer 4). */
#ifndef LKVM_VMM_CONFIG_H
#define LKVM_VMM_CONFIG_H

#include "vmm/base.h"
#include "vmm/err.h"

/* The name a machine gets that was given none. */
void config_default_name(struct lkvm_config *cfg);

#endif
