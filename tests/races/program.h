/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * program.h - a guest program with the framebuffer mapped, as tasks of a scenario drive it
 *
 * The frame has two pages and lines of 128 bytes; a store is named by its page and its word there.
 */
#ifndef TESTS_RACES_PROGRAM_H
#define TESTS_RACES_PROGRAM_H

#include <kshim/explore.h>
#include <kshim/fault.h>
#include <kshim/machine.h>
#include <kshim/user.h>
#include <linux/err.h>
#include <linux/fb.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/string.h>

namespace races
{

constexpr u32 WIDTH = 32, HEIGHT = 64, LINE = WIDTH * 4;
constexpr size_t FRAME_BYTES = LINE * HEIGHT;
static_assert(FRAME_BYTES == 2 * PAGE_SIZE);

/* A task's function, with its world's machine bound. */
template <typename World>
void run_in_machine(void (*body)(World *), void *world)
{
	auto *w = static_cast<World *>(world);
	machine_scope bound(w->machine);

	body(w);
}

template <auto body>
void in_machine(void *world)
{
	run_in_machine(body, world);
}

struct program {
	struct file *file;
	struct mm_struct *mm;
	unsigned long screen; /* where it has the frame; 0: not mapped */
};

inline void program_start(program *p, struct fb_info *info)
{
	p->file = fb_open(info);
	explore_expect(!IS_ERR(p->file), "fb_open: %ld", PTR_ERR(p->file));
	p->mm = mm_alloc();
	p->screen = vm_mmap(p->mm, p->file, FRAME_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	explore_expect(!IS_ERR_VALUE(p->screen), "vm_mmap: %ld", (long)p->screen);
}

/* Also one that has ended, or never began. */
inline void program_exit(program *p)
{
	if (p->mm)
		mmput(p->mm);
	if (p->file)
		fput(p->file);
	*p = {};
}

inline unsigned long program_address(const program *p, unsigned int page, unsigned int word)
{
	return p->screen + page * PAGE_SIZE + word * 4;
}

inline void program_store(const program *p, unsigned int page, unsigned int word, u32 value)
{
	kshim_user_store32(program_address(p, page, word), value);
	explore_note("page %u word %u = %u", page, word, value);
}

inline u32 program_load(const program *p, unsigned int page, unsigned int word)
{
	return kshim_user_load32(program_address(p, page, word));
}

/* A store that may fail. Return: true when it did. */
inline bool program_store_fails(const program *p, unsigned int page, unsigned int word, u32 value)
{
	struct access {
		unsigned long at;
		u32 value;
	} a = {program_address(p, page, word), value};

	return !kshim_try(
		[](void *arg) {
			auto *a = static_cast<access *>(arg);

			kshim_user_store32(a->at, a->value);
		},
		&a);
}

/* A word of a frame, or of a copy without padding. */
inline u32 word_at(const void *frame, unsigned int page, unsigned int word)
{
	u32 value;

	memcpy(&value, static_cast<const char *>(frame) + page * PAGE_SIZE + word * 4, 4);
	return value;
}

} // namespace races

#endif
