# The DSDT: ASL with the numbers of the C headers in it, compiled, as the bytes of an initialiser.
# dsdt_fw is the one of machines with firmware.
DSDT := $(B)/gen/arch/x86/dsdt

$(DSDT).asl: arch/x86/dsdt.asl arch/x86/layout.h devices/acpi_pm.h
	$(call say,CPP,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -undef -x assembler-with-cpp -I. -o $@ $<

$(DSDT)_fw.asl: arch/x86/dsdt.asl arch/x86/layout.h devices/acpi_pm.h
	$(call say,CPP,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -undef -DX86_FIRMWARE -x assembler-with-cpp -I. -o $@ $<

$(DSDT).aml $(DSDT)_fw.aml: %.aml: %.asl
	$(call say,IASL,$<)
	$(Q)$(IASL) -we -p $* $< >$*.log 2>&1 || { cat $*.log >&2; exit 1; }

$(DSDT).inc $(DSDT)_fw.inc: %.inc: %.aml
	$(Q)od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g' >$@

$(B)/arch/x86/acpi.o build/x86-fuzz/arch/x86/acpi.o: $(DSDT).inc $(DSDT)_fw.inc
