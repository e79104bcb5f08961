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
			  void (*check)(void *) = check_shown, void *(*setup)() = defio_setup)
{
	return {.name = name,
		.setup = setup,
		.tasks = std::move(tasks),
		.check = check,
		.teardown = defio_teardown};
}

/*
 * A store, a pause until the moment at which the worker is due, and two more: to a page that is
 * writable, and to one that faults while a harvest may be on its way.
 */
void draw(defio_world *w)
{
	program_store(&w->first, 0, 0, 1);
	usleep_range(PERIOD_US / 8, PERIOD_US / 8);
	program_store(&w->first, 0, 1, 2);
	program_store(&w->first, 1, 0, 3);
}

void draw_once(defio_world *w)
{
	program_store(&w->first, 1, 1, 4);
}

/* Another thread of the program, on the same page. */
void draw_once_too(defio_world *w)
{
	program_store(&w->first, 1, 2, 5);
}

/* With what its processor's TLB still has. */
void draw_on_one_page(defio_world *w)
{
	program_store(&w->first, 0, 0, 1);
	usleep_range(PERIOD_US / 8, PERIOD_US / 8);
	program_store(&w->first, 0, 1, 2);
	program_store(&w->first, 0, 2, 3);
}

/* Another thread of the program, on the other page. */
void draw_elsewhere(defio_world *w)
{
	program_store(&w->first, 0, 2, 7);
}

/* fsync: what this thread stored before is in the frame and was handed to the driver. */
void draw_and_sync(defio_world *w)
{
	program_store(&w->first, 1, 2, 5);
	explore_expect(!fb_fsync(w->info), "fsync failed");
	explore_expect(shown_word(w, 1, 2) == 5, "fsync returned and %u is shown, not 5",
		       shown_word(w, 1, 2));
}

/* The program draws its last image and ends. */
void draw_and_exit(defio_world *w)
{
	program_store(&w->first, 1, 0, 6);
	program_exit(&w->first);
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
void draw_if_there(defio_world *w)
{
	if (!program_store_fails(&w->first, 0, 0, 1))
		w->stored[0] = 1;
}

/* Another program, on the same page. */
void draw_beside(defio_world *w)
{
	program_store(&w->second, 1, 2, 5);
}

/* It only looks, while the first one draws. */
void read_beside(defio_world *w)
{
	(void)program_load(&w->second, 1, 0);
}

void read_only(defio_world *w)
{
	(void)program_load(&w->first, 1, 0);
}

/* The other one ends: its opens and mappings are not all that there are. */
void exit_beside(defio_world *w)
{
	program_exit(&w->second);
}

/* Reading makes no page dirty, starts no worker and calls no driver. */
void check_nothing_happened(void *p)
{
	defio_world *w = world_of(p);
	struct fb_defio_stats stats;

	fb_defio_stats(w->info, &stats);
	explore_expect(!stats.kicks && !w->refreshes,
		       "a read made the page dirty: %llu kicks, %u refreshes",
		       (unsigned long long)stats.kicks, w->refreshes);
	check_shown(p);
}

/* Two programs: one store each. */
void check_once(void *p)
{
	defio_world *w = world_of(p);
	struct fb_defio_vma_stats stats;

	fb_defio_vma_stats(w->info, &stats);
	explore_expect(stats.pages_harvested <= stats.write_faults,
		       "%llu pages were harvested for %llu faults",
		       (unsigned long long)stats.pages_harvested,
		       (unsigned long long)stats.write_faults);
	check_shown(p);
}

/* The device goes away under its users. */
void unplug(defio_world *w)
{
	unregister_framebuffer(w->info);
	fb_deferred_io_cleanup(w->info);
	/* Programs do not know, and go on. */
	explore_expect(program_store_fails(&w->first, 0, 1, 9),
		       "a store succeeds after the device is gone");
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
	explore_expect(program_store_fails(&w->first, 0, 0, 9),
		       "a store succeeds after the device is gone");
}

constexpr char SEED[] = "000 xenfb lets do_no_page race with xenfb_update_screen()";

} // namespace

races::race_subsystem races::defio_subsystem()
{
	race_subsystem defio = {.name = "defio", .scenarios = {}, .mutants = {}};

	defio.scenarios = {
		{.scenario = scenario("defio", {{"program", in_machine<draw>}}),
		 .checks = "every store is shown in the end",
		 .seed = SEED,
		 .bound = 2},
		{.scenario =
			 scenario("defio_one_page", {{"program", in_machine<draw_on_one_page>}}),
		 .checks = "stores through what a TLB still has are shown, too",
		 .seed = SEED,
		 .bound = 2},
		{.scenario =
			 scenario("defio_two_threads", {{"program", in_machine<draw_once>},
							{"thread 2", in_machine<draw_once_too>}}),
		 .checks = "two threads of a program that fault on one page lose no store",
		 .seed = SEED,
		 .bound = 2},
		{.scenario =
			 scenario("defio_two_pages", {{"program", in_machine<draw_once>},
						      {"thread 2", in_machine<draw_elsewhere>}}),
		 .checks = "two threads of a program that fault on two pages lose no store",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = scenario("defio_fsync", {{"syncer", in_machine<draw_and_sync>}}),
		 .checks = "fsync returns when the own stores are shown",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario =
			 scenario("defio_fsync_beside", {{"program", in_machine<draw_once>},
							 {"syncer", in_machine<draw_and_sync>}}),
		 .checks = "fsync returns when the own stores are shown, whoever else draws",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("defio_exit", {{"program", in_machine<draw_and_exit>}},
				      check_last_image),
		 .checks = "the last image of a program that ends is shown",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = scenario("defio_read", {{"program", in_machine<read_only>}},
				      check_nothing_happened),
		 .checks = "reading makes no page dirty",
		 .seed = SEED,
		 .bound = 2},
		{.scenario = scenario("defio_two_programs",
				      {{"program", in_machine<draw_once>},
				       {"program 2", in_machine<draw_beside>}},
				      check_once, defio_setup_two_programs),
		 .checks = "two programs that fault on one page: it is dirty once, nothing is lost",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = scenario(
			 "defio_reader_beside",
			 {{"program", in_machine<draw>}, {"reader", in_machine<read_beside>}},
			 check_once, defio_setup_two_programs),
		 .checks = "a read fault by a second mapping leaves a dirty page dirty",
		 .seed = nullptr,
		 .bound = 1},
		{.scenario = scenario("defio_first_close",
				      {{"program", in_machine<draw_once>},
				       {"program 2", in_machine<exit_beside>}},
				      check_shown, defio_setup_two_programs),
		 .checks = "one of two programs ends, the other draws on",
		 .seed = nullptr,
		 .bound = 2},
		{.scenario = scenario(
			 "defio_unplug",
			 {{"program", in_machine<draw_if_there>}, {"driver", in_machine<unplug>}},
			 check_unplugged),
		 .checks = "the device goes away under a program that draws",
		 .seed = nullptr,
		 .bound = 2},
	};
	defio.mutants = {
		{.name = "defio_drops_clean",
		 .variant = nullptr,
		 .origin =
			 "a page whose PTE is not dirty yet is dropped from the list (fixed 2010)",
		 .killer = "defio",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "defio_record_not_atomic",
		 .variant = nullptr,
		 .origin = "two faults at once enter their pages without a look at each other "
			   "(fixed 2008); here a record of bits, changed in two steps",
		 .killer = "defio_two_pages",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "defio_reader_forgets",
		 .variant = nullptr,
		 .origin = "a read fault by a second mapping initialises a dirty page's entry anew "
			   "(fixed 2010)",
		 .killer = "defio_reader_beside",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "defio_runs_after_close",
		 .variant = nullptr,
		 .origin = "the list of dirty pages is worked off after the last close, on pages "
			   "that are gone (fixed 2023)",
		 .killer = "defio_exit",
		 .bound = 2,
		 .reason = "of the last image"},
		{.name = "defio_nopage_zap",
		 .variant = "historical",
		 .origin = "xenfb of 2006 (RHBZ 219787): the fault is recorded, the PTE installed "
			   "later; a worker between the two zaps nothing and forgets the record",
		 .killer = "defio",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "defio_no_page_lock",
		 .variant = nullptr,
		 .origin = "the worker protects a page without waiting for a fault in progress",
		 .killer = "defio",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "defio_linux_2025",
		 .variant = "linux-2025",
		 .origin =
			 "a model of Linux since February 2025: pages are protected without their "
			 "lock, which a fault in progress holds",
		 .killer = "defio",
		 .bound = 2,
		 .reason = "lost update"},
		{.name = "defio_reads_dirty",
		 .variant = nullptr,
		 .origin = "the first xenfb's nopage counts every fault, also a read's (Tweedie)",
		 .killer = "defio_read",
		 .bound = 1,
		 .reason = "a read made the page dirty"},
		{.name = "defio_cleanup_at_first_close",
		 .variant = nullptr,
		 .origin = "Linux in 2023 cleaned up at the first close of several opens",
		 .killer = "defio_first_close",
		 .bound = 1,
		 .reason = "faults and nobody resolves it"},
		{.name = "defio_unplug_frees",
		 .variant = nullptr,
		 .origin = "Linux since 2.6.22 freed what faults of living mappings use",
		 .killer = "defio_unplug",
		 .bound = 1,
		 .reason = "use after free"},
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
		{.name = "defio_run_unlocked",
		 .variant = nullptr,
		 .origin = "a run says when it was without the lock under which a kick reads it",
		 .killer = "defio_two_pages",
		 .bound = 1,
		 .reason = "data race"},
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
