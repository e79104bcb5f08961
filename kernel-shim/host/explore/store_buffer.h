/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Store buffers: total store order, what x86 processors do to memory.
 *
 *	thread A:  x = 1 ---> [ x=1 | y=1 ] ---> memory		the oldest leaves first,
 *	   A reads y: 1		 |				whenever the scheduler says
 *	   B reads y: 0 <--------+------------- 0
 *
 * T1. A thread sees its own stores at once, others when they have left the buffer, in order.
 * T2. While a thread runs, memory holds what it sees: its buffer is shown. Before another runs it
 *     is hidden: what others see is put back, and the thread's values wait. So code stores and
 *     loads as ever, plain accesses of the thread see its stores, and the seam needs no values.
 * T3. The buffer holds announced stores of up to eight bytes. Plain stores go to memory: they are
 *     seen too early, which no program without data races can tell.
 */
#ifndef KSHIM_EXPLORE_STORE_BUFFER_H
#define KSHIM_EXPLORE_STORE_BUFFER_H

#include <linux/types.h>

class store_buffer
{
public:
	static constexpr unsigned int DEPTH = 8;

	bool empty() const { return nr_ == 0; }
	unsigned int entries() const { return nr_; }
	void *oldest() const { return stores_[0].object; }
	unsigned int oldest_size() const { return stores_[0].size; }
	void clear() { nr_ = 0; }

	/* The running thread is about to store to @object. There must be room. */
	void push(void *object, unsigned int size);

	/* The thread stops to run, and goes on. */
	void hide();
	void show();

	/* The oldest store becomes everybody's: of the running thread, of one that is hidden. */
	void commit_shown();
	void commit_hidden();

	/* Calls @f(object) for each store. */
	template <typename F>
	void for_each(F f) const
	{
		for (unsigned int i = 0; i < nr_; i++)
			f(stores_[i].object, stores_[i].size);
	}

private:
	struct store {
		void *object;
		unsigned int size;
		u64 other; /* hidden: the thread's value; shown: what others see */
	};

	void drop_oldest();

	store stores_[DEPTH];
	unsigned int nr_ = 0;
};

#endif
