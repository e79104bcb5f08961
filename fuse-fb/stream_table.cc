/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_table.cc - requests that wait for a stream; see stream_table.h
 */
#include "stream_table.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <poll.h>

namespace fuse_fb
{

stream_table::~stream_table()
{
	end();
}

/* Under lock_. Return: false when there is nothing to answer with yet. */
bool stream_table::answer(fuse_req_t req, open_stream &of, std::size_t size)
{
	fs_stream::piece p;

	if (!ended_)
		p = of.stream->take(size);
	else
		p.kind = fs_stream::piece::end;
	switch (p.kind) {
	case fs_stream::piece::nothing_yet:
		return false;
	case fs_stream::piece::end:
	case fs_stream::piece::some:
		fuse_reply_buf(req, p.bytes.data(), p.bytes.size());
		return true;
	}
	return true;
}

void stream_table::read(fuse_req_t req, const std::shared_ptr<open_stream> &of, std::size_t size,
			bool may_wait)
{
	int error = 0;

	/* Before anybody can answer it: an answered request is gone. */
	fuse_req_interrupt_func(req, interrupted, this);
	{
		std::lock_guard hold(lock_);
		/* Behind those that wait already. */
		const bool others = std::any_of(waiting_.begin(), waiting_.end(),
						[&](const waiting &w) { return w.of == of; });

		if (!others && answer(req, *of, size))
			return;
		if (!may_wait)
			error = EAGAIN;
		else if (fuse_req_interrupted(req))
			error = EINTR; /* before it was in the table */
		else
			waiting_.push_back({req, of, size});
	}
	if (error)
		fuse_reply_err(req, error);
}

void stream_table::interrupted(fuse_req_t req, void *table)
{
	auto *self = static_cast<stream_table *>(table);
	std::size_t found;
	{
		std::lock_guard hold(self->lock_);

		found = std::erase_if(self->waiting_,
				      [&](const waiting &w) { return w.req == req; });
	}
	if (found)
		fuse_reply_err(req, EINTR);
}

void stream_table::wake(const std::weak_ptr<open_stream> &of)
{
	const std::shared_ptr<open_stream> s = of.lock();
	fuse_pollhandle *ph = nullptr;

	if (!s)
		return;
	{
		std::lock_guard hold(lock_);

		for (auto it = waiting_.begin(); it != waiting_.end();) {
			const bool gone = it->of == s && answer(it->req, *s, it->size);

			it = gone ? waiting_.erase(it) : std::next(it);
		}
		ph = std::exchange(s->poll, nullptr);
	}
	if (ph) {
		fuse_lowlevel_notify_poll(ph);
		fuse_pollhandle_destroy(ph);
	}
}

void stream_table::poll(fuse_req_t req, const std::shared_ptr<open_stream> &of, fuse_pollhandle *ph)
{
	fuse_pollhandle *old = ph;
	bool ready;
	{
		std::lock_guard hold(lock_);

		ready = ended_ || of->stream->ready();
		if (ph && !ended_)
			old = std::exchange(of->poll, ph);
	}
	if (old)
		fuse_pollhandle_destroy(old);
	fuse_reply_poll(req, ready ? POLLIN | POLLRDNORM : 0);
}

void stream_table::closed(const std::shared_ptr<open_stream> &of)
{
	fuse_pollhandle *ph;
	{
		std::lock_guard hold(lock_);

		ph = std::exchange(of->poll, nullptr);
	}
	if (ph)
		fuse_pollhandle_destroy(ph);
}

void stream_table::end()
{
	std::list<waiting> all;
	{
		std::lock_guard hold(lock_);

		ended_ = true;
		all.swap(waiting_);
	}
	for (const waiting &w : all)
		fuse_reply_buf(w.req, nullptr, 0);
}

} // namespace fuse_fb
