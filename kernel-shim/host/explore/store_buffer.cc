// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Store buffers: see store_buffer.h.
 */
#include "store_buffer.h"

#include <string.h>

/* Memory and *@value change places. */
static void exchange(void *object, unsigned int size, u64 *value)
{
	u64 here = 0;

	memcpy(&here, object, size);
	memcpy(object, value, size);
	*value = here;
}

void store_buffer::push(void *object, unsigned int size)
{
	store *s = &stores_[nr_++];

	*s = {object, size, 0};
	memcpy(&s->other, object, size);
}

void store_buffer::hide()
{
	for (unsigned int i = nr_; i > 0; i--)
		exchange(stores_[i - 1].object, stores_[i - 1].size, &stores_[i - 1].other);
}

void store_buffer::show()
{
	for (unsigned int i = 0; i < nr_; i++)
		exchange(stores_[i].object, stores_[i].size, &stores_[i].other);
}

void store_buffer::drop_oldest()
{
	nr_--;
	memmove(stores_, stores_ + 1, nr_ * sizeof(stores_[0]));
}

void store_buffer::commit_shown()
{
	/* Memory holds it, and newer stores to its bytes have it as what others see. */
	drop_oldest();
}

void store_buffer::commit_hidden()
{
	memcpy(stores_[0].object, &stores_[0].other, stores_[0].size);
	drop_oldest();
}
