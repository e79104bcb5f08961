/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * defio_world.h - a machine with a framebuffer of two pages and a program that maps it
 *
 *	view	| page 0 | page 1 |	what the program stores into
 *	frame	| page 0 | page 1 |	what harvests carry over
 *	shown	| page 0 | page 1 |	what the driver was told by rectangles
 *
 * The oracle: when nobody has anything left to do, all three are equal, whatever the schedule.
 */
#ifndef TESTS_RACES_DEFIO_WORLD_H
#define TESTS_RACES_DEFIO_WORLD_H

#include "program.h"

#include <kshim/mmu.h>
#include <linux/mutex.h>
#include <linux/vmalloc.h>
#include <video/damage.h>
#include <video/fb_defio.h>

namespace races
{

constexpr unsigned long PERIOD_US = 1000;

struct defio_world {
	struct pv_machine *machine;
	struct fb_info *info;
	struct fb_deferred_io defio;
	struct mutex shown_lock;
	char *shown;
	u32 refreshes; /* calls of the driver */

	program first, second; /* the second one only where a scenario starts it */
	u32 stored[2];         /* how far a task of the scenario got; for its check */
};

/* The driver: takes the rectangles and keeps these pixels. */
inline void defio_refresh(struct fb_info *info)
{
	auto *w = *static_cast<defio_world **>(info->par);
	fb_rect rects[FB_DAMAGE_MAX];
	fb_geometry g;
	guard(mutex)(&w->shown_lock);
	unsigned int nr = fb_damage_take(info, rects, FB_DAMAGE_MAX, &g);

	for (unsigned int i = 0; i < nr; i++) {
		for (u32 y = rects[i].y; y < rects[i].y + rects[i].height; y++) {
			size_t at = y * LINE + rects[i].x * 4;

			memcpy(w->shown + at, info->screen_buffer + at, rects[i].width * 4);
		}
	}
	w->refreshes++;
	explore_note("shown: %u rectangles", nr);
}

inline const struct fb_ops *defio_fb_ops()
{
	static const struct fb_ops ops = {
		.fb_destroy = [](struct fb_info *info) { vfree(info->screen_buffer); },
	};

	return &ops;
}

inline void *defio_setup()
{
	static const machine_initcall *const calls[] = {&mmu_initcall, &mm_initcall, &fb_initcall,
							nullptr};
	auto *w = explore_new<defio_world>();
	pv_machine_config config;

	config.memory_bytes = 64 * 1024;
	config.nr_cpus = 2;
	w->machine = pv_machine_create(&config, calls);
	explore_expect(!IS_ERR(w->machine), "no machine");
	machine_scope bound(w->machine);

	w->info = framebuffer_alloc(sizeof(defio_world *), nullptr);
	*static_cast<defio_world **>(w->info->par) = w;
	w->defio = {.delay = PERIOD_US, .deferred_io = defio_refresh};
	mutex_init(&w->shown_lock);
	w->shown = static_cast<char *>(explore_alloc(FRAME_BYTES, 8));
	w->info->var.xres = WIDTH;
	w->info->var.yres = HEIGHT;
	w->info->var.bits_per_pixel = 32;
	w->info->fix.line_length = LINE;
	w->info->screen_size = FRAME_BYTES;
	w->info->screen_buffer = static_cast<char *>(vzalloc(FRAME_BYTES));
	w->info->fbops = defio_fb_ops();
	w->info->fbdefio = &w->defio;
	explore_expect(!fb_deferred_io_init(w->info), "fb_deferred_io_init");
	explore_expect(!register_framebuffer(w->info), "register_framebuffer");

	program_start(&w->first, w->info);
	return w;
}

inline void *defio_setup_two_programs()
{
	auto *w = static_cast<defio_world *>(defio_setup());
	machine_scope bound(w->machine);

	program_start(&w->second, w->info);
	return w;
}

inline u32 frame_word(const defio_world *w, unsigned int page, unsigned int word)
{
	return word_at(w->info->screen_buffer, page, word);
}

inline u32 shown_word(const defio_world *w, unsigned int page, unsigned int word)
{
	return word_at(w->shown, page, word);
}

/* I1 of deferred I/O, for all the words that tasks may have stored to. */
inline void check_shown(void *p)
{
	auto *w = static_cast<defio_world *>(p);
	machine_scope bound(w->machine);

	for (unsigned int page = 0; page < 2; page++) {
		for (unsigned int word = 0; word < 4; word++) {
			u32 stored = frame_word(w, page, word);

			if (w->first.screen)
				stored = program_load(&w->first, page, word);
			explore_expect(frame_word(w, page, word) == stored,
				       "lost update: page %u word %u holds %u, the frame %u", page,
				       word, stored, frame_word(w, page, word));
			explore_expect(shown_word(w, page, word) == stored,
				       "lost update: page %u word %u holds %u, %u is shown", page,
				       word, stored, shown_word(w, page, word));
		}
	}
}

/* The programs end, the device goes, then the machine. */
inline void defio_teardown(void *p)
{
	auto *w = static_cast<defio_world *>(p);

	{
		machine_scope bound(w->machine);

		program_exit(&w->first);
		program_exit(&w->second);
		unregister_framebuffer(w->info);
		fb_deferred_io_cleanup(w->info);
		framebuffer_release(w->info);
	}
	explore_machine_destroy(w->machine);
}

} // namespace races

#endif
