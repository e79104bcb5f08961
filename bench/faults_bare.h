/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * faults_bare.h - ways of taking a page fault in user space with nothing around them
 *
 * What the mmu is compared with: the same host calls, made from the shortest handler that does the
 * job, with no lookup, no lock, no record and no callback.
 */
#pragma once

#include <cstddef>
#include <memory>

namespace faults
{

/* Pages whose faults a way resolves. After arm_*() each page faults once. */
class way
{
public:
	virtual ~way() = default;
	virtual const char *name() const = 0;
	/* Null: works here; else why not. */
	virtual const char *problem() const { return nullptr; }
	virtual volatile unsigned *page(std::size_t n) = 0;
	virtual void arm_minor() = 0;           /* the frame is there, the PTE is not */
	virtual void arm_write_protected() = 0; /* the PTE is there, read-only */
	/* The thread that resolves, if there is one, goes to this processor; -1: anywhere. */
	virtual void pin_handler(int cpu) = 0;
};

std::unique_ptr<way> make_bare_sigbus(std::size_t pages);
std::unique_ptr<way> make_bare_thread(std::size_t pages);
std::unique_ptr<way> make_bare_mprotect(std::size_t pages);

/* Pins a thread (0: the caller) to one processor; -1: to all. */
void pin_thread(int tid, int cpu);

} // namespace faults
