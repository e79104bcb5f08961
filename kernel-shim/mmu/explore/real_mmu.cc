// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * real_mmu.cc - explored worlds on the real MMU (real_mmu.h)
 *
 *      window, reserved     | area | guard | area | guard | .................... |
 *
 * The window and the userfaultfd outlive worlds; what a world put there is taken away when the next
 * one begins, since a world that is given up half way takes nothing away itself.
 *
 * Mutants: real_keeps_right leaves the right there that a call took away, real_maps_next_frame
 * installs the frame behind the wanted one. Both must be noticed at the first access that shows it.
 */
#include "real_mmu.h"
#include "../range.h"
#include "soft_mmu.h"

#include <kshim/mutant.h>
#include <linux/err.h>
#include <linux/kernel.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define REAL_WINDOW_HINT SOFT_FIRST_ADDR
#define REAL_WINDOW_BYTES (1ul << 36)

struct real_area {
	struct real_area *next;
	struct mmu host; /* pays for system calls: none of this is the machine's */
	struct mmu_range range;
	const struct mmu_area *model;
	unsigned int weakening; /* calls that are at it (X2) */
	bool gone;
	u64 records[];
};

struct real_mmu {
	const struct range_backend *backend;
	int uffd; /* -1: none */
	bool traps;
	unsigned long window, next; /* 0: none yet; the first free address */
	struct real_area *areas;    /* not a list_head: looking at one is a step */
	struct soft_access *access; /* whose instruction is being made */
};

static bool reserve(unsigned long addr, size_t bytes, int flags, unsigned long *got)
{
	void *at = mmap((void *)addr, bytes, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);

	*got = (unsigned long)at;
	return at != MAP_FAILED;
}

static void free_areas(struct real_mmu *real)
{
	while (real->areas) {
		struct real_area *area = real->areas;

		real->areas = area->next;
		free(area);
	}
}

static void real_reset(struct real_mmu *real)
{
	unsigned long same;

	free_areas(real);
	if (real->next > real->window &&
	    !reserve(real->window, real->next - real->window, MAP_FIXED, &same))
		kshim_misused("the last world's addresses cannot be cleared: errno %d", errno);
	real->next = real->window;
	real->access = nullptr;
}

static void real_drop(void *object)
{
	struct real_mmu *real = (struct real_mmu *)object;

	free_areas(real);
	if (real->window)
		munmap((void *)real->window, REAL_WINDOW_BYTES);
	if (real->uffd >= 0)
		close(real->uffd);
	if (real->traps)
		mmu_traps_put();
	free(real);
}

static void open_uffd(struct real_mmu *real, struct mmu *mmu)
{
	char problem[160];

	real->backend = &uffd_backend;
	real->uffd = uffd_open(mmu, false, problem, sizeof(problem));
	if (real->uffd < 0)
		kshim_misused("the real MMU cannot be had by userfaultfd: %s", problem);
}

/* What fails in here ends the world; what was made by then is dropped with the explorer. */
static struct real_mmu *real_create(struct mmu *mmu, enum explore_mmu kind)
{
	struct real_mmu *real = (struct real_mmu *)calloc(1, sizeof(*real));
	int err;

	if (!real)
		kshim_misused("no memory for what is known of the real MMU");
	real->backend = &mprot_backend;
	real->uffd = -1;
	if (!kshim_keep(KSHIM_KEPT_REAL_MMU, real, real_drop))
		kshim_violation("a second real MMU in one world");
	if (kind == explore_mmu::uffd)
		open_uffd(real, mmu);
	if (!reserve(REAL_WINDOW_HINT, REAL_WINDOW_BYTES, 0, &real->window)) {
		real->window = 0;
		kshim_misused("the real MMU has no %lu bytes of addresses left: errno %d; is "
			      "there a limit (ulimit -v)?",
			      REAL_WINDOW_BYTES, errno);
	}
	real->next = real->window;
	err = mmu_traps_get();
	if (err)
		kshim_misused("the signal handlers cannot be installed: error %d", err);
	real->traps = true;
	return real;
}

struct real_mmu *real_mmu_get(struct mmu *mmu)
{
	struct kshim_world_mmu *world = kshim_world_mmu();

	if (!world || world->kind == explore_mmu::soft)
		return nullptr;
	if (world->real)
		return world->real; /* another machine of this world */
	world->real = (struct real_mmu *)kshim_kept(KSHIM_KEPT_REAL_MMU);
	if (world->real)
		real_reset(world->real);
	else
		world->real = real_create(mmu, world->kind);
	return world->real;
}

bool real_owns(const struct real_mmu *real, unsigned long addr)
{
	return real && addr - real->window < REAL_WINDOW_BYTES;
}

/* Areas. */

void real_area_create(struct mmu_area *model)
{
	struct real_mmu *real = model->mmu->host->real;
	size_t bytes = model->nr_pages << PAGE_SHIFT;
	struct real_area *area;
	int err;

	if (!real)
		return;
	if (real->next + bytes + PAGE_SIZE > real->window + REAL_WINDOW_BYTES)
		kshim_misused("the real MMU has no %zu bytes of addresses left for a program",
			      bytes);
	area = (struct real_area *)calloc(1, sizeof(*area) +
						     model->nr_pages * sizeof(area->records[0]));
	if (!area)
		kshim_misused("no memory for what is known of an area");
	model->start = real->next;
	real->next += bytes + PAGE_SIZE;
	area->host.memfd = model->mmu->memfd;
	area->host.mapping_budget = mmu_default_budget();
	area->model = model;
	area->range.mmu = &area->host;
	area->range.backend = real->backend;
	area->range.uffd = real->uffd;
	area->range.start = model->start;
	area->range.nr_pages = model->nr_pages;
	area->range.records = area->records;
	area->next = real->areas;
	real->areas = area;
	model->real = area;
	err = range_create(area->range);
	if (err)
		kshim_misused("the host refuses %zu bytes of addresses: error %d", bytes, err);
}

/* The page becomes what the model's PTE is now. */
static void make_equal(struct real_area *area, unsigned long index)
{
	u64 pte = area->gone ? 0 : area->model->ptes[index];
	unsigned long pfn = pte >> PAGE_SHIFT;
	int err;

	if (!(pte & SOFT_PRESENT)) {
		if (area->records[index] & RECORD_PRESENT)
			range_zap(area->range, index, 1);
		return;
	}
	if (KSHIM_MUTANT(real_maps_next_frame))
		pfn++;
	err = range_map(area->range, index, pfn, pte & SOFT_WRITABLE ? MMU_RW : MMU_RO);
	if (err)
		kshim_misused("the host refuses a mapping at %#lx: error %d",
			      range_addr(area->range, index), err);
}

void real_strengthened(struct mmu_area *model, unsigned long index)
{
	if (model->real)
		make_equal(model->real, index);
}

void real_weakening(struct mmu_area *model)
{
	if (model->real)
		model->real->weakening++;
}

void real_weakened(struct mmu_area *model, unsigned long first, unsigned long nr)
{
	if (!model->real)
		return;
	model->real->weakening--;
	if (KSHIM_MUTANT(real_keeps_right))
		return;
	for (unsigned long i = first; i < first + nr; i++)
		make_equal(model->real, i);
}

void real_bind(struct mmu_area *model, unsigned long first, struct page *const *pages,
	       unsigned long nr)
{
	int err;

	if (!model->real)
		return;
	/* A page whose right is on its way out is as good as not present. */
	for (unsigned long i = first; i < first + nr; i++)
		make_equal(model->real, i);
	err = range_bind(model->real->range, first, pages, nr);
	if (err)
		kshim_misused("the host refuses %lu mappings at %#lx: error %d", nr,
			      range_addr(model->real->range, first), err);
}

void real_area_gone(struct mmu_area *model)
{
	if (!model->real)
		return;
	real_weakening(model);
	model->real->gone = true;
}

void real_area_destroy(struct mmu_area *model)
{
	struct real_area *area = model->real, **link;

	if (!area)
		return;
	range_destroy(area->range);
	for (link = &model->mmu->host->real->areas; *link != area; link = &(*link)->next)
		;
	*link = area->next;
	free(area);
}

/* Also one that the model has no name for any more: its addresses are still there. */
static struct real_area *find_area(struct real_mmu *real, unsigned long addr)
{
	struct real_area *area = real->areas;

	while (area && (addr - area->range.start) >> PAGE_SHIFT >= area->range.nr_pages)
		area = area->next;
	return area;
}

/* Accesses. */

static const char *kind_of(const struct soft_access *access)
{
	return access->write ? "store" : "load";
}

void real_disagrees(const struct soft_access *access, const char *what)
{
	kshim_violation("the soft MMU and the real one disagree: a %s at %#lx %s", kind_of(access),
			access->addr, what);
}

/* Has the page the right, as far as we gave it? */
static bool is_permitted(const struct real_area *area, unsigned long index, bool write)
{
	u64 need = write ? RECORD_PRESENT | RECORD_WRITABLE : RECORD_PRESENT;

	return (area->records[index] & need) == need;
}

static unsigned long frame_of(const struct soft_access *access)
{
	return (unsigned long)(access->at - access->mmu->window) >> PAGE_SHIFT;
}

/* The last moment before the instruction: X2 and X3. */
static void prepare(struct real_mmu *real, const struct soft_access *access)
{
	struct real_area *area = find_area(real, access->addr);
	unsigned long index;
	bool permitted;

	if (!area) {
		if (access->stale)
			goto unfit;
		return;
	}
	index = (access->addr - area->range.start) >> PAGE_SHIFT;
	permitted = is_permitted(area, index, access->write);
	if (!access->at) {
		if (permitted && area->weakening)
			make_equal(area, index);
		return;
	}
	if (!access->stale || (permitted && record_pfn(area->records[index]) == frame_of(access)))
		return;
unfit:
	kshim_unfit("this schedule needs a stale TLB entry (for a %s at %#lx), which the real MMU "
		    "cannot be made to keep",
		    kind_of(access), access->addr);
}

void real_access_begin(struct soft_access *access)
{
	struct real_mmu *real = access->mmu->host->real;

	prepare(real, access);
	real->access = access;
	kshim_world_mmu()->accesses++;
	barrier();
}

void real_access_end(struct soft_access *access)
{
	barrier();
	access->mmu->host->real->access = nullptr;
	if (!access->at)
		real_disagrees(access, "passes, and the soft one refuses it");
}

/* In the signal handler of the thread whose instruction was refused. */
bool mmu_resolve_trap(unsigned long addr, bool write)
{
	struct kshim_world_mmu *world = kshim_world_mmu();
	struct soft_access *access;

	if (!world || !world->real || !world->real->access)
		return false;
	access = world->real->access;
	if (access->addr != addr)
		return false; /* a fault of our own */
	world->real->access = nullptr;
	world->faults++;
	if (access->write != write)
		real_disagrees(access, "is refused as something else");
	if (access->at)
		real_disagrees(access, "is refused, and the soft one allows it");
	kshim_note("signal: a %s at %#lx is refused", kind_of(access), addr);
	user_fault(access);
	user_attempt(access);
	real_access_begin(access);
	return true;
}
