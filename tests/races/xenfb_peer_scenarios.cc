// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each end of a virtual framebuffer against one that lies, at any step: fields of an event change
 * after they were checked, indexes make no sense, events come before anybody expects them.
 */
#include "xenfb_peers.h"
#include "xenfb_scenarios.h"

using namespace races;

namespace
{

/* ---- the back end, against a front end that lies ---- */

/* An honest event ... */
void put_and_notify(peer_front *f)
{
	const struct xenfb_out_private e = xenfb_out_update(0, 0, 1, 1);

	xenfb_out_put(f->page, 0, &e);
	xenfb_out_publish(f->page, 1);
	peer_front_notify(f);
}

/* ... in which one field changes after it was published. */
void rewrite_event(peer_front *f)
{
	union xenfb_out_event *e = &XENFB_OUT_RING_REF(f->page, 0);

	switch (kshim_choose(5, "the field that changes")) {
	case 0:
		WRITE_ONCE(e->type, (u8)XENFB_TYPE_RESIZE);
		break;
	case 1:
		WRITE_ONCE(e->update.x, (s32)WIDTH);
		break;
	case 2:
		WRITE_ONCE(e->update.y, (s32)0x80000000);
		break;
	case 3:
		WRITE_ONCE(e->update.width, 0x7fffffff);
		break;
	case 4:
		WRITE_ONCE(e->update.height, -1);
		break;
	}
}

void check_bounded(void *p)
{
	peer_front *f = peer_front_of(p);
	machine_scope bound(f->machine);
	struct xenfb_back_stats stats = back_stats(f);

	explore_expect(stats.events <= stats.notifications * XENFB_OUT_LEN,
		       "%llu events for %llu notifications", (unsigned long long)stats.events,
		       (unsigned long long)stats.notifications);
	/* Whatever was told: looking stays inside of the frame. */
	look(f->back);
}

/* Every event of the one that was put was taken in or refused. */
void check_one_event(void *p)
{
	peer_front *f = peer_front_of(p);

	check_bounded(p);
	machine_scope bound(f->machine);
	struct xenfb_back_stats stats = back_stats(f);

	explore_expect(stats.events == 1 && stats.rects + stats.resizes + stats.bad_events == 1,
		       "%llu events", (unsigned long long)stats.events);
}

void lie_about_out_prod(peer_front *f)
{
	static const u32 lies[] = {XENFB_OUT_LEN + 1, 0x7fffffff, 0x80000000, 0xffffffff};

	WRITE_ONCE(f->page->out_prod, lies[kshim_choose(4, "out_prod")]);
	peer_front_notify(f);
}

void lie_about_out_cons(peer_front *f)
{
	WRITE_ONCE(f->page->out_cons, 0x80000000u);
	peer_front_notify(f);
}

/* 51 events, each about a line of its own. */
void *full_ring_setup()
{
	peer_front *f = peer_front_of(peer_front_setup());
	machine_scope bound(f->machine);

	for (u32 i = 0; i < XENFB_OUT_LEN; i++) {
		const struct xenfb_out_private e = xenfb_out_update(0, i, 1, 1);

		xenfb_out_put(f->page, i, &e);
		*peer_pixel(f, i * LINE) = 1;
	}
	return f;
}

void publish_full_ring(peer_front *f)
{
	xenfb_out_publish(f->page, XENFB_OUT_LEN);
	peer_front_notify(f);
}

void look_beside(peer_front *f)
{
	look(f->back);
}

void check_full_ring(void *p)
{
	peer_front *f = peer_front_of(p);

	check_bounded(p);
	machine_scope bound(f->machine);
	struct xenfb_geometry g;

	explore_expect(f->rects == XENFB_OUT_LEN, "%u of the full ring's %u events were told",
		       f->rects, XENFB_OUT_LEN);
	explore_expect(f->events, "the ring was full, and its front end is not told of the room");
	auto *copy = static_cast<const char *>(xenfb_back_lock_copy(f->back, &g));

	for (u32 i = 0; i < XENFB_OUT_LEN; i++)
		explore_expect(copy[i * LINE] == 1, "lost update: line %u", i);
	xenfb_back_unlock_copy(f->back);
}

/* The ring is full before the back end has looked at anything. */
void *early_ring_setup()
{
	peer_front *f = peer_front_make();
	machine_scope bound(f->machine);

	peer_front_publish(f, XenbusStateInitialising);
	settle();
	f->back = xenfb_back_get(BACK_DIR, false);
	for (u32 i = 0; i < XENFB_OUT_LEN; i++) {
		const struct xenfb_out_private e = xenfb_out_update(0, i, 1, 1);

		xenfb_out_put(f->page, i, &e);
	}
	xenfb_out_publish(f->page, XENFB_OUT_LEN);
	hold_watch_thread(&f->held, XEN_DOM_BACK);
	return f;
}

void connect_back_end(peer_front *f)
{
	sees(f->back->dev, XenbusStateInitialised);
}

void check_told_of_room(void *p)
{
	peer_front *f = peer_front_of(p);

	explore_expect(f->page->out_cons == XENFB_OUT_LEN, "the events were not consumed");
	explore_expect(f->events, "the ring was full, and its front end is not told of the room");
}

/* ---- the front end, against a back end that lies ---- */

/* 50 events are in the ring, in lines that nobody draws into: there is room for one. */
template <bool honest>
void *nearly_full_setup()
{
	peer_back *b = peer_back_of(peer_back_setup<true>());
	machine_scope bound(b->machine);

	/* The first picture has come. */
	explore_expect(b->updates == 1, "%u updates", b->updates);
	b->drains = honest;
	guard(mutex)(&b->front->lock);
	for (u32 i = 0; i < XENFB_OUT_LEN - 1; i++) {
		const struct xenfb_out_private e = xenfb_out_update(0, 40, 1, 1);

		xenfb_out_put(b->page, b->front->out_prod++, &e);
	}
	xenfb_out_publish(b->page, b->front->out_prod);
	b->lines = 0;
	return b;
}

void draw_line(peer_back *b, u32 line)
{
	fb_damage_add(b->info, {0, line, 1, 1});
}

void send_two_lines(peer_back *b)
{
	draw_line(b, 1);
	draw_line(b, 30);
	xenfb_front_send(b->info);
}

/* Lies, and then goes on as if nothing had been. */
void lie_and_consume(peer_back *b)
{
	const u32 lies[] = {b->cons - 1, b->cons + XENFB_OUT_LEN + 9, b->cons + 0x80000000};

	WRITE_ONCE(b->page->out_cons, lies[kshim_choose(3, "out_cons")]);
	notify_remote_via_irq(b->irq);
	peer_back_consume(b);
	WRITE_ONCE(b->drains, true);
}

void check_both_lines(void *p)
{
	peer_back *b = peer_back_of(p);
	machine_scope bound(b->machine);

	/* What came while it did not drain by itself. */
	peer_back_consume(b);
	explore_expect((b->lines & (1u << 1)) && (b->lines & (1u << 30)),
		       "lost update: lines %#x were told", b->lines);
}

/* The back end connects as soon as the front end says Initialised, and says something at once. */
void connect_at_once(struct xenbus_watch *watch, const char *)
{
	peer_back *b = container_of(watch, peer_back, watch);
	const union xenfb_in_event e = {.refresh_period = {XENFB_TYPE_REFRESH_PERIOD, 10}};

	enum xenbus_state state = xenbus_read_driver_state(FRONT_DIR);

	/* Initialised is a short moment. */
	if (b->page || (state != XenbusStateInitialised && state != XenbusStateConnected))
		return;
	peer_back_attach(b);
	memcpy(&XENFB_IN_RING_REF(b->page, 0), &e, sizeof(e));
	smp_store_release(&b->page->in_prod, 1);
	notify_remote_via_irq(b->irq);
}

void *early_event_setup()
{
	peer_back *b = peer_back_make(true);
	machine_scope bound(b->machine);

	sees(b->front->dev, XenbusStateUnknown);
	b->watch.node = "/local/domain/1/device/vfb/7/state";
	b->watch.callback = connect_at_once;
	b->watch.domain = xen_domain(XEN_DOM_BACK);
	explore_expect(!register_xenbus_watch(&b->watch), "watch");
	hold_watch_thread(&b->held, XEN_DOM_FRONT);
	return b;
}

void connect_front_end(peer_back *b)
{
	sees(b->front->dev, XenbusStateInitWait);
}

void check_event_was_heard(void *p)
{
	peer_back *b = peer_back_of(p);

	explore_expect(b->page, "the front end does not say Initialised");
	explore_expect(b->page->in_cons == 1, "the first event was not heard");
}

void early_event_teardown(void *p)
{
	peer_back *b = peer_back_of(p);

	{
		machine_scope bound(b->machine);

		unregister_xenbus_watch(&b->watch);
	}
	peer_back_teardown(p);
}

/* Asks for another size, of a front end whose back end cannot be told. */
void ask_for_resize(peer_back *b)
{
	const struct xenfb_front_geometry half = {
		.width = WIDTH, .height = HEIGHT / 2, .depth = 32, .line_length = 0, .offset = 0};

	/* Refused; what counts is what the back end sees. */
	(void)xenfb_front_set_geometry(b->info, &half);
}

void send_a_line(peer_back *b)
{
	draw_line(b, 1);
	xenfb_front_send(b->info);
}

void check_no_resize(void *p)
{
	peer_back *b = peer_back_of(p);

	explore_expect(!b->resizes, "a RESIZE to a back end without feature-resize");
	explore_expect(b->lines & (1u << 1), "lost update: the line was not told");
}

explore_scenario scenario(const char *name, void *(*setup)(), std::vector<explore_task> tasks,
			  void (*check)(void *), void (*teardown)(void *))
{
	return {.name = name,
		.setup = setup,
		.tasks = std::move(tasks),
		.check = check,
		.teardown = teardown};
}

std::vector<race_scenario> hostile_front_ends()
{
	return {
		{.scenario = scenario("xenfb_rewritten_event", peer_front_setup,
				      {{"front end", in_machine<put_and_notify>},
				       {"rewriter", in_machine<rewrite_event>}},
				      check_one_event, peer_front_teardown),
		 .checks =
			 "an event that changes while it is looked at is one event, inside of the "
			 "screen",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = scenario("xenfb_hostile_indexes", peer_front_setup,
				      {{"liar", in_machine<lie_about_out_prod>},
				       {"liar 2", in_machine<lie_about_out_cons>}},
				      check_bounded, peer_front_teardown),
		 .checks = "indexes that make no sense cost bounded work",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_full_ring", full_ring_setup,
				      {{"front end", in_machine<publish_full_ring>},
				       {"viewer", in_machine<look_beside>}},
				      check_full_ring, peer_front_teardown),
		 .checks = "a full ring is legal, and its front end hears of the room",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_early_ring", early_ring_setup,
				      {{"back end", in_machine<connect_back_end>}},
				      check_told_of_room, peer_front_teardown),
		 .checks = "a front end that filled the ring before it was connected hears of the "
			   "room",
		 .seed = nullptr,
		 .bound = 1},
	};
}

std::vector<race_scenario> hostile_back_ends()
{
	return {
		{.scenario = scenario("xenfb_hostile_out_cons", nearly_full_setup<false>,
				      {{"sender", in_machine<send_two_lines>},
				       {"back end", in_machine<lie_and_consume>}},
				      check_both_lines, peer_back_teardown),
		 .checks = "an out_cons that makes no sense never lets an event be overwritten",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_early_event", early_event_setup,
				      {{"front end", in_machine<connect_front_end>}},
				      check_event_was_heard, early_event_teardown),
		 .checks = "an event of a back end that connects at once is heard",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_unasked_resize", peer_back_setup<false>,
				      {{"sender", in_machine<send_a_line>},
				       {"resizer", in_machine<ask_for_resize>}},
				      check_no_resize, peer_back_teardown),
		 .checks = "a back end without feature-resize sees no RESIZE",
		 .seed = nullptr,
		 .bound = 1},
	};
}

} // namespace

std::vector<race_scenario> races::xenfb_peer_scenarios()
{
	std::vector<race_scenario> all = hostile_front_ends();

	for (race_scenario &s : hostile_back_ends())
		all.push_back(std::move(s));
	return all;
}

std::vector<race_mutant> races::xenfb_peer_mutants()
{
	return {
		{.name = "xenfb_double_fetch",
		 .variant = nullptr,
		 .origin =
			 "an event's fields are read again after they were checked (CVE-2015-8550)",
		 .killer = "xenfb_rewritten_event",
		 .bound = 2,
		 .reason = "outside of the screen"},
		{.name = "xenfb_trusts_out_prod",
		 .variant = nullptr,
		 .origin = "the back end consumes up to out_prod, wherever that is",
		 .killer = "xenfb_hostile_indexes",
		 .bound = 1,
		 .reason = "endless loop"},
		{.name = "xenfb_rejects_full_ring",
		 .variant = nullptr,
		 .origin = "the first cure of the above: a full ring is taken for nonsense, too",
		 .killer = "xenfb_full_ring",
		 .bound = 1,
		 .reason = "0 of the full ring's 51 events"},
		{.name = "xenfb_bind_unlocked",
		 .variant = nullptr,
		 .origin = "the first event comes before the back end knows the page",
		 .killer = "xenfb_early_ring",
		 .bound = 1,
		 .reason = "the events were not consumed"},
		{.name = "xenfb_trusts_out_cons",
		 .variant = nullptr,
		 .origin = "xen-fbfront takes any out_cons but one for room",
		 .killer = "xenfb_hostile_out_cons",
		 .bound = 2,
		 .reason = "events in a ring of"},
		{.name = "xenfb_irq_late",
		 .variant = nullptr,
		 .origin = "xen-fbfront knows its irq after the state says Initialised",
		 .killer = "xenfb_early_event",
		 .bound = 1,
		 .reason = "the first event was not heard"},
		{.name = "xenfb_resize_unasked",
		 .variant = nullptr,
		 .origin = "xen-fbfront's set_par sends a RESIZE to a back end that cannot be "
			   "resized",
		 .killer = "xenfb_unasked_resize",
		 .bound = 2,
		 .reason = "without feature-resize"},
	};
}
