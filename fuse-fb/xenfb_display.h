/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenfb_display.h - a display which is a Xen virtual framebuffer of a machine
 *
 *      file's content --absorb--> frame of the front end --rectangles--> back end --> viewers
 *      deferred I/O  --harvest--> tracker
 *
 * The one place where a file of the mount meets the kernel side. Every thread that comes here must
 * be bound to the machine.
 */
#pragma once

#include "display.h"

struct pv_machine;

namespace fuse_fb
{

class xenfb_factory : public display_factory
{
public:
	xenfb_factory(pv_machine *machine, unsigned period_us)
		: machine_(machine), period_us_(period_us)
	{
	}

	std::unique_ptr<display> make(const screen_geometry &geometry, std::size_t mem_length,
				      int *error) override;

private:
	pv_machine *const machine_;
	const unsigned period_us_;
};

} // namespace fuse_fb
