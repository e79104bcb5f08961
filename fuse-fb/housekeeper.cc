/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * housekeeper.cc - the thread for what request threads must not do; see housekeeper.h
 */
#include "housekeeper.h"

#include <algorithm>
#include <future>
#include <utility>

#include <pthread.h>
#include <signal.h>

namespace fuse_fb
{

housekeeper::housekeeper(in_thread bind)
{
	sigset_t all, before;

	sigfillset(&all);
	for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
		sigdelset(&all, fault);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	thread_ = std::thread([this, bind = std::move(bind)] {
		pthread_setname_np(pthread_self(), "housekeeper");
		if (bind)
			bind([this] { work(); });
		else
			work();
	});
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

housekeeper::~housekeeper()
{
	stop();
}

void housekeeper::stop()
{
	{
		std::lock_guard hold(lock_);
		stopping_ = true;
	}
	changed_.notify_one();
	if (thread_.joinable())
		thread_.join();
}

bool housekeeper::run(std::function<void()> job)
{
	{
		std::lock_guard hold(lock_);
		if (stopping_)
			return false;
		jobs_.push_back(std::move(job));
	}
	changed_.notify_one();
	return true;
}

bool housekeeper::run_at(clock::time_point due, std::function<void()> job)
{
	{
		std::lock_guard hold(lock_);
		if (stopping_)
			return false;
		later_.emplace(due, std::move(job));
	}
	changed_.notify_one();
	return true;
}

void housekeeper::run_and_wait(const std::function<void()> &job)
{
	std::promise<void> done;

	if (run([&] {
		    job();
		    done.set_value();
	    }))
		done.get_future().wait();
}

std::uint64_t housekeeper::add_pace(std::function<bool()> harvest, clock::duration period)
{
	std::lock_guard hold(lock_);
	const std::uint64_t id = next_id_++;

	paces_[id] = {std::move(harvest), period, std::nullopt, {}};
	return id;
}

void housekeeper::remove_pace(std::uint64_t id)
{
	std::lock_guard hold(lock_);
	paces_.erase(id);
}

void housekeeper::kick(std::uint64_t id)
{
	{
		std::lock_guard hold(lock_);
		const auto it = paces_.find(id);

		if (it == paces_.end() || it->second.due)
			return;
		pace &p = it->second;
		const clock::time_point now = clock::now();
		/* After a pause soon, otherwise a period after the last time. */
		p.due = std::max(now + p.period / 8, p.last + p.period);
	}
	changed_.notify_one();
}

void housekeeper::work()
{
	std::unique_lock hold(lock_);

	for (;;) {
		while (!later_.empty() && (stopping_ || later_.begin()->first <= clock::now())) {
			jobs_.push_back(std::move(later_.begin()->second));
			later_.erase(later_.begin());
		}
		if (!jobs_.empty()) {
			const std::function<void()> job = std::move(jobs_.front());

			jobs_.pop_front();
			hold.unlock();
			job();
			hold.lock();
			continue;
		}
		if (stopping_)
			return;

		auto first = paces_.end();
		for (auto it = paces_.begin(); it != paces_.end(); ++it)
			if (it->second.due &&
			    (first == paces_.end() || *it->second.due < *first->second.due))
				first = it;
		if (first == paces_.end() && later_.empty()) {
			changed_.wait(hold);
			continue;
		}
		if (first == paces_.end() || *first->second.due > clock::now()) {
			clock::time_point due = clock::time_point::max();

			if (first != paces_.end())
				due = *first->second.due;
			if (!later_.empty())
				due = std::min(due, later_.begin()->first);
			changed_.wait_until(hold, due);
			continue;
		}
		/* Only jobs, which this thread runs, remove paces: the reference stays good. */
		pace &p = first->second;
		p.due.reset();
		p.last = clock::now();
		hold.unlock();
		const bool again = p.harvest();
		hold.lock();
		if (again && !p.due)
			p.due = p.last + p.period;
	}
}

} // namespace fuse_fb
