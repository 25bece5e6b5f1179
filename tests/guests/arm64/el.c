/* el.c - at which exception level it was started: verdict 1 or 2, and with VHE or without. */
#include "guest.h"

void guest_main(void)
{
	put_str("el: EL");
	put_dec(current_el());
	if (current_el() == 2)
		put_str(has_vhe() ? ", VHE" : ", no VHE");
	put_str(boot.psci_by_smc ? ", PSCI by SMC" : ", PSCI by HVC");
	put_str(", version 0x");
	put_hex(firmware_call(PSCI_VERSION, 0, 0, 0));
	put_char('\n');
	verdict(current_el());
}
