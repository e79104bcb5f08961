// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ends of a virtual framebuffer that go away and come back: every look at the other end's state may
 * be late, and may be the second one at the same state.
 *
 * The oracle: when nobody has anything left to do both ends are connected, to each other.
 *
 * A task stands in for a watch thread (hold_watch_thread()), except in xenfb_closed: the buses scan
 * their directories at each write to the store, and the lock of the store makes every step of a
 * scan one that others depend on. A back end that is replaced under real scans is 2700 steps, of
 * which thousands of schedules differ in nothing but the order of scans.
 */
#include "xenfb_peers.h"
#include "xenfb_scenarios.h"

#include <linux/errno.h>
#include <linux/jiffies.h>

using namespace races;

namespace
{

constexpr char FRONT[] = "/local/domain/1/device/vfb/0";
constexpr char BACK[] = "/local/domain/0/backend/vfb/1/0";

/* ---- the toolstack takes the back end's device away and makes another of the same name ---- */

void *replaced_setup()
{
	auto *w = xenfb_world_of(xenfb_setup_at<20>());
	machine_scope bound(w->machine);

	xenfb_hold(w);
	return w;
}

struct xenbus_device *front_device(xenfb_world *w)
{
	return static_cast<xenfb_front *>(w->info->par)->dev;
}

/* What a watch thread does when the other end's watch has fired: it may fire once too often. */
void looks(struct xenbus_device *dev)
{
	sees(dev, xenbus_read_driver_state(dev->otherend));
}

/* As the bus has it: the driver lets the device go, and is given it with the new directory. */
void replace_back_end(xenfb_world *w)
{
	static const struct xenbus_device_id vfb = {"vfb"};
	struct xenbus_device *dev = w->back->dev;

	explore_expect(!xenbus_rm(XBT_NIL, BACK, "state"), "no back end");
	dev->driver->remove(dev);
	explore_expect(!xenbus_printf(XBT_NIL, BACK, "state", "%d", XenbusStateInitialising),
		       "no node");
	dev->drvdata = nullptr;
	dev->state = XenbusStateInitialising;
	explore_expect(!dev->driver->probe(dev, &vfb), "no driver");
	looks(dev);
}

void front_end_looks(xenfb_world *w)
{
	looks(front_device(w));
	looks(front_device(w));
}

/* Each end looks until neither says anything new. */
void look_until_quiet(xenfb_world *w)
{
	struct xenbus_device *front = front_device(w), *back = w->back->dev;
	enum xenbus_state front_was, back_was;
	int patience = 20;

	do {
		front_was = front->state;
		back_was = back->state;
		looks(front);
		looks(back);
		explore_expect(patience--,
			       "the ends go on and on: the front end is %s, the back "
			       "end %s",
			       xenbus_strstate(front->state), xenbus_strstate(back->state));
	} while (front->state != front_was || back->state != back_was);
}

void close_down(xenfb_world *)
{
	explore_expect(!xenbus_printf(XBT_NIL, BACK, "state", "%d", XenbusStateClosing), "no node");
}

void check_closed(void *p)
{
	machine_scope bound(xenfb_world_of(p)->machine);
	enum xenbus_state front = xenbus_read_driver_state(FRONT);
	enum xenbus_state back = xenbus_read_driver_state(BACK);

	explore_expect(front == XenbusStateClosed && back == XenbusStateClosed,
		       "not closed: the front end is %s, the back end %s", xenbus_strstate(front),
		       xenbus_strstate(back));
}

/* What is drawn from now on arrives. */
void check_connected(void *p)
{
	auto *w = xenfb_world_of(p);
	machine_scope bound(w->machine);
	struct xenfb_front_stats f;
	struct xenfb_back_stats b;
	u32 end;

	look_until_quiet(w);
	xenfb_front_stats(w->info, &f);
	xenfb_back_stats(w->back, &b);
	explore_expect(f.connected && b.connected,
		       "never connected again: the front end is %s, the back end %s",
		       xenbus_strstate(xenbus_read_driver_state(FRONT)),
		       xenbus_strstate(xenbus_read_driver_state(BACK)));
	draw(w, 0, 5, 9);
	xenfb_front_send(w->info);
	explore_expect(!xenfb_front_wait_sent(w->info, &end, HZ) &&
			       !xenfb_back_wait_drained(w->back, end, HZ),
		       "lost update: not consumed");
	check_copy(p);
}

/* ---- the front end is a puppet that begins again while the real back end connects ---- */

/* Initialised, after 20 events that nobody has seen; the back end's watch thread is held. */
void *begins_again_setup()
{
	peer_front *f = peer_front_make();
	machine_scope bound(f->machine);

	peer_front_publish(f, XenbusStateInitialising);
	settle();
	f->back = xenfb_back_get(BACK_DIR, false);
	f->page->out_prod = f->page->out_cons = 20;
	hold_watch_thread(&f->held, XEN_DOM_BACK);
	return f;
}

void connect_back_end(peer_front *f)
{
	sees(f->back->dev, XenbusStateInitialised);
}

/* As ours does: the channel goes first, and comes last; it has the same number again. */
void begin_again(peer_front *f)
{
	unbind_from_irqhandler(f->irq, f);
	WRITE_ONCE(f->page->out_cons, 0u);
	WRITE_ONCE(f->page->out_prod, 0u);
	WRITE_ONCE(f->page->width, (s32)WIDTH * 2);
	WRITE_ONCE(f->page->height, (s32)HEIGHT / 2);
	WRITE_ONCE(f->page->line_length, LINE * 2);
	explore_expect(!evtchn_alloc_unbound(xen_domain(XEN_DOM_FRONT), XEN_DOM_BACK, &f->port),
		       "port");
	f->irq = bind_evtchn_to_irqhandler(xen_domain(XEN_DOM_FRONT), f->port, peer_front_event, 0,
					   "peer", f);
	explore_expect(f->irq > 0, "irq");
	write_number(FRONT_DIR, "event-channel", f->port);
}

/* The back end hears of it, and has the new page: an event at its first index arrives. */
void check_began_again(void *p)
{
	peer_front *f = peer_front_of(p);
	machine_scope bound(f->machine);
	const struct xenfb_out_private e = xenfb_out_update(0, 0, 1, 1);
	struct xenfb_geometry g;

	sees(f->back->dev, XenbusStateInitialised);
	/* Its last word to the page of before came late: ours begins once more then, too. */
	if (f->page->out_cons) {
		begin_again(f);
		sees(f->back->dev, XenbusStateInitialised);
	}
	xenfb_back_geometry(f->back, &g);
	explore_expect(back_stats(f).connected, "never connected: the back end is %s",
		       xenbus_strstate(xenbus_read_driver_state(BACK_DIR)));
	explore_expect(g.width == WIDTH * 2 && g.height == HEIGHT / 2,
		       "the back end shows %ux%u: the page of before", g.width, g.height);
	xenfb_out_put(f->page, 0, &e);
	xenfb_out_publish(f->page, 1);
	peer_front_notify(f);
	explore_expect(!xenfb_back_wait_drained(f->back, 1, HZ) && back_stats(f).rects == 1,
		       "lost update: not consumed");
}

/* Connected; then the front end closes, and the back end is late with all it sees. */
void *closes_setup()
{
	peer_front *f = peer_front_of(peer_front_setup());
	machine_scope bound(f->machine);

	hold_watch_thread(&f->held, XEN_DOM_BACK);
	return f;
}

void close_channel(peer_front *f)
{
	unbind_from_irqhandler(f->irq, f);
	f->irq = -1;
}

/* A front end that begins waits for a state of the back end's to do so. */
void check_awaited(void *p)
{
	peer_front *f = peer_front_of(p);
	machine_scope bound(f->machine);
	enum xenbus_state state;

	sees(f->back->dev, XenbusStateClosed);
	state = xenbus_read_driver_state(BACK_DIR);
	explore_expect(state == XenbusStateInitWait, "the store calls the back end %s",
		       xenbus_strstate(state));
}

/* ---- the back end is a puppet that writes into the page of a front end which begins again ---- */

void *late_word_setup()
{
	peer_back *b = peer_back_of(peer_back_setup<true>());
	machine_scope bound(b->machine);

	hold_watch_thread(&b->held, XEN_DOM_FRONT);
	return b;
}

void front_end_begins_again(peer_back *b)
{
	sees(b->front->dev, XenbusStateUnknown);
	sees(b->front->dev, XenbusStateInitWait);
}

void write_late_word(peer_back *b)
{
	WRITE_ONCE(b->page->out_cons, 20u);
}

/* As a back end connects: it goes on from the page's out_cons. */
void connect_again(peer_back *b)
{
	unbind_from_irqhandler(b->irq, b);
	xen_foreign_unmap(b->page_map);
	peer_back_attach(b);
	b->cons = b->page->out_cons;
	sees(b->front->dev, XenbusStateConnected);
}

void check_late_word(void *p)
{
	peer_back *b = peer_back_of(p);
	machine_scope bound(b->machine);

	b->drains = false;
	connect_again(b);
	if (xenbus_read_driver_state(FRONT_DIR) == XenbusStateInitialised)
		connect_again(b);
	b->lines = 0;
	fb_damage_add(b->info, {0, 3, 1, 1});
	xenfb_front_send(b->info);
	peer_back_consume(b);
	explore_expect(b->lines & (1u << 3), "lost update: the front end sends no more");
}

/* The front end has published; the back end closed before that, and has yet to look. */
void *published_setup()
{
	peer_back *b = peer_back_make(true);
	machine_scope bound(b->machine);

	hold_watch_thread(&b->held, XEN_DOM_FRONT);
	return b;
}

void see_closed(peer_back *b)
{
	sees(b->front->dev, XenbusStateClosed);
}

void check_published(void *p)
{
	machine_scope bound(peer_back_of(p)->machine);
	enum xenbus_state state = xenbus_read_driver_state(FRONT_DIR);

	explore_expect(state == XenbusStateInitialised, "nobody waits: the front end is %s",
		       xenbus_strstate(state));
}

/* The back end is replaced by one that cannot be resized; seen to go, or not. */
void lose_feature_resize(peer_back *b)
{
	const bool seen = kshim_choose(2, "is it seen to go");

	if (seen)
		sees(b->front->dev, XenbusStateUnknown);
	write_number(BACK_DIR, "feature-resize", 0);
	if (seen)
		sees(b->front->dev, XenbusStateInitWait);
	sees(b->front->dev, XenbusStateConnected);
}

/* Accepted or refused. */
void ask_for_resize(peer_back *b)
{
	const struct xenfb_front_geometry half = {
		.width = WIDTH, .height = HEIGHT / 2, .depth = 32, .line_length = 0, .offset = 0};

	(void)xenfb_front_set_geometry(b->info, &half);
}

/* The back end knows the geometry, or the front end has said why it cannot go on. */
void check_told_or_fatal(void *p)
{
	peer_back *b = peer_back_of(p);
	machine_scope bound(b->machine);
	struct xenfb_front_stats stats;
	struct fb_geometry g;

	xenfb_front_stats(b->info, &stats);
	fb_damage_geometry(b->info, &g);
	if (!stats.connected) {
		explore_expect(xenbus_read_error(FRONT_DIR) == -EOPNOTSUPP,
			       "not connected, without a word");
		return;
	}
	explore_expect(g.height == HEIGHT || (u32)b->page->height == g.height || b->resizes,
		       "lost resize: the picture has %u lines, and the back end is not told",
		       g.height);
}

explore_scenario scenario(const char *name, void *(*setup)(), std::vector<explore_task> tasks,
			  void (*check)(void *), void (*teardown)(void *) = xenfb_teardown)
{
	return {.name = name,
		.setup = setup,
		.tasks = std::move(tasks),
		.check = check,
		.teardown = teardown};
}

} // namespace

std::vector<race_scenario> races::xenfb_reconnect_scenarios()
{
	return {
		{.scenario = scenario("xenfb_replaced", replaced_setup,
				      {{"front end", in_machine<front_end_looks>},
				       {"back end", in_machine<replace_back_end>}},
				      check_connected),
		 .checks = "a back end that is replaced and its front end find each other again",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_closed", xenfb_setup,
				      {{"toolstack", in_machine<close_down>}}, check_closed),
		 .checks = "ends that are asked to close do, and stay closed",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_begins_again", begins_again_setup,
				      {{"back end", in_machine<connect_back_end>},
				       {"front end", in_machine<begin_again>}},
				      check_began_again, peer_front_teardown),
		 .checks = "a front end that begins again at any step of a connect is connected to",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_closes", closes_setup,
				      {{"back end", in_machine<connect_back_end>},
				       {"front end", in_machine<close_channel>}},
				      check_awaited, peer_front_teardown),
		 .checks = "a back end that has nothing says InitWait, whatever it said before",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = scenario("xenfb_late_word", late_word_setup,
				      {{"front end", in_machine<front_end_begins_again>},
				       {"back end", in_machine<write_late_word>}},
				      check_late_word, peer_back_teardown),
		 .checks = "a late word of the back end about the page of before stops nothing",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = scenario("xenfb_published", published_setup,
				      {{"front end", in_machine<see_closed>}}, check_published,
				      peer_back_teardown),
		 .checks = "a front end that has published waits for a back end that was Closed",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_feature_lost", late_word_setup,
				      {{"front end", in_machine<lose_feature_resize>},
				       {"resizer", in_machine<ask_for_resize>}},
				      check_told_or_fatal, peer_back_teardown),
		 .checks =
			 "a resize that is accepted while the back end changes is told, or refused",
		 .seed = nullptr,
		 .bound = 1},
	};
}

std::vector<race_mutant> races::xenfb_reconnect_mutants()
{
	return {
		{.name = "xenfb_closed_for_closed",
		 .variant = nullptr,
		 .origin = "the back end answers Closed with Closed, and each end waits for the "
			   "other; ours was so",
		 .killer = "xenfb_replaced",
		 .bound = 1,
		 .reason = "the front end is Closed, the back end Closed"},
		{.name = "xenfb_connected_left",
		 .variant = nullptr,
		 .origin = "the back end drops a broken channel and leaves its Connected in the "
			   "store; ours was so",
		 .killer = "xenfb_closes",
		 .bound = 0,
		 .reason = "the store calls the back end Connected"},
		{.name = "xenfb_closes_too_soon",
		 .variant = nullptr,
		 .origin = "the front end takes the Closed of before it published for an answer; "
			   "ours was so",
		 .killer = "xenfb_published",
		 .bound = 0,
		 .reason = "nobody waits"},
		{.name = "xenfb_late_out_cons",
		 .variant = nullptr,
		 .origin =
			 "the back end's last word to the page of before is its first word to the "
			 "new one; ours was so",
		 .killer = "xenfb_late_word",
		 .bound = 0,
		 .reason = "events in a ring of 51"},
		{.name = "xenfb_feature_unlocked",
		 .variant = nullptr,
		 .origin = "a resize is accepted for one back end and made for the next, which "
			   "cannot be told; ours was so",
		 .killer = "xenfb_feature_lost",
		 .bound = 1,
		 .reason = "lost resize"},
		{.name = "xenfb_page_read_early",
		 .variant = nullptr,
		 .origin = "the back end reads the page before it has the channel; ours was so",
		 .killer = "xenfb_begins_again",
		 .bound = 1,
		 .reason = "the page of before"},
		{.name = "xenfb_torn_page",
		 .variant = nullptr,
		 .origin = "half of an old page is an error, after which the back end closes; ours "
			   "was so",
		 .killer = "xenfb_begins_again",
		 .bound = 2,
		 .reason = "never connected: the back end is Closing"},
		{.name = "xenfb_bind_fatal",
		 .variant = nullptr,
		 .origin = "the back end closes when the channel has gone a moment ago; ours did",
		 .killer = "xenfb_begins_again",
		 .bound = 1,
		 .reason = "never connected: the back end is Closing"},
	};
}
