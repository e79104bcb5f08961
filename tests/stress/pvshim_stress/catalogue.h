/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * catalogue.h - every scenario; a file each, *_stress.cc
 */
#ifndef PVSHIM_STRESS_CATALOGUE_H
#define PVSHIM_STRESS_CATALOGUE_H

#include "stress.h"

namespace stress
{

scenario defio_scenario();
scenario p2m_scenario();
scenario paging_scenario();
scenario pin_scenario();
scenario evtchn_scenario();
scenario vmap_scenario();

/* All of them, in the order in which they run. */
std::vector<scenario> catalogue();

} // namespace stress

#endif
