# Device trees are written with libfdt.
ARCH_LIBS := -lfdt
