# The DSDT: ASL with the numbers of the C headers in it, compiled, as the bytes of an initialiser.
DSDT := $(B)/gen/arch/x86/dsdt

$(DSDT).asl: arch/x86/dsdt.asl arch/x86/layout.h devices/acpi_pm.h
	$(call say,CPP,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -undef -x assembler-with-cpp -I. -o $@ $<

$(DSDT).aml: $(DSDT).asl
	$(call say,IASL,$<)
	$(Q)$(IASL) -we -p $(DSDT) $< >$(DSDT).log 2>&1 || { cat $(DSDT).log >&2; exit 1; }

$(DSDT).inc: $(DSDT).aml
	$(Q)od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g' >$@

$(B)/arch/x86/acpi.o build/x86-fuzz/arch/x86/acpi.o: $(DSDT).inc
