#include "vmm/panic_scan.h"

static const char *const panic_texts[N_PANIC_TEXTS] = {
	[PANIC_LINE] = "Kernel panic - not syncing",
	[PANIC_END] = "---[ end Kernel panic",
};

static void open_stamp(struct panic_scan *scan, bool need_dot)
{
	scan->state = SCAN_STAMP;
	scan->need_dot = need_dot;
}

static void scan_head(struct panic_scan *scan, char c)
{
	if (c == ' ')
		return;
	scan->state = SCAN_REST;
	if (c == '<')
		scan->state = SCAN_LEVEL;
	if (c == '[')
		open_stamp(scan, false);
	for (u8 i = 0; i < N_PANIC_TEXTS; i++) {
		if (c == panic_texts[i][0]) {
			scan->state = SCAN_TEXT;
			scan->text = i;
			scan->pos = 1;
		}
	}
}

/* It goes to logs and terminals, and comes from the guest: nothing but text may pass. */
static void keep_reason(struct panic_scan *scan, char c)
{
	bool separator = !scan->n_reason && (c == ':' || c == ' ');

	if (!separator && scan->n_reason < PANIC_REASON_MAX - 1)
		scan->reason[scan->n_reason++] = c >= ' ' && c <= '~' ? c : '?';
}

/* The enum panic_text that @c completes, or -1. */
static int scan_char(struct panic_scan *scan, char c)
{
	bool digit = c >= '0' && c <= '9';

	if (c == '\n' || c == '\r') {
		scan->in_reason = false;
		scan->state = SCAN_HEAD;
		return -1;
	}
	if (scan->in_reason)
		keep_reason(scan, c);
	switch (scan->state) {
	case SCAN_HEAD:
		scan_head(scan, c);
		return -1;
	case SCAN_LEVEL:
		if (digit)
			return -1;
		if (c == '>') {
			scan->state = SCAN_HEAD;
			return -1;
		}
		break;
	case SCAN_STAMP:
		if (c == ']') {
			scan->state = scan->need_dot ? SCAN_REST : SCAN_HEAD;
			return -1;
		}
		if (c == '.')
			scan->need_dot = false;
		if (digit || c == '.' || c == ' ' || c == 'T' || c == 'C')
			return -1;
		break;
	case SCAN_TEXT:
		if (c != panic_texts[scan->text][scan->pos])
			break;
		if (panic_texts[scan->text][++scan->pos])
			return -1;
		scan->state = SCAN_REST;
		scan->in_reason = scan->text == PANIC_LINE && !scan->seen;
		scan->seen |= scan->text == PANIC_LINE;
		return scan->text;
	case SCAN_REST:
		break;
	}
	/* Not what was hoped for: from here on only a time stamp can follow. */
	scan->state = SCAN_REST;
	if (c == '[')
		open_stamp(scan, true);
	return -1;
}

/* From the middle of a line on only its end and a time stamp matter. */
static size_t skip(const struct panic_scan *scan, const u8 *data, size_t len)
{
	size_t n = 0;

	if (scan->state != SCAN_REST || scan->in_reason)
		return 0;
	while (n < len && data[n] != '\n' && data[n] != '\r' && data[n] != '[')
		n++;
	return n;
}

u32 panic_scan(struct panic_scan *scan, const u8 *data, size_t len)
{
	u32 found = 0;

	for (size_t i = skip(scan, data, len); i < len; i += skip(scan, data + i, len - i)) {
		int text = scan_char(scan, (char)data[i++]);

		if (text >= 0)
			found |= (u32)BIT(text);
	}
	return found;
}
