/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_table.h - requests that wait for a stream
 *
 * W1: a request is answered once: whoever takes it out of the table answers it, be it that there is
 *     something to read, that the reader was interrupted, or the end.
 * W2: nobody is missed: a stream is asked again, under lock_, after its request was put into the
 *     table; a wake() in between waits for lock_.
 * Locks: lock_ (the table) -> a stream's own. No request is answered under it but by a piece
 *     already taken, so that the order of bytes is that of the answers.
 */
#pragma once

#include <list>
#include <memory>
#include <mutex>

#include "fs_stream.h"
#include "fuse_channel.h"

namespace fuse_fb
{

/* An open file with a stream. */
struct open_stream {
	std::shared_ptr<fs_stream> stream;
	fuse_pollhandle *poll = nullptr; /* protected by the table's lock_ */
};

class stream_table
{
public:
	stream_table() = default;
	~stream_table();
	stream_table(const stream_table &) = delete;
	stream_table &operator=(const stream_table &) = delete;

	void read(fuse_req_t req, const std::shared_ptr<open_stream> &of, std::size_t size,
		  bool may_wait);
	void poll(fuse_req_t req, const std::shared_ptr<open_stream> &of, fuse_pollhandle *ph);
	void wake(const std::weak_ptr<open_stream> &of);
	void closed(const std::shared_ptr<open_stream> &of);
	/* Answers whoever waits; from now on there is nothing to read. */
	void end();

private:
	struct waiting {
		fuse_req_t req;
		std::shared_ptr<open_stream> of;
		std::size_t size;
	};

	bool answer(fuse_req_t req, open_stream &of, std::size_t size);
	static void interrupted(fuse_req_t req, void *table);

	std::mutex lock_;
	std::list<waiting> waiting_; /* protected by lock_, as is the next */
	bool ended_ = false;
};

} // namespace fuse_fb
