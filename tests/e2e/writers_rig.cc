/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writers_rig.cc - real writers against the tracker, with an oracle; see writers_rig.h
 */
#include "writers_rig.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kshim/machine.h>

#include "daemon.h"
#include "guest_rig.h"
#include "message.h"
#include "picture.h"
#include "process.h"
#include "writer_shared.h"

using namespace fuse_fb;

namespace e2e
{

namespace
{

constexpr screen_geometry mode{1024, 768, 32, 4096, 0}; /* 768 whole pages */
constexpr std::uint32_t words = 1024 * 768;
using clock = std::chrono::steady_clock;

class rig
{
public:
	explicit rig(const rig_options &options)
		: options_(options), random_(options.seed),
		  daemon_(daemon_config(), track_tunables(), &mutant_), bound_(daemon_.machine())
	{
		mutant_.set(options.mutant);
		memory_ = memfd_create("oracle", MFD_CLOEXEC);
		if (memory_ < 0 ||
		    ftruncate(memory_, static_cast<off_t>(shared_block::bytes(words))))
			throw std::runtime_error("memfd");
		void *p = mmap(nullptr, shared_block::bytes(words), PROT_READ | PROT_WRITE,
			       MAP_SHARED, memory_, 0);
		if (p == MAP_FAILED)
			throw std::runtime_error("mmap of the memfd");
		shared_ = static_cast<shared_block *>(p);
		shared_->words = words;
		shared_->with_write = 1;
		fb0_ = daemon_.find("fb0");
		for (unsigned w = 0; w < writers; w++)
			start_writer(w);
		if (options.guests)
			guests_.emplace(daemon_.machine());
	}

	~rig()
	{
		guests_.reset();
		for (child &c : children_)
			c.kill();
		fb0_.reset();
		munmap(shared_, shared_block::bytes(words));
		close(memory_);
	}

	rig_result run();

private:
	daemon_options daemon_config()
	{
		daemon_options o;

		o.mount_point = dir_.path();
		o.mode = mode;
		o.rate = 100;
		o.memory_bytes = 64ul << 20;
		return o;
	}
	void start_writer(unsigned w)
	{
		child::setup with;

		with.descriptor3 = memory_;
		children_[w] = child({helper_path(), "write", dir_.file("fb0"), std::to_string(w),
				      std::to_string(options_.seed * 1000 + ++started_)},
				     with);
	}

	bool violated(const std::string &what)
	{
		if (result_.violation.empty())
			result_.violation = what + " (state " +
					    track_state_name(fb0_->tracking()->state()) + ")";
		return false;
	}

	bool stop_writers();
	void resume_writers();
	void kill_one();
	bool settle_intents(const std::uint32_t *now);
	bool equals_oracle(const std::uint32_t *now, const char *what);
	bool check_flush();
	bool burst();
	bool check_settled();
	bool check_file();
	void count();
	bool enough() const;
	void play(load how, std::chrono::milliseconds time);

	const rig_options options_;
	std::mt19937 random_;
	track_mutant_switch mutant_;
	mount_dir dir_;
	fuse_fb::daemon daemon_;
	const machine_scope bound_;
	int memory_ = -1;
	shared_block *shared_ = nullptr;
	std::shared_ptr<screen> fb0_;
	std::array<child, writers> children_;
	std::optional<guest_rig> guests_;
	unsigned started_ = 0;
	rig_result result_;
};

/* Return: false when a writer does not stop: it hangs in a fault, or has died of something. */
bool rig::stop_writers()
{
	const std::uint32_t epoch = ++shared_->stop_epoch;

	if (guests_)
		guests_->stop();
	syscall(SYS_futex, &shared_->stop_epoch, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
	for (unsigned w = 0; w < writers; w++) {
		const bool parked = eventually([&] {
			return shared_->slots[w].parked_epoch == epoch ||
			       children_[w].wait(milliseconds(0));
		});
		if (!parked)
			return violated("writer " + std::to_string(w) + " does not stop: it hangs");
		if (children_[w].code() >= 0)
			return violated("writer " + std::to_string(w) +
					" died: " + children_[w].output());
	}
	return true;
}

void rig::resume_writers()
{
	++shared_->stop_epoch;
	syscall(SYS_futex, &shared_->stop_epoch, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
	if (guests_)
		guests_->resume();
}

/* In the middle of whatever it does. */
void rig::kill_one()
{
	children_[writers - 1].kill();
	result_.kills++;
}

/*
 * What the killed writer had begun may have happened or not; @now tells. Then it is started again.
 */
bool rig::settle_intents(const std::uint32_t *now)
{
	writer_slot &slot = shared_->slots[writers - 1];

	if (slot.intent_valid) {
		for (std::uint32_t i = 0; i < slot.intent_count; i++) {
			std::uint32_t &expected = shared_->oracle[slot.intent_first + i];

			if (now[slot.intent_first + i] == slot.intent_seq)
				expected = slot.intent_seq;
		}
		slot.intent_valid = 0;
	}
	return true;
}

bool rig::equals_oracle(const std::uint32_t *now, const char *what)
{
	std::uint32_t wrong = 0, first = 0;

	for (std::uint32_t i = words; i-- > 0;)
		if (now[i] != shared_->oracle[i]) {
			wrong++;
			first = i;
		}
	if (wrong == 0)
		return true;
	return violated(format_string(
		"%s: %u words differ, the first at page %u, owner %u: stored %u, there is %u", what,
		wrong, first / page_words, first / block_words % writers, shared_->oracle[first],
		now[first]));
}

bool rig::check_flush()
{
	bool same = false;

	result_.flush_checks++;
	if (const int error = fb0_->flush())
		return violated(format_string("flush: %s", std::strerror(-error)));
	with_picture(*fb0_, [&](const void *copy) {
		settle_intents(static_cast<const std::uint32_t *>(copy));
		same = equals_oracle(static_cast<const std::uint32_t *>(copy), "after a flush");
	});
	if (same && guests_) {
		const std::string why = guests_->check();

		if (!why.empty())
			return violated(why);
	}
	return same;
}

/*
 * Checks so close to each other that most harvests are theirs: then a transition is likely to
 * happen in one of them, with stores just before it.
 */
bool rig::burst()
{
	const load how = random_() % 2 ? load::sparse : shared_->how.load();

	for (int i = 0; i < 14; i++) {
		play(how, milliseconds(1 + random_() % 4));
		if (!stop_writers() || !check_flush())
			return false;
		resume_writers();
	}
	return true;
}

bool rig::check_settled()
{
	bool same = false;

	result_.settle_checks++;
	const bool settled = eventually(
		[&] {
			if (fb0_->tracking()->state() != track_state::idle)
				return false;
			with_picture(*fb0_, [&](const void *copy) {
				same = std::memcmp(copy, shared_->oracle, words * 4ul) == 0;
			});
			return same;
		},
		options_.settle_limit);
	if (settled)
		return true;
	if (fb0_->tracking()->state() != track_state::idle)
		return violated("a still file does not come to rest");
	with_picture(*fb0_, [&](const void *copy) {
		equals_oracle(static_cast<const std::uint32_t *>(copy),
			      "stores that nobody noticed");
	});
	return false;
}

/* The file, as other programs see it, through read(2). */
bool rig::check_file()
{
	std::vector<std::uint32_t> bytes(words);
	const int fd = open(dir_.file("fb0").c_str(), O_RDONLY | O_CLOEXEC);
	std::size_t got = 0;

	while (fd >= 0 && got < words * 4ul) {
		const ssize_t n = pread(fd, reinterpret_cast<char *>(bytes.data()) + got,
					words * 4ul - got, static_cast<off_t>(got));
		if (n <= 0)
			break;
		got += static_cast<std::size_t>(n);
	}
	close(fd);
	if (got != words * 4ul)
		return violated("fb0 cannot be read");
	return equals_oracle(bytes.data(), "the file");
}

void rig::count()
{
	const content::counters &c = fb0_->bytes().stats();
	const tracker_stats t = fb0_->tracking()->stats();

	result_.dirtyings = c.cache_pages + c.looked_pages;
	std::memcpy(result_.transitions, t.transitions, sizeof(result_.transitions));
	if (guests_)
		result_.guest_stores = guests_->stores();
}

bool rig::enough() const
{
	const auto &t = result_.transitions;
	const auto n = [&](track_state from, track_state to) {
		return t[static_cast<int>(from)][static_cast<int>(to)];
	};
	const std::uint64_t rarest = std::min({n(track_state::idle, track_state::sparse),
					       n(track_state::sparse, track_state::dense),
					       n(track_state::dense, track_state::sparse),
					       n(track_state::sparse, track_state::idle)});

	return result_.dirtyings >= options_.at_least_dirtyings &&
	       rarest >= options_.at_least_transitions;
}

/* A stretch of one load. Its length is the load's, nothing is waited for. */
void rig::play(load how, milliseconds time)
{
	const timespec t{time.count() / 1000, time.count() % 1000 * 1000000};

	shared_->how = how;
	if (guests_)
		guests_->set_load(how);
	nanosleep(&t, nullptr);
}

rig_result rig::run()
{
	const clock::time_point begin = clock::now();
	static constexpr load loads[] = {load::dense, load::sparse, load::still};
	bool good = true;

	for (unsigned round = 0; good; round++) {
		const load how = loads[random_() % 4 % 3];

		/* Short ones cut through transitions, long ones let them happen. */
		play(how, milliseconds(random_() % 2 ? 5 + random_() % 40 : 60 + random_() % 200));
		if (random_() % 3 == 0 && !burst()) {
			good = false;
			break;
		}
		const bool kill = random_() % 8 == 0;
		if (kill)
			kill_one();
		else if (random_() % 3 == 0)
			continue;

		/* The killed one does not answer; it is started again after the check. */
		if (kill) {
			shared_->slots[writers - 1].parked_epoch = shared_->stop_epoch + 1;
			children_[writers - 1] = child();
		}
		good = stop_writers();
		if (good && !kill && random_() % 4 == 0) {
			/* Asleep, then a few stores: the first of them must wake it. */
			good = check_settled();
			if (good) {
				resume_writers();
				play(load::sparse, milliseconds(3 + random_() % 8));
				good = stop_writers() && check_settled();
			}
		}
		good = good && check_flush();
		if (good && random_() % 16 == 0)
			good = check_file();
		if (kill)
			start_writer(writers - 1);
		resume_writers();

		count();
		const auto time = clock::now() - begin;
		if (time > options_.duration && (enough() || time > options_.give_up))
			break;
	}
	if (good && stop_writers()) {
		/* Quiescence: nothing is stored any more, nothing is flushed. */
		if (check_settled() && check_file())
			check_flush();
		shared_->quit = 1;
		resume_writers();
	}
	count();
	return result_;
}

} // namespace

std::string rig_result::summary() const
{
	std::string moves;

	for (int from = 0; from < 3; from++)
		for (int to = 0; to < 3; to++)
			if (transitions[from][to])
				moves += format_string(
					" %s-%s %lu",
					track_state_name(static_cast<track_state>(from)),
					track_state_name(static_cast<track_state>(to)),
					transitions[from][to]);
	return format_string("%lu page dirtyings, %lu guest stores, %u flush checks, %u settle "
			     "checks, %u kills;%s",
			     dirtyings, guest_stores, flush_checks, settle_checks, kills,
			     moves.c_str());
}

rig_result run_rig(const rig_options &options)
{
	rig r(options);

	return r.run();
}

} // namespace e2e
