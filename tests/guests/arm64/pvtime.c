/*
 * pvtime.c - asks for the stolen time (Arm DEN0057) and looks at its record: revision and
 * attributes are 0. Verdict 1: something else; 2: there is none.
 */
#include "guest.h"

#define NOT_SUPPORTED (~0ull)

void guest_main(void)
{
	u64 record;

	if (firmware_call(PV_TIME_FEATURES, PV_TIME_ST, 0, 0)) {
		put_str("pvtime: none\n");
		verdict(2);
	}
	record = firmware_call(PV_TIME_ST, 0, 0, 0);
	if (record == NOT_SUPPORTED)
		verdict(1);
	put_str("pvtime: record at 0x");
	put_hex(record);
	put_str(", stolen ");
	put_dec(mmio_read64(record + 8));
	put_str(" ns\n");
	verdict(mmio_read64(record) ? 1 : 0);
}
