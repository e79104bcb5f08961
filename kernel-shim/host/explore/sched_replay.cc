// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One schedule again: option 0 everywhere but at the given decisions.
 */
#include "scheduler.h"

namespace
{

class sched_replay final : public scheduler
{
public:
	explicit sched_replay(std::vector<deviation> path) : path_(std::move(path)) {}

	bool begin() override
	{
		if (started_)
			return false;
		started_ = true;
		return true;
	}

	bool is_default(const decision &d) override
	{
		return pos_ == path_.size() || d.ordinal != path_[pos_].ordinal;
	}

	int pick(const decision &d) override
	{
		u32 option = path_[pos_].option;

		if (option >= d.options.size())
			return DIVERGED;
		pos_++;
		return (int)option;
	}

	bool end() override { return pos_ == path_.size(); }

private:
	std::vector<deviation> path_;
	size_t pos_ = 0;
	bool started_ = false;
};

} // namespace

std::unique_ptr<scheduler> make_sched_replay(std::vector<deviation> path)
{
	return std::make_unique<sched_replay>(std::move(path));
}
