/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fs_stream.h - files that are read as it comes: damage, a film
 *
 *      open   -> a fs_stream of its own (stream_maker, where waiting is allowed)
 *      read   -> take(); nothing there yet: the request waits in the stream_table
 *      wake() -> requests that wait take again, and who polls is told
 *
 * A reader that never reads costs what its stream keeps, which is bounded; nobody waits for it.
 */
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace fuse_fb
{

class fs_stream
{
public:
	struct piece {
		/* end: nothing will come any more */
		enum { some, nothing_yet, end } kind = nothing_yet;
		std::string bytes; /* of some */
	};

	virtual ~fs_stream() = default;
	/* At most @most bytes, for good. Any thread; quick; must not call wake(). */
	virtual piece take(std::size_t most) = 0;
	/* Would take() give something? Likewise. */
	virtual bool ready() = 0;
};

/*
 * Makes the stream of one open. @wake: to be called, with no lock held that take() takes, when
 * there is something after there was nothing; any thread; outlives the stream. Null: cannot be had
 * now (EIO). Runs by fs_host::run_job().
 */
using stream_maker = std::function<std::shared_ptr<fs_stream>(std::function<void()> wake)>;

} // namespace fuse_fb
