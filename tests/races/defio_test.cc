// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Deferred I/O against its history: programs that store through their mapping, and the worker
 * that protects, copies and tells the driver, in every order within the bound.
 *
 *	defio_nopage_zap	the first xenfb: a fault was recorded, the PTE installed later; a
 *				worker between the two zaps nothing and forgets the record
 *	defio_no_page_lock	the worker protects without waiting for a fault in progress
 *	defio_clear_before_protect  it reads first and protects afterwards
 *	defio_cancel_on_close	the last image is cancelled with the work
 */
#include "defio_world.h"
#include "races.h"

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

const explore_scenario one_program = scenario("defio", {{"program", draw}});
const explore_scenario one_page = scenario("defio_one_page", {{"program", draw_on_one_page}});
const explore_scenario two_threads =
	scenario("defio_two_threads", {{"program", draw_once}, {"thread 2", draw_once_too}});
const explore_scenario fsync_alone = scenario("defio_fsync", {{"syncer", draw_and_sync}});
const explore_scenario fsync_beside =
	scenario("defio_fsync_beside", {{"program", draw_once}, {"syncer", draw_and_sync}});
const explore_scenario last_image =
	scenario("defio_exit", {{"program", draw_and_exit}}, check_last_image);
const explore_scenario hot_unplug =
	scenario("defio_unplug", {{"program", draw_if_there}, {"driver", unplug}}, check_unplugged);

TEST(defio, every_store_is_shown_in_the_end)
{
	expect_holds(one_program, 2);
	expect_holds(two_threads, 2);
}

TEST(defio, fsync_waits_until_the_own_stores_are_shown)
{
	expect_holds(fsync_alone, 2);
	expect_holds(fsync_beside, 1);
}

TEST(defio, last_image_of_a_program_that_ends_is_shown)
{
	expect_holds(last_image, 2);
}

TEST(defio, device_goes_away_under_a_program_that_draws)
{
	expect_holds(hot_unplug, 2);
}

TEST(defio, nopage_and_zap_lose_an_update)
{
	expect_killed(one_program, "defio_nopage_zap", 2, "lost update");
}

TEST(defio, protecting_without_the_page_lock_loses_an_update)
{
	expect_killed(one_program, "defio_no_page_lock", 2, "lost update");
}

TEST(defio, reading_before_protecting_loses_an_update)
{
	expect_killed(one_program, "defio_clear_before_protect", 2, "lost update");
}

TEST(defio, cancelling_the_work_at_close_loses_the_last_image)
{
	expect_killed(last_image, "defio_cancel_on_close", 2, "lost update");
}

TEST(defio, protecting_without_flushing_the_tlbs_loses_an_update)
{
	expect_killed(one_page, "mmu_no_flush", 2, "lost update");
	expect_killed(one_page, "mmu_early_flush", 2, "lost update");
}

/* What is left out by the reduction is nothing: the same verdicts without it. */
TEST(defio, without_reduction_the_verdicts_are_the_same)
{
	explore_options options;

	options.bound = 1;
	options.reduce = false;
	explore_result all = explore_run(one_program, options);

	EXPECT_EQ(all.verdict, explore_verdict::held) << all.summary;
	EXPECT_TRUE(all.exhausted);
	std::printf("without reduction: %s\n", all.summary.c_str());
	for (const char *mutant :
	     {"defio_nopage_zap", "defio_no_page_lock", "defio_clear_before_protect"}) {
		options.mutants = {mutant};
		EXPECT_EQ(explore_run(one_program, options).verdict, explore_verdict::violated)
			<< mutant;
	}
}

} // namespace
