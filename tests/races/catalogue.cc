// SPDX-License-Identifier: GPL-2.0-or-later
#include "catalogue.h"

std::vector<races::race_subsystem> races::race_catalogue()
{
	return {core_subsystem(),   defio_subsystem(), evtchn_subsystem(), p2m_subsystem(),
		paging_subsystem(), pin_subsystem(),   vmap_subsystem(),   xenfb_subsystem()};
}
