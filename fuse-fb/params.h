/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * params.h - parameters of the machine's subsystems: -P and --help-params
 *
 * The list is what the subsystems say when a machine is made (<linux/moduleparam.h>), so it is
 * complete by itself.
 */
#pragma once

#include <string>
#include <vector>

#include <kshim/machine.h>

namespace fuse_fb
{

/* The subsystems of the daemon's machine. */
const machine_initcall *const *machine_calls();

class param_list
{
public:
	/* Lets a machine that is made with @config tell its parameters; we outlive the making. */
	void listen(pv_machine_config *config);
	/* @words: "module.name=value ..."; throws startup_error(usage) for one that is nobody's. */
	void check(const std::string &words) const;
	/* A line for each. */
	std::string text() const;

private:
	struct param {
		std::string module, name, help;
	};

	static void told(void *self, const char *module, const kernel_param *params,
			 std::size_t nr);

	std::vector<param> params_;
};

/* What --help-params prints. Makes a machine and destroys it. Throws startup_error. */
std::string help_params();

} // namespace fuse_fb
