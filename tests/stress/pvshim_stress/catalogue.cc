// SPDX-License-Identifier: GPL-2.0-or-later
#include "catalogue.h"

std::vector<stress::scenario> stress::catalogue()
{
	return {
		defio_scenario(),  pin_scenario(), evtchn_scenario(),
		paging_scenario(), p2m_scenario(), vmap_scenario(),
	};
}
