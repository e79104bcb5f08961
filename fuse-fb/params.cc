/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * params.cc - parameters of the machine's subsystems; see params.h
 */
#include "params.h"

#include <algorithm>
#include <sstream>

#include <backend/xenfb_back.h>
#include <kshim/mmu.h>
#include <kshim/xen.h>
#include <linux/fb.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <video/xen_fbfront.h>
#include <xen/events.h>
#include <xen/xenbus.h>

#include "message.h"

namespace fuse_fb
{

const machine_initcall *const *machine_calls()
{
	static const machine_initcall *const calls[] = {
		&mmu_initcall,        &mm_initcall,         &xen_initcall,
		&xen_events_initcall, &xenbus_initcall,     &fb_initcall,
		&xenfb_initcall,      &xenfb_back_initcall, nullptr,
	};

	return calls;
}

void param_list::told(void *self, const char *module, const kernel_param *params, std::size_t nr)
{
	auto *list = static_cast<param_list *>(self);

	for (std::size_t i = 0; i < nr; i++)
		list->params_.push_back({module, params[i].name, params[i].help});
}

void param_list::listen(pv_machine_config *config)
{
	config->on_params = told;
	config->on_params_ctx = this;
}

void param_list::check(const std::string &words) const
{
	std::istringstream in(words);

	for (std::string word; in >> word;) {
		const std::string module = word.substr(0, word.find('.'));

		if (std::none_of(params_.begin(), params_.end(),
				 [&](const param &p) { return p.module == module; }))
			throw startup_error(
				exit_code::usage,
				format_string("-P %s: nothing in the machine is called '%s'; "
					      "pvshim-fb --help-params lists what there is",
					      word.c_str(), module.c_str()));
	}
}

std::string param_list::text() const
{
	std::string out;

	for (const param &p : params_) {
		const std::string name = p.module + "." + p.name + "=VALUE";

		out += "  " + name + std::string(name.size() < 28 ? 28 - name.size() : 1, ' ') +
		       p.help + "\n";
	}
	return out;
}

std::string help_params()
{
	param_list list;
	pv_machine_config config;

	config.name = "pvshim-fb";
	config.memory_bytes = 16ul << 20;
	list.listen(&config);
	pv_machine *m = pv_machine_create(&config, machine_calls());
	if (IS_ERR(m))
		throw startup_error(
			exit_code::failure,
			format_string("cannot make a machine to ask: error %ld", PTR_ERR(m)));
	pv_machine_destroy(m);
	return "Parameters of the machine, each as  -P module.name=value:\n" + list.text();
}

} // namespace fuse_fb
