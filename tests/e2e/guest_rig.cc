/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_rig.cc - guest threads that draw into a second framebuffer; see guest_rig.h
 */
#include "guest_rig.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>
#include <stdexcept>

#include <backend/xenfb_back.h>
#include <kshim/machine.h>
#include <linux/err.h>
#include <linux/fb.h>
#include <linux/fs.h>
#include <linux/mm.h>

#include "message.h"

namespace e2e
{

static constexpr std::uint32_t width = 512, height = 256, guest_words = width * height;

guest_rig::guest_rig(pv_machine *machine) : machine_(machine), oracle_(guest_words)
{
	xenfb_config config{};

	config.width = width;
	config.height = height;
	config.depth = 32;
	config.refresh_us = 10000;
	if (const int error = xenfb_create(machine, &config, &x_))
		throw std::runtime_error(
			fuse_fb::format_string("second framebuffer: %s", std::strerror(-error)));
	file_ = fb_open(xenfb_info(x_));
	mm_ = mm_alloc();
	if (IS_ERR(file_) || !mm_)
		throw std::runtime_error("second framebuffer: cannot be opened");
	const unsigned long at =
		vm_mmap(mm_, file_, guest_words * 4, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	if (IS_ERR_VALUE(at))
		throw std::runtime_error("second framebuffer: cannot be mapped");
	view_ = reinterpret_cast<std::uint32_t *>(at);
	for (unsigned i = 0; i < threads; i++)
		threads_.emplace_back([this, i] {
			const machine_scope bound(machine_);

			draw(i);
		});
}

guest_rig::~guest_rig()
{
	{
		std::lock_guard hold(lock_);
		quit_ = true;
		stopping_ = true;
	}
	changed_.notify_all();
	for (std::thread &t : threads_)
		t.join();
	mmput(mm_);
	fput(file_);
	xenfb_destroy(x_);
}

void guest_rig::stop()
{
	std::unique_lock hold(lock_);

	stopped_ = true;
	stopping_ = true;
	changed_.notify_all();
	changed_.wait(hold, [this] { return parked_ == threads; });
}

void guest_rig::resume()
{
	{
		std::lock_guard hold(lock_);
		stopped_ = false;
		stopping_ = false;
	}
	changed_.notify_all();
}

void guest_rig::draw(unsigned index)
{
	std::mt19937 random(index + 1);
	std::uint32_t seq = 0;
	const auto store = [&](std::uint32_t word) {
		word = word / threads * threads + index;
		*const_cast<volatile std::uint32_t *>(view_ + word) = ++seq;
		oracle_[word] = seq;
		stores_.fetch_add(1, std::memory_order_relaxed);
	};

	for (;;) {
		{
			std::unique_lock hold(lock_);
			if (quit_)
				return;
			if (stopped_) {
				parked_++;
				changed_.notify_all();
				changed_.wait(hold, [this] { return !stopped_ || quit_; });
				parked_--;
				continue;
			}
			if (how_ != load::dense)
				changed_.wait_for(hold, std::chrono::milliseconds(1),
						  [this] { return stopped_ || quit_; });
		}
		switch (how_.load()) {
		case load::still:
			break;
		case load::sparse:
			for (int i = 0; i < 4; i++)
				store(random() % guest_words);
			break;
		case load::dense:
			for (std::uint32_t page = 0; page < guest_words / page_words && !stopping_;
			     page++)
				store(page * page_words + random() % page_words);
			break;
		}
	}
}

std::string guest_rig::check()
{
	xenfb_geometry geometry;

	if (const int error = xenfb_flush(x_))
		return fuse_fb::format_string("guest: flush: %s", std::strerror(-error));
	const auto *copy = static_cast<const std::uint32_t *>(
		xenfb_back_lock_copy(xenfb_backend(x_), &geometry));
	if (!copy)
		return "guest: no picture";
	std::string why;
	for (std::uint32_t i = 0; i < guest_words && why.empty(); i++)
		if (copy[i] != oracle_[i])
			why = fuse_fb::format_string(
				"guest: word %u of page %u: stored %u, there is %u", i % page_words,
				i / page_words, oracle_[i], copy[i]);
	xenfb_back_unlock_copy(xenfb_backend(x_));
	return why;
}

} // namespace e2e
