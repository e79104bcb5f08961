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

#include <kshim/explore.h>
#include <kshim/machine.h>
#include <kshim/mmu.h>
#include <kshim/user.h>
#include <linux/fb.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <video/damage.h>
#include <video/fb_defio.h>

namespace races
{

constexpr u32 WIDTH = 32, HEIGHT = 64, LINE = WIDTH * 4;
constexpr size_t FRAME_BYTES = LINE * HEIGHT;
constexpr unsigned long PERIOD_US = 1000;
static_assert(FRAME_BYTES == 2 * PAGE_SIZE);

struct defio_world {
	struct pv_machine *machine;
	struct fb_info *info;
	struct fb_deferred_io defio;
	struct mutex shown_lock;
	char *shown;

	struct file *file;
	struct mm_struct *mm;
	unsigned long screen; /* the program's address of the mapping */
	u32 stored[2];        /* how far a task of the scenario got; for its check */
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

	w->file = fb_open(w->info);
	explore_expect(!IS_ERR(w->file), "fb_open");
	w->mm = mm_alloc();
	w->screen = vm_mmap(w->mm, w->file, FRAME_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	explore_expect(!IS_ERR_VALUE(w->screen), "vm_mmap: %ld", (long)w->screen);
	return w;
}

inline void store(defio_world *w, unsigned int page, unsigned int word, u32 value)
{
	kshim_user_store32(w->screen + page * PAGE_SIZE + word * 4, value);
	explore_note("page %u word %u = %u", page, word, value);
}

/* A store that may fail. Return: true when it did. */
inline bool store_fails(defio_world *w, unsigned int page, unsigned int word, u32 value)
{
	struct access {
		unsigned long at;
		u32 value;
	} a = {w->screen + page * PAGE_SIZE + word * 4, value};

	return !kshim_try(
		[](void *arg) {
			auto *a = static_cast<access *>(arg);

			kshim_user_store32(a->at, a->value);
		},
		&a);
}

inline u32 frame_word(const defio_world *w, unsigned int page, unsigned int word)
{
	u32 value;

	memcpy(&value, w->info->screen_buffer + page * PAGE_SIZE + word * 4, 4);
	return value;
}

inline u32 shown_word(const defio_world *w, unsigned int page, unsigned int word)
{
	u32 value;

	memcpy(&value, w->shown + page * PAGE_SIZE + word * 4, 4);
	return value;
}

/* I1 of deferred I/O, for all the words that tasks may have stored to. */
inline void check_shown(void *p)
{
	auto *w = static_cast<defio_world *>(p);
	machine_scope bound(w->machine);

	for (unsigned int page = 0; page < 2; page++) {
		for (unsigned int word = 0; word < 4; word++) {
			u32 stored = frame_word(w, page, word);

			if (w->screen)
				stored = kshim_user_load32(w->screen + page * PAGE_SIZE + word * 4);
			explore_expect(frame_word(w, page, word) == stored,
				       "lost update: page %u word %u holds %u, the frame %u", page,
				       word, stored, frame_word(w, page, word));
			explore_expect(shown_word(w, page, word) == stored,
				       "lost update: page %u word %u holds %u, %u is shown", page,
				       word, stored, shown_word(w, page, word));
		}
	}
}

/* The program ends, the device goes, then the machine. */
inline void defio_exit_program(defio_world *w)
{
	if (w->mm)
		mmput(w->mm);
	w->mm = nullptr;
	if (w->file)
		fput(w->file);
	w->file = nullptr;
	w->screen = 0;
}

inline void defio_teardown(void *p)
{
	auto *w = static_cast<defio_world *>(p);

	{
		machine_scope bound(w->machine);

		defio_exit_program(w);
		unregister_framebuffer(w->info);
		fb_deferred_io_cleanup(w->info);
		framebuffer_release(w->info);
	}
	explore_machine_destroy(w->machine);
}

} // namespace races

#endif
