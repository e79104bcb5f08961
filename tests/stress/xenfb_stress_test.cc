/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Both ends of a virtual framebuffer under load, in rounds:
 *
 *      3 programs     stamps at random places of their mappings    |  wait  | next round
 *      resizer        another geometry of the same memory          |        |
 *      toolstack      the back end's device goes and comes back    |        |
 *      liar           random words into the rings' slots           |        |
 *      viewer         looks, all the time                          |        |
 *      main                                                        | flush, compare
 *
 *      oracle: each program owns every third word of the frame and remembers its last stamp there;
 *      at the end of a round the frame is what was stored, and the copy is the frame.
 *
 * The liar stands for a guest that writes over events which it has sent: what is shown in such a
 * round is its own loss, so a round ends with a change of geometry, after which all of it is copied
 * again. The seed is printed. It runs for 5 seconds.
 *
 * To see it fail: let update_copy_locked() empty the stale set after it has copied.
 */
#include "unit/xenfb_test.h"

#include <linux/fs.h>
#include <linux/mman.h>

#include <barrier>

#include "video/xen_fbfront_private.h"

using namespace xen_test;

namespace
{

constexpr u32 WIDTH = 64, HEIGHT = 128, BYTES = WIDTH * HEIGHT * 4;
constexpr unsigned int PROGRAMS = 3;
constexpr char BACK[] = "/local/domain/0/backend/vfb/1/0";

/* A guest program that stores stamps. */
class writer
{
public:
	writer(fb_info *info, std::vector<u32> &oracle, unsigned int number, unsigned int seed)
		: oracle_(oracle), number_(number), random_(seed + number), file_(fb_open(info)),
		  mm_(mm_alloc()),
		  screen_(vm_mmap(mm_, file_, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, 0))
	{
		EXPECT_FALSE(IS_ERR_VALUE(screen_));
	}
	~writer()
	{
		mmput(mm_);
		fput(file_);
	}
	writer(const writer &) = delete;
	writer &operator=(const writer &) = delete;

	void round()
	{
		for (int i = 0; i < 200; i++) {
			size_t word = random_() % (BYTES / 4 / PROGRAMS) * PROGRAMS + number_;

			((volatile u32 *)screen_)[word] = oracle_[word] = random_();
		}
	}

private:
	std::vector<u32> &oracle_;
	unsigned int number_;
	std::mt19937 random_;
	file *file_;
	mm_struct *mm_;
	unsigned long screen_;
};

/* Some geometry that fits; with the back end away it is refused, and that is well. */
void resize(fb_info *info, std::mt19937 &random)
{
	const xenfb_front_geometry g = {.width = 16 + (u32)random() % 49,
					.height = 16 + (u32)random() % 112,
					.depth = 32,
					.line_length = WIDTH * 4,
					.offset = 0};
	int err = xenfb_front_set_geometry(info, &g);

	EXPECT_TRUE(err == 0 || err == -EOPNOTSUPP) << err;
}

bool connected(xenfb *x)
{
	struct xenfb_front_stats front;
	struct xenfb_back_stats back;

	xenfb_front_stats(xenfb_info(x), &front);
	xenfb_back_stats(xenfb_backend(x), &back);
	return front.connected && back.connected;
}

void restart_back_end()
{
	xenbus_rm(XBT_NIL, BACK, "state");
	xenbus_watch_flush(xen_domain(XEN_DOM_BACK));
	write_number(BACK, "state", XenbusStateInitialising);
}

/* Over events that may be on their way; never over an index. */
void lie(xenfb_page *page, std::mt19937 &random)
{
	for (int i = 0; i < 20; i++) {
		auto *slot = reinterpret_cast<u32 *>(&XENFB_OUT_RING_REF(page, random()));

		WRITE_ONCE(slot[random() % 10], (u32)(random() % 2 ? random() : random() % 64));
	}
}

} // namespace

TEST(xenfb_stress, copy_is_the_frame_and_the_frame_what_was_stored)
{
	const unsigned int seed = std::random_device{}();
	std::printf("seed %u\n", seed);
	xenfb_machine m;
	xenfb_ptr x = create(m, {.width = WIDTH, .height = HEIGHT, .depth = 32, .refresh_us = 200});
	fb_info *info = xenfb_info(x.get());
	auto *front = static_cast<xenfb_front *>(info->par);
	std::vector<u32> oracle(BYTES / 4);
	std::atomic<bool> stop{false};
	std::barrier begin(PROGRAMS + 4), end(PROGRAMS + 4);
	std::vector<std::thread> threads;
	std::mt19937 random(seed);
	const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
	int rounds = 0;

	/* @work(generator) in each round. */
	auto start = [&](auto work) {
		threads.emplace_back([&, work, own = (unsigned int)random()] {
			machine_scope scope(m.get());
			std::mt19937 generator(own);

			for (begin.arrive_and_wait(); !stop; begin.arrive_and_wait()) {
				work(generator);
				end.arrive_and_wait();
			}
		});
	};

	std::vector<std::unique_ptr<writer>> programs;
	for (unsigned int i = 0; i < PROGRAMS; i++) {
		programs.push_back(std::make_unique<writer>(info, oracle, i, seed));
		start([program = programs[i].get()](std::mt19937 &) { program->round(); });
	}
	start([info](std::mt19937 &r) { resize(info, r); });
	start([front](std::mt19937 &r) {
		if (r() % 2)
			restart_back_end();
		else
			lie(front->page, r);
	});
	start([&x](std::mt19937 &) {
		xenfb_geometry g;

		for (int i = 0; i < 20; i++)
			copy_of(xenfb_backend(x.get()), &g);
	});
	for (; std::chrono::steady_clock::now() < until && !HasFailure(); rounds++) {
		begin.arrive_and_wait();
		end.arrive_and_wait();
		/* Both ends have found each other again. All that was lied about is told anew. */
		EXPECT_TRUE(eventually([&] { return settle(), connected(x.get()); }))
			<< "round " << rounds << m.log();
		EXPECT_EQ(xenfb_flush(x.get()), 0);
		resize(info, random);
		EXPECT_EQ(xenfb_flush(x.get()), 0);
		EXPECT_EQ(memcmp(info->screen_buffer, oracle.data(), BYTES), 0)
			<< "round " << rounds;
		xenfb_geometry g;

		const auto copy = copy_of(xenfb_backend(x.get()), &g), frame = visible(info);
		const auto at = std::mismatch(copy.begin(), copy.end(), frame.begin(), frame.end());

		EXPECT_TRUE(copy == frame)
			<< "round " << rounds << ": the copy has " << g.width << "x" << g.height
			<< ", the frame " << info->var.xres << "x" << info->var.yres
			<< "; the first difference is at byte " << at.first - copy.begin();
	}
	stop = true;
	begin.arrive_and_wait();
	for (auto &thread : threads)
		thread.join();
	programs.clear();
	std::printf("%d rounds\n", rounds);
	EXPECT_GT(rounds, 10) << "too slow, not wrong";
}
