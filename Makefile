# lkvm - one Makefile, no recursion into directories: the tree is the build.
#
#   make                 ./lkvm, liblkvm.a, liblkvm.so
#   make demo            boot a stock Debian kernel to a command in the guest
#   make check           every test; check-fast, check-kvm, check-bed are its parts
#   make bench           figures, as ratios against a peer in the same run
#   make fuzz            the fuzz targets, FUZZ_SECONDS each (60)
#   make deps            install the Debian packages all of this needs
#   make install         PREFIX=/usr/local DESTDIR=
#
#   ARCH=x86             guest architecture (default: that of the host)
#   CROSS_COMPILE=...-   prefix of the tools: ARCH's programs are built for ARCH (without it, its
#                        library for tests on this host); its libraries are Debian's, see SYSROOT
#   SAN=address,undefined  an instrumented build, under build/ARCH-SAN/
#   V=1                  show commands
#   WERROR=1             warnings are errors, as in CI

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# ---- which architecture ------------------------------------------------------------------

KNOWN_ARCHS := $(notdir $(patsubst %/,%,$(wildcard arch/*/)))
HOST_ARCH := $(patsubst loongarch64,loongarch,$(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m))))
ARCH ?= $(HOST_ARCH)
ifeq ($(filter $(ARCH),$(KNOWN_ARCHS)),)
$(error ARCH=$(ARCH) is not a guest architecture of this tree; there is: $(KNOWN_ARCHS))
endif

# ---- tools and flags -----------------------------------------------------------------------

CC := $(CROSS_COMPILE)gcc
LD := $(CROSS_COMPILE)ld
AR := $(CROSS_COMPILE)ar
OBJCOPY := $(CROSS_COMPILE)objcopy
STRIP := $(CROSS_COMPILE)strip
CLANG ?= clang
IASL ?= iasl
PROVE ?= prove
FUZZ_SECONDS ?= 60

# Programs of this host for guests it cannot run
FOR_TESTS := $(if $(CROSS_COMPILE)$(filter $(HOST_ARCH),$(ARCH)),,1)

# Programs for another machine are linked with Debian's libraries for it, which are fetched.
ifneq ($(CROSS_COMPILE),)
FETCHED_SYSROOT := $(or $(LKVM_CACHE),build/cache)/$(patsubst loongarch,loong64,$(patsubst x86,amd64,$(ARCH)))/sysroot
SYSROOT ?= $(FETCHED_SYSROOT)
TRIPLET := $(notdir $(CROSS_COMPILE:%-=%))
SYS_CFLAGS := -isystem $(SYSROOT)/usr/include -isystem $(SYSROOT)/usr/include/$(TRIPLET)
SYS_LDFLAGS := -L$(SYSROOT)/usr/lib/$(TRIPLET) -Wl,-rpath-link,$(SYSROOT)/usr/lib/$(TRIPLET)
endif

comma := ,
B := build/$(ARCH)$(CROSS_COMPILE:%-=-%)$(if $(SAN),-$(subst $(comma),-,$(SAN)))
# The products of a plain build are where people look for them; a variant keeps its own.
O := $(if $(SAN)$(CROSS_COMPILE)$(filter-out $(HOST_ARCH),$(ARCH)),$(B)/)

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wpointer-arith \
	-Wundef -Wformat=2 $(if $(WERROR),-Werror)
CFLAGS ?= -O2 -g
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Iinclude -I. -I$(B)/gen $(CPPFLAGS) \
	$(SYS_CFLAGS) -fPIC -fvisibility=hidden -pthread $(WARN) $(CFLAGS) $(SANFLAGS)
ALL_LDFLAGS = -pthread $(SYS_LDFLAGS) $(LDFLAGS) $(SANFLAGS)
LIB_LIBS = -lelf -luring -lslirp -lz -lzstd $(ARCH_LIBS)
CLI_LIBS := -ljansson

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)')

# ---- sources -------------------------------------------------------------------------------

VERSION := $(shell sed -n 's/^.define LKVM_VERSION_\(MAJOR\|MINOR\|PATCH\) //p' include/lkvm.h | paste -sd.)
# Before 1.0 a minor version may change structs of the API, so it is part of the name.
SONAME := liblkvm.so.$(subst $() ,.,$(wordlist 1,2,$(subst ., ,$(VERSION))))

CLI_SRCS := $(wildcard vmm/main.c vmm/cmd_*.c vmm/cli_*.c)
LIB_SRCS := $(filter-out $(CLI_SRCS),$(wildcard vmm/*.c devices/*.c arch/$(ARCH)/*.c))
LIB_OBJS := $(LIB_SRCS:%.c=$(B)/%.o)
CLI_OBJS := $(CLI_SRCS:%.c=$(B)/%.o)

.PHONY: all
all: $(O)lkvm $(O)liblkvm.a $(O)liblkvm.so
ifeq ($(FOR_TESTS)$(filter all,$(or $(MAKECMDGOALS),all)),1all)
	@echo '$(B)/ is for tests on this host only: a lkvm for $(ARCH) hosts takes CROSS_COMPILE='
endif

ifneq ($(CROSS_COMPILE),)
$(FETCHED_SYSROOT):
	$(Q)tests/bed/fetch -s $(ARCH)
$(B)/flags: | $(SYSROOT)
endif

# What is built depends on how it is built: on the compiler, its flags and the list of sources.
.PHONY: FORCE
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LIB_SRCS) $(CLI_SRCS)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

.PRECIOUS: $(B)/%.o
$(B)/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

# One object in which only the public names are visible: an embedder's own bus_add() is safe.
$(B)/liblkvm.o: $(LIB_OBJS) $(B)/flags
	$(call say,LD,$@)
	$(Q)$(LD) -r -o $@ $(LIB_OBJS)
	$(Q)$(OBJCOPY) --localize-hidden $@

$(O)liblkvm.a: $(B)/liblkvm.o
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $<

$(O)$(SONAME): $(LIB_OBJS) $(B)/flags vmm/liblkvm.map
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=vmm/liblkvm.map \
		$(if $(SAN),,-Wl$(comma)-z$(comma)defs) -o $@ $(LIB_OBJS) $(LIB_LIBS)

$(O)liblkvm.so: $(O)$(SONAME)
	$(Q)ln -sf $(<F) $@

$(O)lkvm: $(CLI_OBJS) $(O)liblkvm.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--gc-sections -Wl,-z,relro,-z,now -o $@ $^ $(LIB_LIBS) $(CLI_LIBS)

-include arch/$(ARCH)/build.mk
-include tests/tests.mk
-include $(LIB_OBJS:.o=.d) $(CLI_OBJS:.o=.d)

# ---- installing ----------------------------------------------------------------------------

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
COMPDIR ?= $(PREFIX)/share/bash-completion/completions

$(B)/lkvm.pc: docs/lkvm.pc.in include/lkvm.h FORCE
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' -e 's|@REQUIRES@|$(ARCH_LIBS:-l%= lib%)|' $< > $@

ifneq ($(and $(FOR_TESTS),$(filter install,$(MAKECMDGOALS))),)
$(error ARCH=$(ARCH) without CROSS_COMPILE is for tests on this host only: nothing to install)
endif

.PHONY: install
install: all $(B)/lkvm.pc
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) \
		$(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(COMPDIR)
	install -m 755 $(O)lkvm $(DESTDIR)$(BINDIR)/lkvm
	install -m 644 $(O)liblkvm.a $(DESTDIR)$(LIBDIR)/liblkvm.a
	install -m 755 $(O)$(SONAME) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/liblkvm.so
	install -m 644 $(B)/lkvm.pc $(DESTDIR)$(LIBDIR)/pkgconfig/lkvm.pc
	install -m 644 include/lkvm.h $(DESTDIR)$(INCLUDEDIR)/lkvm.h
	install -m 644 lkvm.1 $(DESTDIR)$(MANDIR)/man1/lkvm.1
	install -m 644 docs/lkvm.bash-completion $(DESTDIR)$(COMPDIR)/lkvm

# ---- what a fresh machine needs ------------------------------------------------------------

# libelf, liburing, libslirp, zlib, libzstd, libfdt (arm64), jansson: the program. acpica-tools: iasl.
# The rest: tests, beds and demo, with what other guest architectures are tested by.
DEPS := gcc make libc6-dev libelf-dev liburing-dev libslirp-dev zlib1g-dev libzstd-dev libfdt-dev \
	libjansson-dev acpica-tools \
	libcmocka-dev perl e2fsprogs clang libclang-rt-dev qemu-system-x86 cpio xz-utils zstd lz4 mtools openssl \
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross device-tree-compiler

.PHONY: deps
deps:
	$(Q)tests/deps $(DEPS)

.PHONY: clean
clean:
	rm -rf build lkvm liblkvm.a liblkvm.so liblkvm.so.*
