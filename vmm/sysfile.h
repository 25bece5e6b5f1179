/* sysfile.h - what the kernel says in small files of procfs and sysfs (layer 0). */
#ifndef LKVM_VMM_SYSFILE_H
#define LKVM_VMM_SYSFILE_H

#include "vmm/base.h"

/* The text of the file at @path, as far as it fits into @size bytes with its NUL; "" for none. */
void sysfile_read(const char *path, char *buf, size_t size);

#endif
