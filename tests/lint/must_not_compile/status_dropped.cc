// SPDX-License-Identifier: GPL-2.0-or-later
// The status of a kernel call is dropped.
// expect: ignoring return value of function declared with 'nodiscard'
#include <linux/types.h>

[[nodiscard]] int device_start(void);

void start(void)
{
#ifdef PVSHIM_RIGHT
	if (device_start() == 0)
		return;
#else
	device_start();
#endif
}
