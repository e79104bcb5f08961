// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Deferred I/O against its history: programs that store through their mapping, and the worker
 * that protects, copies and tells the driver, in every order within the bound.
 */
#include "catalogue.h"
#include "defio_world.h"

#include <linux/delay.h>

using namespace races;

namespace
{

defio_world *world_of(void *p)
{
	return static_cast<defio_world *>(p);
}

explore_scenario scenario(const char *name, std::vector<explore_task> tasks,
			  void (*check)(void *) = check_shown)
{
	return {.name = name,
		.setup = defio_setup,
		.tasks = std::move(tasks),
		.check = check,
		.teardown = defio_teardown};
}

/*
 * A store, a pause until the moment at which the worker is due, and two more: to a page that is
 * writable, and to one that faults while a harvest may be on its way.
 */
void draw(void *p)
{
	defio_world *w = world_of(p);
	machine_scope bound(w->machine);

	store(w, 0, 0, 1);
	usleep_range(PERIOD_US / 8, PERIOD_US / 8);
	store(w, 0, 1, 2);
	store(w, 1, 0, 3);
}

void draw_once(void *p)
{
	defio_world *w = world_of(p);
	machine_scope bound(w->machine);

	store(w, 1, 1, 4);
}

/* Another thread of the program, on the same page. */
void draw_once_too(void *p)
{
	defio_world *w = world_of(p);
	machine_scope bound(w->machine);

	store(w, 1, 2, 5);
}

/* With what its processor's TLB still has. */
void draw_on_one_page(void *p)
{
	defio_world *w = world_of(p);
	machine_scope bound(w->machine);

	store(w, 0, 0, 1);
	usleep_range(PERIOD_US / 8, PERIOD_US / 8);
	store(w, 0, 1, 2);
	store(w, 0, 2, 3);
}

/* fsync: what this thread stored before is in the frame and was handed to the driver. */
void draw_and_sync(void *p)
{
	defio_world *w = world_of(p);
	machine_scope bound(w->machine);

	store(w, 1, 2, 5);
	explore_expect(!fb_fsync(w->info), "fsync failed");
	explore_expect(shown_word(w, 1, 2) == 5, "fsync returned and %u is shown, not 5",
		       shown_word(w, 1, 2));
}

/* The program draws its last image and ends. */
void draw_and_exit(void *p)
{
	defio_world *w = world_of(p);
	machine_scope bound(w->machine);

	store(w, 1, 0, 6);
	defio_exit_program(w);
}

/* The program's mapping is gone: what counts is what it stored. */
void check_last_image(void *p)
{
	defio_world *w = world_of(p);

	explore_expect(frame_word(w, 1, 0) == 6,
		       "lost update: the frame holds %u of the last image, not 6",
		       frame_word(w, 1, 0));
	check_shown(p);
}

/* May come before the device goes, or after. */
void draw_if_there(void *p)
{
	defio_world *w = world_of(p);
	machine_scope bound(w->machine);

	if (!store_fails(w, 0, 0, 1))
		w->stored[0] = 1;
}

/* The device goes away under its users. */
void unplug(void *p)
{
	defio_world *w = world_of(p);
	machine_scope bound(w->machine);

	unregister_framebuffer(w->info);
	fb_deferred_io_cleanup(w->info);
}

/*
 * No store succeeds any more, and what the last harvest brought was shown. A store that comes
 * between that harvest and the zap is lost: its writer runs beside the device's going away.
 */
void check_unplugged(void *p)
{
	defio_world *w = world_of(p);

	explore_expect(frame_word(w, 0, 0) == shown_word(w, 0, 0),
		       "the frame holds %u when the device is gone, %u is shown",
		       frame_word(w, 0, 0), shown_word(w, 0, 0));
	explore_expect(frame_word(w, 0, 0) <= w->stored[0], "a store that failed is shown");
	machine_scope bound(w->machine);
	explore_expect(store_fails(w, 0, 0, 9), "a store succeeds after the device is gone");
}

constexpr char SEED[] = "000 xenfb lets do_no_page race with xenfb_update_screen()";

} // namespace

races::race_subsystem races::defio_subsystem()
{
	race_subsystem defio = {.name = "defio", .scenarios = {}, .mutants = {}};

	defio.scenarios = {
		{.scenario = scenario("defio", {{"program", draw}}),
		 .checks = "every store is shown in the end",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("defio_one_page", {{"program", draw_on_one_page}}),
		 .checks = "stores through what a TLB still has are shown, too",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("defio_two_threads",
				      {{"program", draw_once}, {"thread 2", draw_once_too}}),
		 .checks = "two threads of a program that fault on one page lose no store",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("defio_fsync", {{"syncer", draw_and_sync}}),
		 .checks = "fsync returns when the own stores are shown",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = scenario("defio_fsync_beside",
				      {{"program", draw_once}, {"syncer", draw_and_sync}}),
		 .checks = "fsync returns when the own stores are shown, whoever else draws",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("defio_exit", {{"program", draw_and_exit}}, check_last_image),
		 .checks = "the last image of a program that ends is shown",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario =
			 scenario("defio_unplug", {{"program", draw_if_there}, {"driver", unplug}},
				  check_unplugged),
		 .checks = "the device goes away under a program that draws",
		 .seed = nullptr,
		 .bound = 2},
	};
	defio.mutants = {
		{.name = "defio_nopage_zap",
		 .variant = "historical",
		 .origin = "xenfb of 2006 (RHBZ 219787): the fault is recorded, the PTE installed "
			   "later; a worker between the two zaps nothing and forgets the record",
		 .killer = "defio",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "defio_no_page_lock",
		 .variant = "linux-2025",
		 .origin = "the worker protects a page without waiting for a fault in progress",
		 .killer = "defio",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "defio_clear_before_protect",
		 .variant = nullptr,
		 .origin = "the worker reads a page first and protects it afterwards",
		 .killer = "defio",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "defio_cancel_on_close",
		 .variant = nullptr,
		 .origin = "the last image is cancelled with the work at close",
		 .killer = "defio_exit",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "mmu_no_flush",
		 .variant = nullptr,
		 .origin = "pages are protected and no TLB is flushed",
		 .killer = "defio_one_page",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "mmu_early_flush",
		 .variant = nullptr,
		 .origin = "TLBs are flushed before the pages are protected",
		 .killer = "defio_one_page",
		 .bound = 2,
		 .reason = "lost update"},
	};
	return defio;
}
