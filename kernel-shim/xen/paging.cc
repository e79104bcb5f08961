/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * paging.cc - the paging operations, and who waits for a page
 *
 *      vcpu                                     pager
 *        a number, a slot in the ring
 *        POPULATE: out, paged -> in
 *        event; sleeps until it is answered       next_event
 *                                                 prep: frame, content, then the entry
 *        goes on, looks again                     respond: RESUME, the vcpu wakes
 *
 * O1. What an operation may do and does is paging_rule()'s word; what is added here is what a table
 *     cannot say: references, memory, content, the count of paged entries.
 * O2. The count changes while the entry is its updater's alone.
 * O3. An event follows its change of the entry; its slot was claimed before.
 * O4. p2m_paging lives while paging_users is not 0.
 */
#include <kshim/fault.h>
#include <kshim/mmu.h>
#include <kshim/mutant.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "paging_internal.h"

/* How long somebody who is no vcpu waits for the pager. */
constexpr unsigned long FOREIGN_WAIT = HZ;
/* ... until he asks again when the ring was full. */
constexpr unsigned long FOREIGN_RETRY = HZ / 1000;

/* ---- an operation on an entry ---- */

struct operation {
	struct p2m *p2m;
	enum paging_op op;
	struct page *fresh; /* PAGING_PREP: a frame with the content */
	unsigned int state; /* as it was found */
};

/* The table says that the entry stays as it is, and that this is right. */
constexpr int UNCHANGED = 1;

static unsigned int state_of(u64 entry)
{
	const enum p2m_type type = entry_type(entry);

	return type == p2m_ram_paging_in && entry_page(entry) ? PAGING_IN_WITH_FRAME
							      : (unsigned int)type;
}

static enum p2m_type type_of(const struct p2m *p2m, unsigned int state)
{
	if (state == PAGING_IN_WITH_FRAME)
		return p2m_ram_paging_in;
	return state == p2m_ram_rw ? p2m_rw_type(p2m) : (enum p2m_type)state;
}

static bool has_frame(unsigned int state)
{
	return state == PAGING_IN_WITH_FRAME ||
	       p2m_is((enum p2m_type)state, P2M_PAGEABLE | p2m_type_mask(p2m_ram_paging_out));
}

static int judge_operation(u64 old, struct p2m_target *target, void *arg)
{
	auto *o = static_cast<struct operation *>(arg);
	struct paging_rule rule;

	o->state = state_of(old);
	rule = paging_rule(o->op, o->state);
	if (rule.err)
		return rule.err;
	if (rule.next == o->state)
		return UNCHANGED;
	/* A frame of the guest's own allocator is not the pager's. */
	if (o->op == PAGING_NOMINATE && !(old & P2M_OWNED))
		return -EBUSY;
	target->type = type_of(o->p2m, rule.next);
	target->alone = o->op == PAGING_NOMINATE || o->op == PAGING_EVICT;
	target->page = nullptr;
	if (has_frame(rule.next))
		target->page = has_frame(o->state) ? entry_page(old) : o->fresh;
	target->owned = target->page;
	return 0;
}

static bool is_on_disk(unsigned int state)
{
	return state == p2m_ram_paged || state == p2m_ram_paging_in;
}

/* O2. */
static void count_paged(struct p2m *p2m, unsigned int before, enum p2m_type type,
			const struct page *page)
{
	const bool after = p2m_is(type, P2M_PAGING) && !page;

	if (after != is_on_disk(before))
		atomic_long_add(after ? 1 : -1, &p2m->paged);
}

/* Nominate and evict: nobody has a reference to the frame but the p2m. */
static bool is_unused(const struct p2m_update *u)
{
	return page_ref_count(entry_page(u->old)) == 1;
}

/* 0 or UNCHANGED, else the table's error or that of p2m_begin(). @u: what was done. */
static int operate(struct operation *o, gfn_t gfn, enum p2m_wait wait, struct p2m_update *u)
{
	int err = p2m_begin(o->p2m, gfn, judge_operation, o, wait, 0, u);

	if (err)
		return err;
	if (u->target.alone && !is_unused(u)) {
		p2m_abort(u);
		return -EBUSY;
	}
	if (!KSHIM_MUTANT(paging_count_early) || o->op != PAGING_EVICT)
		count_paged(o->p2m, o->state, u->target.type, u->target.page);
	p2m_commit(u);
	return 0;
}

static int operate_simply(struct p2m *p2m, gfn_t gfn, enum paging_op op)
{
	struct operation o = {.p2m = p2m, .op = op, .fresh = nullptr, .state = 0};
	struct p2m_update u;
	const int err = operate(&o, gfn, P2M_REVOKE, &u);

	return err == UNCHANGED ? 0 : err;
}

/* ---- the paging of a p2m, for as long as somebody is in here ---- */

class paging_user
{
public:
	explicit paging_user(struct p2m *p2m) : p2m_(p2m)
	{
		/* Fully ordered; pairs with the exchange in p2m_paging_disable(). */
		atomic_fetch_add(1, &p2m->paging_users);
		paging_ = READ_ONCE(p2m->paging);
	}
	~paging_user()
	{
		if (atomic_dec_and_test(&p2m_->paging_users))
			wake_up_all(&p2m_->paging_wq);
	}
	paging_user(const paging_user &) = delete;
	paging_user &operator=(const paging_user &) = delete;

	struct p2m_paging *get() const { return paging_; }

private:
	struct p2m *p2m_;
	struct p2m_paging *paging_;
};

static bool is_closed(struct p2m_paging *paging)
{
	guard(spinlock)(&paging->ring.lock);
	return paging->ring.closed;
}

/* The entry may be there again. */
static void wake_entry_waiters(struct p2m *p2m)
{
	paging_user user(p2m);

	if (user.get())
		wake_up_all(&user.get()->entry_wq);
}

/* ---- for the pager ---- */

int p2m_paging_nominate(struct p2m *p2m, gfn_t gfn)
{
	const int err = operate_simply(p2m, gfn, PAGING_NOMINATE);

	return err == -EAGAIN ? -EBUSY : err;
}

int p2m_paging_evict(struct p2m *p2m, gfn_t gfn)
{
	struct operation o = {.p2m = p2m, .op = PAGING_EVICT, .fresh = nullptr, .state = 0};
	struct p2m_update u;
	struct page *page;
	int err;

	/* Mutant: Xen counts, and then looks whether the entry changed. */
	if (KSHIM_MUTANT(paging_count_early))
		atomic_long_add(1, &p2m->paged);
	err = operate(&o, gfn, P2M_REVOKE, &u);
	if (err)
		return err == -EAGAIN ? -EBUSY : err;
	/* Nothing maps it and nobody has it: the host's again, and the allocator's. */
	page = entry_page(u.old);
	mmu_page_discard(page);
	put_page(page);
	return 0;
}

static int copy_in(struct page *page, const void *buffer)
{
	/* A step to the explorer: who has the frame too early sees it before or after. */
	kshim_point(KSHIM_RMW, page_address(page), PAGE_SIZE, __ATOMIC_RELAXED);
	return kshim_probe_read(page_address(page), buffer, PAGE_SIZE);
}

int p2m_paging_prep(struct p2m *p2m, gfn_t gfn, const void *buffer)
{
	struct operation o = {.p2m = p2m,
			      .op = buffer ? PAGING_PREP : PAGING_PREP_EMPTY,
			      .fresh = nullptr,
			      .state = 0};
	struct p2m_update u;
	int err = 0;

	if (buffer) {
		o.fresh = alloc_page(GFP_KERNEL | __GFP_NOWARN);
		if (!o.fresh)
			return -ENOMEM;
		/* G5. Mutant: the entry first, as before 26a5c829c8. */
		if (!KSHIM_MUTANT(paging_copy_late))
			err = copy_in(o.fresh, buffer);
	}
	if (!err)
		err = operate(&o, gfn, P2M_REVOKE, &u);
	if (!err && buffer && KSHIM_MUTANT(paging_copy_late))
		err = copy_in(o.fresh, buffer);
	/* Not needed where the frame was never gone. */
	if (o.fresh && (err || has_frame(o.state)))
		put_page(o.fresh);
	if (!err)
		wake_entry_waiters(p2m);
	return err;
}

int p2m_paging_break(struct p2m *p2m, gfn_t gfn)
{
	const int err = operate_simply(p2m, gfn, PAGING_BREAK);

	wake_entry_waiters(p2m);
	return err;
}

void p2m_paging_cancel(struct p2m *p2m, gfn_t gfn)
{
	/* As if somebody had wanted it, and then there was nothing to load. */
	if (!operate_simply(p2m, gfn, PAGING_POPULATE_FOREIGN))
		(void)operate_simply(p2m, gfn, PAGING_PREP_EMPTY);
	wake_entry_waiters(p2m);
}

/* ---- events ---- */

constexpr u32 NO_VCPU = ~0u;

static vm_event_request_t make_request(gfn_t gfn, u32 vcpu, unsigned int state, u32 flags)
{
	vm_event_request_t request = {};

	request.version = VM_EVENT_INTERFACE_VERSION;
	request.reason = VM_EVENT_REASON_MEM_PAGING;
	request.flags = vcpu == NO_VCPU ? 0 : VM_EVENT_FLAG_VCPU_PAUSED;
	request.vcpu_id = vcpu;
	request.u.mem_paging.gfn = gfn.val;
	request.u.mem_paging.p2mt = p2m_ram_paging_in;
	request.u.mem_paging.flags = flags | (has_frame(state) ? MEM_PAGING_EVICT_FAIL : 0);
	return request;
}

static u32 try_take_vcpu(struct p2m_paging *paging)
{
	guard(spinlock)(&paging->ring.lock);
	for (u32 i = 0; i < paging->nr_vcpus; i++) {
		if (!paging->vcpus[i].used) {
			paging->vcpus[i].used = true;
			return i;
		}
	}
	return NO_VCPU;
}

static u32 take_vcpu(struct p2m_paging *paging)
{
	u32 vcpu;

	wait_event(paging->vcpu_wq, (vcpu = try_take_vcpu(paging)) != NO_VCPU);
	return vcpu;
}

static void put_vcpu(struct p2m_paging *paging, u32 vcpu)
{
	scoped_guard (spinlock, &paging->ring.lock)
		paging->vcpus[vcpu].used = false;
	wake_up_all(&paging->vcpu_wq);
}

/* Asks and waits for the answer. 0: look again; -ENOENT: nobody pages any more. */
static int ask_and_wait(struct p2m_paging *paging, gfn_t gfn, u32 vcpu)
{
	struct operation o = {
		.p2m = paging->p2m, .op = PAGING_POPULATE, .fresh = nullptr, .state = 0};
	vm_event_request_t request;
	struct p2m_update u;
	int err;

	if (vm_event_claim(&paging->ring, true))
		return -ENOENT;
	err = operate(&o, gfn, P2M_REVOKE, &u);
	if (err && err != UNCHANGED) {
		/* It is back, or held for too long. */
		vm_event_cancel(&paging->ring);
		return err == -EINVAL || err == -ENOMEM ? err : 0;
	}
	WRITE_ONCE(paging->vcpus[vcpu].waiting, 1u);
	request = make_request(gfn, vcpu, o.state, 0);
	vm_event_put(&paging->ring, &request);
	wait_event(paging->vcpu_wq, !READ_ONCE(paging->vcpus[vcpu].waiting) || is_closed(paging));
	return READ_ONCE(paging->vcpus[vcpu].waiting) ? -ENOENT : 0;
}

int p2m_paging_populate(struct p2m *p2m, gfn_t gfn)
{
	struct operation o = {
		.p2m = p2m, .op = PAGING_POPULATE_FOREIGN, .fresh = nullptr, .state = 0};
	vm_event_request_t request;
	struct p2m_update u;
	paging_user user(p2m);
	int err;

	if (!user.get())
		return -ENODEV;
	err = vm_event_claim(&user.get()->ring, false);
	if (err)
		return err == -EBUSY ? -EAGAIN : err;
	err = operate(&o, gfn, P2M_REVOKE, &u);
	if (err) {
		vm_event_cancel(&user.get()->ring);
		return err;
	}
	request = make_request(gfn, NO_VCPU, o.state, 0);
	vm_event_put(&user.get()->ring, &request);
	return 0;
}

static bool is_back(struct p2m *p2m, gfn_t gfn)
{
	return !p2m_is(p2m_peek_type(p2m, gfn), P2M_PAGING);
}

static int page_in_foreign(struct p2m_paging *paging, gfn_t gfn)
{
	const unsigned long end = jiffies + FOREIGN_WAIT;
	struct p2m *p2m = paging->p2m;

	while (time_before(jiffies, end)) {
		const int err = p2m_paging_populate(p2m, gfn);

		if (err && err != -EAGAIN && err != -ENOENT)
			return err;
		if (wait_event_timeout(paging->entry_wq, is_back(p2m, gfn) || is_closed(paging),
				       err == -EAGAIN ? FOREIGN_RETRY : FOREIGN_WAIT))
			return is_back(p2m, gfn) ? 0 : -ENOENT;
	}
	return -EAGAIN;
}

int p2m_page_in(struct p2m *p2m, gfn_t gfn, bool guest)
{
	paging_user user(p2m);
	u32 vcpu;
	int err;

	if (!user.get())
		return -ENOENT;
	if (!guest)
		return page_in_foreign(user.get(), gfn);
	vcpu = take_vcpu(user.get());
	err = ask_and_wait(user.get(), gfn, vcpu);
	put_vcpu(user.get(), vcpu);
	return err;
}

int p2m_paging_drop(struct p2m *p2m, gfn_t gfn, enum p2m_wait wait)
{
	struct operation o = {.p2m = p2m, .op = PAGING_DROP, .fresh = nullptr, .state = 0};
	struct p2m_update u;
	paging_user user(p2m);
	/* The one operation that needs no ring. */
	const bool ring = user.get() && !vm_event_claim(&user.get()->ring, true);
	int err = operate(&o, gfn, wait, &u);

	if (err) {
		if (ring)
			vm_event_cancel(&user.get()->ring);
		return err;
	}
	if (entry_page(u.old))
		put_page(entry_page(u.old));
	if (user.get())
		wake_up_all(&user.get()->entry_wq);
	if (ring) {
		const vm_event_request_t request =
			make_request(gfn, NO_VCPU, o.state, MEM_PAGING_DROP_PAGE);

		vm_event_put(&user.get()->ring, &request);
		vm_event_wait_room(&user.get()->ring);
	}
	return 0;
}

bool p2m_paging_next_event(struct p2m *p2m, struct paging_event *event)
{
	vm_event_request_t request;
	paging_user user(p2m);

	if (!user.get() || !vm_event_get(&user.get()->ring, &request))
		return false;
	*event = {.gfn = _gfn(request.u.mem_paging.gfn),
		  .vcpu = request.vcpu_id,
		  .paused = !!(request.flags & VM_EVENT_FLAG_VCPU_PAUSED),
		  .drop = !!(request.u.mem_paging.flags & MEM_PAGING_DROP_PAGE),
		  .evict_fail = !!(request.u.mem_paging.flags & MEM_PAGING_EVICT_FAIL)};
	return true;
}

/* What Xen does when the pager says that there are responses. */
static void take_responses(struct p2m_paging *paging)
{
	vm_event_response_t response;

	while (vm_event_get_response(&paging->ring, &response)) {
		if (response.reason != VM_EVENT_REASON_MEM_PAGING)
			continue;
		if (!(response.u.mem_paging.flags & MEM_PAGING_DROP_PAGE))
			(void)operate_simply(paging->p2m, _gfn(response.u.mem_paging.gfn),
					     PAGING_RESUME);
		wake_up_all(&paging->entry_wq);
		if (response.flags & VM_EVENT_FLAG_VCPU_PAUSED &&
		    response.vcpu_id < paging->nr_vcpus) {
			WRITE_ONCE(paging->vcpus[response.vcpu_id].waiting, 0u);
			wake_up_all(&paging->vcpu_wq);
		}
	}
}

void p2m_paging_respond(struct p2m *p2m, const struct paging_event *event)
{
	vm_event_response_t response = {};
	paging_user user(p2m);

	if (!user.get())
		return;
	response.version = VM_EVENT_INTERFACE_VERSION;
	response.reason = VM_EVENT_REASON_MEM_PAGING;
	response.flags = event->paused ? VM_EVENT_FLAG_VCPU_PAUSED : 0;
	response.vcpu_id = event->vcpu;
	response.u.mem_paging.gfn = event->gfn.val;
	response.u.mem_paging.flags = event->drop ? MEM_PAGING_DROP_PAGE : 0;
	vm_event_respond(&user.get()->ring, &response);
	take_responses(user.get());
}

static bool has_work(struct vm_event *ve, u32 seen)
{
	guard(spinlock)(&ve->lock);
	return ve->closed || ve->wakeups != seen || RING_HAS_UNCONSUMED_REQUESTS(&ve->back);
}

void p2m_paging_wait_event(struct p2m *p2m, unsigned long timeout)
{
	paging_user user(p2m);
	struct vm_event *ve;
	u32 seen;

	if (!user.get())
		return;
	ve = &user.get()->ring;
	scoped_guard (spinlock, &ve->lock) {
		seen = ve->wakeups_seen;
		ve->wakeups_seen = ve->wakeups;
	}
	(void)wait_event_timeout(ve->pager_wq, has_work(ve, seen) || kthread_should_stop(),
				 (long)timeout);
}

void p2m_paging_wake(struct p2m *p2m)
{
	paging_user user(p2m);

	if (!user.get())
		return;
	scoped_guard (spinlock, &user.get()->ring.lock)
		user.get()->ring.wakeups++;
	wake_up_all(&user.get()->ring.pager_wq);
}

/* ---- on and off ---- */

int p2m_paging_enable(struct p2m *p2m, const struct p2m_paging_config *config)
{
	struct p2m_paging *paging;
	int err = -ENOMEM;

	paging = static_cast<struct p2m_paging *>(
		kzalloc(sizeof(*paging) + config->nr_vcpus * sizeof(paging->vcpus[0]), GFP_KERNEL));
	if (!paging)
		return -ENOMEM;
	paging->p2m = p2m;
	paging->nr_vcpus = config->nr_vcpus;
	init_waitqueue_head(&paging->vcpu_wq);
	init_waitqueue_head(&paging->entry_wq);
	err = vm_event_init(&paging->ring, config->nr_slots);
	if (err)
		goto free_paging;
	err = -EBUSY;
	if (!cmpxchg(&p2m->paging, nullptr, paging))
		return 0;
	vm_event_destroy(&paging->ring);
free_paging:
	kfree(paging);
	return err;
}

void p2m_paging_disable(struct p2m *p2m)
{
	struct p2m_paging *paging = xchg(&p2m->paging, nullptr);

	if (!paging)
		return;
	vm_event_close(&paging->ring);
	wake_up_all(&paging->vcpu_wq);
	wake_up_all(&paging->entry_wq);
	/* O4; pairs with paging_user. */
	wait_event(p2m->paging_wq, !atomic_read(&p2m->paging_users));
	vm_event_destroy(&paging->ring);
	kfree(paging);
}
