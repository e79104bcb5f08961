/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * paging_table.cc - every paging operation on every state of an entry
 *
 * A row is an operation: what becomes of the states it is for, and the error on all others. The
 * operations themselves (paging.cc) look their entry up here; nothing else decides.
 */
#include <linux/errno.h>
#include <xen/paging.h>

constexpr unsigned int RW = p2m_ram_rw, LOGDIRTY = p2m_ram_logdirty, OUT = p2m_ram_paging_out,
		       PAGED = p2m_ram_paged, IN = p2m_ram_paging_in,
		       IN_FRAME = PAGING_IN_WITH_FRAME, NOTHING = p2m_invalid,
		       BROKEN = p2m_ram_broken;

/* From, to; the end has two equal zeroes, which no operation needs: rw never stays rw by one. */
struct step {
	unsigned int from, to;
};

struct row {
	const char *name;
	int otherwise; /* the result on states that are not listed, which stay */
	struct step steps[6];
	/* States that stay as they are with another result than `otherwise`. */
	struct {
		unsigned int state;
		int err;
	} stay[3];
};

static constexpr struct row ROWS[PAGING_OPS] = {
	{"nominate", -EBUSY, {{RW, OUT}, {LOGDIRTY, OUT}}, {}},
	{"evict", -EBUSY, {{OUT, PAGED}}, {}},
	/* A vcpu that comes later asks too, and is answered too. */
	{"populate", -ENOENT, {{OUT, IN_FRAME}, {PAGED, IN}, {IN, IN}, {IN_FRAME, IN_FRAME}}, {}},
	{"populate foreign", -ENOENT, {{OUT, IN_FRAME}, {PAGED, IN}}, {}},
	/* With a frame that was never evicted the buffer is not needed. */
	{"prep", -ENOENT, {{PAGED, RW}, {IN, RW}, {IN_FRAME, RW}}, {}},
	{"prep empty", -ENOENT, {{IN_FRAME, RW}}, {{PAGED, -EINVAL}, {IN, -EINVAL}}},
	{"resume", 0, {{IN_FRAME, RW}}, {}},
	{"drop",
	 -EINVAL,
	 {{OUT, NOTHING}, {PAGED, NOTHING}, {IN, NOTHING}, {IN_FRAME, NOTHING}},
	 {}},
	{"break", -ENOENT, {{PAGED, BROKEN}, {IN, BROKEN}}, {}},
};

struct paging_rule paging_rule(enum paging_op op, unsigned int state)
{
	const struct row *row = &ROWS[op];

	for (const auto &step : row->steps) {
		if (step.from == step.to && step.from == RW)
			break;
		if (step.from == state)
			return {.err = 0, .next = step.to};
	}
	for (const auto &stay : row->stay) {
		if (stay.err && stay.state == state)
			return {.err = stay.err, .next = state};
	}
	return {.err = row->otherwise, .next = state};
}

const char *paging_op_name(enum paging_op op)
{
	return ROWS[op].name;
}
