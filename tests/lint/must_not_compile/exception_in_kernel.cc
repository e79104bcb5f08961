// SPDX-License-Identifier: GPL-2.0-or-later
// Below fuse-fb an error is a number.
// expect: cannot use 'throw' with exceptions disabled
#include <linux/types.h>

int divide(int a, int b)
{
	if (b == 0)
#ifdef PVSHIM_RIGHT
		return -1;
#else
		throw 1;
#endif
	return a / b;
}
