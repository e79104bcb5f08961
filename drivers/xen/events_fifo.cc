/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events_fifo.cc - FIFO event channels, the guest's side; see events_fifo.h
 */
#include <asm/sync_bitops.h>
#include <asm/xen/hypercall.h>
#include <kshim/mutant.h>
#include <kshim/xen.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>

#include "xen/events_fifo.h"

constexpr u32 PENDING = 1u << EVTCHN_FIFO_PENDING;
constexpr u32 MASKED = 1u << EVTCHN_FIFO_MASKED;
constexpr u32 LINKED = 1u << EVTCHN_FIFO_LINKED;
constexpr u32 BUSY = 1u << EVTCHN_FIFO_BUSY;

event_word_t *events_fifo_word(struct events_fifo *f, evtchn_port_t port)
{
	return READ_ONCE(f->pages[port / EVENT_WORDS_PER_PAGE]) + port % EVENT_WORDS_PER_PAGE;
}

static int init_control(struct events_fifo *f, unsigned int cpu)
{
	struct evtchn_fifo_control_block *block = f->cpus[cpu].block;
	struct evtchn_init_control op = {
		.control_gfn = xen_frame_number(virt_to_page(block)), .offset = 0, .vcpu = cpu};

	f->cpus[cpu] = {.block = block, .ready = 0, .head = {}};
	return HYPERVISOR_event_channel_op(f->domain, EVTCHNOP_init_control, &op);
}

int events_fifo_init(struct events_fifo *f, struct xen_domain *domain)
{
	f->domain = domain;
	mutex_init(&f->lock);
	for (f->nr_cpus = 0; f->nr_cpus < xen_nr_vcpus(domain); f->nr_cpus++) {
		unsigned long addr = get_zeroed_page(GFP_KERNEL);
		int err = addr ? 0 : -ENOMEM;

		f->cpus[f->nr_cpus].block = (struct evtchn_fifo_control_block *)addr;
		if (!err)
			err = init_control(f, f->nr_cpus);
		if (err) {
			if (addr)
				free_page(addr);
			events_fifo_exit(f);
			return err;
		}
	}
	return 0;
}

void events_fifo_exit(struct events_fifo *f)
{
	for (u32 i = 0; i < f->nr_words / EVENT_WORDS_PER_PAGE; i++)
		free_page((unsigned long)f->pages[i]);
	f->nr_words = 0;
	while (f->nr_cpus)
		free_page((unsigned long)f->cpus[--f->nr_cpus].block);
}

static int add_page(struct events_fifo *f, event_word_t *words)
{
	struct evtchn_expand_array op = {.array_gfn = xen_frame_number(virt_to_page(words))};

	/* I2. */
	for (unsigned int i = 0; i < EVENT_WORDS_PER_PAGE; i++)
		words[i] = MASKED;
	return HYPERVISOR_event_channel_op(f->domain, EVTCHNOP_expand_array, &op);
}

int events_fifo_resume(struct events_fifo *f)
{
	int err = 0;

	for (unsigned int cpu = 0; cpu < f->nr_cpus && !err; cpu++) {
		*f->cpus[cpu].block = {};
		err = init_control(f, cpu);
	}
	for (u32 i = 0; i < f->nr_words / EVENT_WORDS_PER_PAGE && !err; i++)
		err = add_page(f, f->pages[i]);
	return err;
}

static int expand_locked(struct events_fifo *f) __must_hold(f->lock);

static int expand_locked(struct events_fifo *f)
{
	auto *words = (event_word_t *)get_zeroed_page(GFP_KERNEL);
	int err;

	if (!words)
		return -ENOMEM;
	/*
	 * Before the hypercall: it raises what was missed, and a cpu may be at that word at once.
	 */
	WRITE_ONCE(f->pages[f->nr_words / EVENT_WORDS_PER_PAGE], words);
	err = add_page(f, words);
	if (err) {
		free_page((unsigned long)words);
		return err;
	}
	WRITE_ONCE(f->nr_words, f->nr_words + EVENT_WORDS_PER_PAGE);
	return 0;
}

int events_fifo_expand(struct events_fifo *f, evtchn_port_t port)
{
	if (port >= EVTCHN_FIFO_NR_CHANNELS)
		return -EINVAL;
	guard(mutex)(&f->lock);
	while (port >= f->nr_words) {
		int err = expand_locked(f);

		if (err)
			return err;
	}
	return 0;
}

bool events_fifo_mask(struct events_fifo *f, evtchn_port_t port)
{
	return sync_test_and_set_bit(EVTCHN_FIFO_MASKED, events_fifo_word(f, port));
}

static void unmask_by_xen(struct events_fifo *f, evtchn_port_t port)
{
	struct evtchn_unmask op = {.port = port};

	WARN_ON_ONCE(HYPERVISOR_event_channel_op(f->domain, EVTCHNOP_unmask, &op) != 0);
}

/* Clears MASKED unless PENDING is set. False: it is. */
static bool unmask_here(event_word_t *word)
{
	event_word_t seen = READ_ONCE(*word);

	while (!(seen & PENDING)) {
		if (seen & BUSY) {
			/* The hypervisor is at this word, for a few steps. */
			cpu_relax();
			seen = READ_ONCE(*word);
		} else if (try_cmpxchg(word, &seen, seen & ~MASKED)) {
			return true;
		}
	}
	return false;
}

void events_fifo_unmask(struct events_fifo *f, evtchn_port_t port)
{
	event_word_t *word = events_fifo_word(f, port);

	/*
	 * Mutant (before Linux f01337197419): unmasked here, and by the hypervisor once more if it
	 * is pending: in between it was delivered and masked anew.
	 */
	if (KSHIM_MUTANT(evtchn_unmasks_twice)) {
		sync_clear_bit(EVTCHN_FIFO_MASKED, word);
		if (READ_ONCE(*word) & PENDING)
			unmask_by_xen(f, port);
		return;
	}
	if (!unmask_here(word))
		unmask_by_xen(f, port);
}

/* The LINK; cleared with LINKED in one step: whoever appends sees both or none. */
static u32 unlink(event_word_t *word)
{
	event_word_t seen = READ_ONCE(*word);

	/* Mutant: LINK is read, then cleared: what was appended in between is lost. */
	if (KSHIM_MUTANT(evtchn_unlinks_in_two)) {
		(void)sync_fetch_and(~(LINKED | EVTCHN_FIFO_LINK_MASK), word);
		return seen & EVTCHN_FIFO_LINK_MASK;
	}
	while (!try_cmpxchg(word, &seen, seen & ~(LINKED | EVTCHN_FIFO_LINK_MASK)))
		;
	return seen & EVTCHN_FIFO_LINK_MASK;
}

bool events_fifo_turn(struct events_fifo *f, unsigned int cpu, evtchn_port_t *port)
{
	struct fifo_cpu *c = &f->cpus[cpu];
	unsigned int q;
	u32 head;

	*port = 0;
	/* A full barrier between READY and HEAD: the hypervisor wrote HEAD first. */
	if (READ_ONCE(c->block->ready))
		c->ready |= xchg(&c->block->ready, 0u);
	if (!c->ready)
		return false;
	q = (unsigned int)__builtin_ctz(c->ready);
	head = c->head[q] ? c->head[q] : READ_ONCE(c->block->head[q]);
	c->head[q] = unlink(events_fifo_word(f, head));
	if (!c->head[q])
		c->ready &= ~(1u << q);
	*port = head;
	return true;
}

bool events_fifo_take(struct events_fifo *f, evtchn_port_t port)
{
	event_word_t *word = events_fifo_word(f, port);
	event_word_t seen = READ_ONCE(*word);

	while ((seen & (PENDING | MASKED)) == PENDING) {
		if (try_cmpxchg(word, &seen, seen & ~PENDING))
			return true;
	}
	return false;
}
