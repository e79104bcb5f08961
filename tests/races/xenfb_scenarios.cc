// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Both ends of a virtual framebuffer in every schedule: from a program's store to the copy, and
 * what happens to the picture when senders meet, the ring is full, the geometry changes or the
 * other end goes away and comes back. Our back end puts nothing into the in ring, so there is no
 * producer that an in_cons could deceive.
 */
#include "xenfb_scenarios.h"
#include "xenfb_world.h"

#include <linux/sched.h>
#include <linux/vmalloc.h>

using namespace races;

namespace
{

explore_scenario scenario(const char *name, void *(*setup)(), std::vector<explore_task> tasks,
			  void (*check)(void *) = check_copy)
{
	return {.name = name,
		.setup = setup,
		.tasks = std::move(tasks),
		.check = check,
		.teardown = xenfb_teardown};
}

/* ---- programs ---- */

void store_once(xenfb_world *w)
{
	program_store(&w->programs[0], 0, 0, 1);
}

/* The other program, on the same page. */
void store_beside(xenfb_world *w)
{
	program_store(&w->programs[1], 0, 1, 2);
}

/* ---- senders: the kernel draws a pixel and sends it ---- */

void draw_and_send(xenfb_world *w)
{
	draw(w, 0, 0, 1);
	xenfb_front_send(w->info);
}

/* So far away that the two are never one rectangle. */
void draw_and_send_too(xenfb_world *w)
{
	draw(w, 1, 31 * 32 + 31, 2);
	xenfb_front_send(w->info);
}

void draw_two_and_send(xenfb_world *w)
{
	draw(w, 0, 31, 3);
	draw(w, 1, 31 * 32, 4);
	xenfb_front_send(w->info);
}

/* The lower half of the screen becomes all of it. */
void set_geometry(xenfb_world *w)
{
	const struct xenfb_front_geometry half = {.width = WIDTH,
						  .height = HEIGHT / 2,
						  .depth = 32,
						  .line_length = 0,
						  .offset = PAGE_SIZE};

	explore_expect(!xenfb_front_set_geometry(w->info, &half), "the resize is refused");
}

void resize_and_send(xenfb_world *w)
{
	set_geometry(w);
	xenfb_front_send(w->info);
}

void send(xenfb_world *w)
{
	xenfb_front_send(w->info);
}

/* The geometry is another one; the back end does not know yet. */
void *setup_resized()
{
	auto *w = xenfb_world_of(xenfb_setup());
	machine_scope bound(w->machine);

	set_geometry(w);
	return w;
}

/* So many events are in the ring that there is room for two; all about one pixel. */
void *setup_room_for_two()
{
	auto *w = xenfb_world_of(xenfb_setup_at<0>());
	machine_scope bound(w->machine);
	auto *front = static_cast<xenfb_front *>(w->info->par);
	const struct xenfb_out_private e = xenfb_out_update(0, 40, 1, 1);

	guard(mutex)(&front->lock);
	while (front->out_prod < XENFB_OUT_LEN - 2)
		xenfb_out_put(front->page, front->out_prod++, &e);
	xenfb_out_publish(front->page, front->out_prod);
	return w;
}

struct xenbus_device *front_device(xenfb_world *w)
{
	return static_cast<xenfb_front *>(w->info->par)->dev;
}

/* Both ends let go of each other ... */
void part(xenfb_world *w)
{
	sees(front_device(w), XenbusStateClosed);
	sees(w->back->dev, XenbusStateClosed);
	sees(w->back->dev, XenbusStateInitialising);
}

/* ... the front end begins again: page and channel are new ... */
void begin_again(xenfb_world *w)
{
	sees(front_device(w), XenbusStateInitWait);
}

/* ... and they find each other. */
void meet(xenfb_world *w)
{
	sees(w->back->dev, XenbusStateConnected);
	/* The back end's first look at the ring may come before anything is sent. */
	cond_resched();
	sees(front_device(w), XenbusStateConnected);
}

void restart(xenfb_world *w)
{
	part(w);
	begin_again(w);
	meet(w);
}

/* Parted, after 20 events: indexes that do not agree do not come to agree soon. */
void *setup_parted()
{
	auto *w = xenfb_world_of(xenfb_setup_at<20>());
	machine_scope bound(w->machine);

	xenfb_hold(w);
	part(w);
	return w;
}

void look_once(xenfb_world *w)
{
	look(w->back);
}

void draw_and_look(xenfb_world *w)
{
	draw(w, 0, 3, 7);
	explore_expect(!xenfb_flush(w->xenfb), "lost update: not consumed");
	look(w->back);
}

/* Every foreign mapping of the machine's frames: the shared page, the picture. */
void revoke_frame(xenfb_world *w)
{
	auto *front = static_cast<xenfb_front *>(w->info->par);
	const struct page *pages[] = {front->page_frame, vmalloc_to_page(w->info->screen_buffer)};

	for (const struct page *page : pages)
		explore_expect(!p2m_revoke(xen_p2m(), _gfn(xen_frame_number(page))), "revoke");
}

/* The picture is there, and so is what is drawn from now on. */
void check_restarted(void *p)
{
	auto *w = xenfb_world_of(p);
	struct xenfb_back_stats stats;

	{
		machine_scope bound(w->machine);

		xenfb_back_stats(w->back, &stats);
		explore_expect(stats.connected && stats.connects == 2, "connected %llu times",
			       (unsigned long long)stats.connects);
		look(w->back);
		draw(w, 0, 5, 9);
		explore_expect(!xenfb_flush(w->xenfb), "lost update: not consumed");
	}
	check_copy(p);
}

void check_met(void *p)
{
	auto *w = xenfb_world_of(p);

	{
		machine_scope bound(w->machine);

		meet(w);
		explore_expect(!xenfb_flush(w->xenfb), "lost update: not consumed");
	}
	check_restarted(p);
}

std::vector<race_scenario> scenarios()
{
	return {
		{.scenario = scenario("xenfb_path", xenfb_setup_programs,
				      {{"program", in_machine<store_once>},
				       {"program 2", in_machine<store_beside>}},
				      check_programs_and_copy),
		 .checks = "what two programs store is in the back end's copy",
		 .seed = XENFB_SEED,
		 .bound = 1},
		{.scenario = scenario("xenfb_senders", xenfb_setup,
				      {{"sender", in_machine<draw_and_send>},
				       {"sender 2", in_machine<draw_and_send_too>}}),
		 .checks = "two senders never use one slot",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_resize", xenfb_setup,
				      {{"sender", in_machine<draw_and_send_too>},
				       {"resizer", in_machine<resize_and_send>}}),
		 .checks = "a resize and a rectangle arrive, in an order that makes sense",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_resized", setup_resized,
				      {{"sender", in_machine<draw_and_send_too>},
				       {"sender 2", in_machine<send>}}),
		 .checks = "two senders tell a new geometry, and what is drawn in it",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_look", xenfb_setup,
				      {{"sender", in_machine<draw_and_send>},
				       {"sender 2", in_machine<draw_and_send_too>},
				       {"viewer", in_machine<look_once>}}),
		 .checks = "what is drawn while somebody looks is seen at the next look",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_revoked", xenfb_setup,
				      {{"viewer", in_machine<draw_and_look>},
				       {"hypervisor", in_machine<revoke_frame>}}),
		 .checks = "a frame that is revoked while somebody looks is seen all the same",
		 .seed = "003 p2m lookups race with paging",
		 .bound = 1},
		{.scenario = scenario("xenfb_wrap", xenfb_setup_at<0xfffffffe>,
				      {{"sender", in_machine<draw_two_and_send>},
				       {"sender 2", in_machine<draw_and_send>}}),
		 .checks = "the ring's index passes 2^32, where two indexes are one slot",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_full", setup_room_for_two,
				      {{"sender", in_machine<draw_and_send>},
				       {"sender 2", in_machine<draw_two_and_send>}}),
		 .checks = "what finds no room in the ring is sent when there is room again",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_restart", xenfb_setup_held,
				      {{"sender", in_machine<draw_and_send>},
				       {"both ends", in_machine<restart>}},
				      check_restarted),
		 .checks = "both ends part and meet again at any step of a send",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("xenfb_reset", setup_parted,
				      {{"sender", in_machine<draw_and_send>},
				       {"front end", in_machine<begin_again>}},
				      check_met),
		 .checks = "the front end zeroes the indexes at any step of a send",
		 .seed = nullptr,
		 .bound = 1},
	};
}

} // namespace

race_subsystem races::xenfb_subsystem()
{
	race_subsystem xenfb = {.name = "xenfb", .scenarios = scenarios(), .mutants = {}};

	for (race_scenario &s : xenfb_peer_scenarios())
		xenfb.scenarios.push_back(std::move(s));
	for (race_scenario &s : xenfb_reconnect_scenarios())
		xenfb.scenarios.push_back(std::move(s));
	xenfb.mutants = {
		{.name = "xenfb_send_unlocked",
		 .variant = nullptr,
		 .origin = "xen-fbfront drops its lock before it writes the ring: two senders take "
			   "one out_prod",
		 .killer = "xenfb_senders",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "xenfb_resize_unlocked",
		 .variant = nullptr,
		 .origin = "xen-fbfront sends a RESIZE under another lock than UPDATEs",
		 .killer = "xenfb_resized",
		 .bound = 2,
		 .reason = "lost"},
		{.name = "xenfb_ignores_wrap",
		 .variant = nullptr,
		 .origin =
			 "fbif's 51 slots do not divide 2^32: index 0 overwrites index 0xffffffff",
		 .killer = "xenfb_wrap",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "xenfb_full_ring_unseen",
		 .variant = nullptr,
		 .origin = "the back end asks before it frees slots whether the ring was full",
		 .killer = "xenfb_full",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "xenfb_forgets_stale",
		 .variant = nullptr,
		 .origin = "the back end forgets what is stale after it has read the pixels",
		 .killer = "xenfb_look",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "xenfb_trusts_mapping",
		 .variant = nullptr,
		 .origin = "the back end does not ask whether what it read was still the frame",
		 .killer = "xenfb_revoked",
		 .bound = 1,
		 .reason = "lost update"},
		{.name = "xenfb_stale_unlocked",
		 .variant = nullptr,
		 .origin = "the back end takes what is stale without the lock that events take",
		 .killer = "xenfb_look",
		 .bound = 1,
		 .reason = "data race"},
		{.name = "xenfb_reads_words",
		 .variant = nullptr,
		 .origin = "QEMU read 24-bit pixels as words, past the last one of the mapping",
		 .killer = "xenfb_senders",
		 .bound = 0,
		 .reason = "lost update: line 63"},
		{.name = "xenfb_reset_running",
		 .variant = nullptr,
		 .origin = "xen-fbfront's resume zeroes the ring's indexes under a running sender",
		 .killer = "xenfb_restart",
		 .bound = 1,
		 .reason = "data race"},
		{.name = "xenfb_sends_when_gone",
		 .variant = nullptr,
		 .origin = "xen-fbfront's worker sends on to irq -1 when the back end has gone",
		 .killer = "xenfb_restart",
		 .bound = 2,
		 .reason = "the machine warned"},
	};
	for (const race_mutant &m : xenfb_peer_mutants())
		xenfb.mutants.push_back(m);
	for (const race_mutant &m : xenfb_reconnect_mutants())
		xenfb.mutants.push_back(m);
	return xenfb;
}
