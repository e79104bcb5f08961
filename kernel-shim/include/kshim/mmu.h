/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kshim/mmu.h - guest memory, what maps it, and faults
 *
 * Guest memory is one memfd; a frame is a page of it. Frames are reached in three ways:
 *
 *      direct map     frames in order, always there                page_address(page)
 *      kernel map     any frames, side by side, always there       kernel_map_create()
 *      kernel window  the same, at addresses its owner chooses     kernel_window_map()
 *      area           addresses of a guest program: they fault until their owner installs a PTE
 *
 *      program's access -> fault -> ops->fault(area, address, write)   the owner decides
 *                                     mmu_map(area, address, page)     the PTE: a step of its own
 *                       <- the access is made again
 *
 * I1. A program's access to a page of an area succeeds only between mmu_map() and the mmu_zap(),
 *     mmu_protect() or mmu_area_destroy() that takes the right away; when these return no
 *     processor can use the old right any more.
 * I2. mmu_pte() never says "present" or "writable" when a program's access would fault for good,
 *     nor the reverse, once the calls that change this page have returned. During them it is one or
 *     the other.
 * I3. An area's ops->fault() does not run after mmu_area_destroy() returned.
 * The owner of an area keeps the frames: the mmu takes no reference to a page.
 *
 * KSHIM: Linux's handle_mm_fault() installs the PTE when the driver's callback has returned. Here
 * the callback's caller (mm/memory.cc) does, through mmu_map(), so the window between both exists
 * for real. A store and a load are real instructions on a real mapping; under the explorer they are
 * made by <kshim/user.h> on a page table and TLBs of our own.
 * KSHIM: fork(): a child shares guest memory and its areas have no faults. Only exec or _exit in
 * it.
 */
#ifndef KSHIM_MMU_H
#define KSHIM_MMU_H

#include <asm/page.h>
#include <kshim/fault.h>
#include <linux/compiler.h>
#include <linux/mm_types.h>

struct machine_initcall;
struct mmu_area;
struct pv_machine;

/* Guest memory, fault delivery. After core, before mm. */
extern const struct machine_initcall mmu_initcall;

/*
 * A machine's memory lies in an aligned window of addresses, so that a page's address follows from
 * its descriptor's, in any thread and without the machine:
 *
 *      base                          base + MMU_PAGES_OFFSET   base + MMU_ALIAS_OFFSET
 *      | direct map (frames 0, 1, ..)| struct page [0], [1], ..| the direct map once more |
 *
 * The alias is the hypervisor's (<kshim/direct_map.h>). The window is MMU_WINDOW bytes.
 */
#define MMU_WINDOW (1ul << 35)
#define MMU_PAGES_OFFSET (1ul << 33)
#define MMU_ALIAS_OFFSET (1ul << 34)
/* The most guest memory a machine can have. */
#define MMU_MEMORY_MAX MMU_PAGES_OFFSET

/* The array of all pages of the current machine; *@nr_pages gets their number. */
struct page *mmu_page_array(unsigned long *nr_pages);
/* Of these, the first so many have a direct map. */
unsigned long mmu_lowmem_pages(void);

static inline unsigned long page_to_pfn(const struct page *page)
{
	unsigned long base = (unsigned long)page & ~(MMU_WINDOW - 1);

	return (unsigned long)(page - (const struct page *)(base + MMU_PAGES_OFFSET));
}

/*
 * The frame's address in the direct map: always readable, and writable unless somebody protects it
 * (<kshim/direct_map.h>). Null for high memory.
 */
static inline void *page_address(const struct page *page)
{
	unsigned long base = (unsigned long)page & ~(MMU_WINDOW - 1);

	if (unlikely(__atomic_load_n(&page->flags, __ATOMIC_RELAXED) & PG_highmem))
		return nullptr;
	return (void *)(base + (page_to_pfn(page) << PAGE_SHIFT));
}

/* @addr: anywhere in a frame, in the direct map. */
static inline struct page *virt_to_page(const void *addr)
{
	unsigned long base = (unsigned long)addr & ~(MMU_WINDOW - 1);

	return (struct page *)(base + MMU_PAGES_OFFSET) +
	       (((unsigned long)addr - base) >> PAGE_SHIFT);
}

/* Of the current machine. A number from outside is checked with pfn_valid() first. */
bool pfn_valid(unsigned long pfn);
struct page *pfn_to_page(unsigned long pfn);

/* A frame number that cannot be mixed up with others (guest, machine): the type says which. */
typedef struct {
	unsigned long val;
} pfn_t;

static inline pfn_t page_to_pfn_t(const struct page *page)
{
	return {page_to_pfn(page)};
}

static inline bool pfn_t_valid(pfn_t pfn)
{
	return pfn_valid(pfn.val);
}

static inline struct page *pfn_t_to_page(pfn_t pfn)
{
	return pfn_to_page(pfn.val);
}

/**
 * mmu_page_discard - give a free frame's memory back to the host; it reads as zeroes afterwards
 * The caller owns the frame and nothing maps it. Context: may sleep (a system call).
 */
void mmu_page_discard(struct page *page);

enum mmu_prot {
	MMU_RO,
	MMU_RW,
};

/**
 * kernel_map_create - frames at consecutive addresses
 * @pages: any frames of the current machine, also several times the same
 * @nr: at least 1
 * @prot: MMU_RO: a store through the mapping is a fault that nobody resolves
 *
 * Runs of contiguous frames become one host mapping. An unmapped page follows. Context: may sleep.
 * Return: the address, or ERR_PTR: -EINVAL, -ENOMEM (the host has no memory or no mappings left).
 */
void *kernel_map_create(struct page *const *pages, unsigned long nr, enum mmu_prot prot);

/* @addr: from the calls beside. May sleep. On return the addresses are gone. */
void kernel_map_destroy(const void *addr);

/**
 * kernel_map_reserve - addresses where frames come and go while they are in use
 * @prot: of the frames that kernel_map_set() puts there, and of the scratch memory elsewhere
 *
 * Scratch memory is nobody's: it reads as zeroes until something is stored there. Return: as
 * kernel_map_create(); kernel_map_destroy() ends it.
 */
void *kernel_map_reserve(unsigned long nr, enum mmu_prot prot);

/**
 * kernel_map_set - frames in the place of what is at pages [first, first + nr)
 *
 * An access made meanwhile reaches the old or the new, and never nothing; on return none reaches
 * the old. Calls for one map are made one after the other. Return: 0; -EINVAL; -ENOMEM: these
 * pages may have become scratch memory; -ENOTRECOVERABLE: the whole map has.
 */
[[nodiscard]] int kernel_map_set(const void *addr, unsigned long first, struct page *const *pages,
				 unsigned long nr);

/**
 * kernel_map_scratch - scratch memory in the place of what is at pages [first, first + nr)
 *
 * As kernel_map_set(), and cannot fail: when the host has no mappings left for a hole in the
 * middle, the whole map becomes scratch memory. Return: true: only what was asked for.
 */
bool kernel_map_scratch(const void *addr, unsigned long first, unsigned long nr);

/*
 * A kernel window: addresses that one owner (mm's vmap) hands out by itself. Nothing is there until
 * it maps something, and what it leaves mapped stays.
 */
struct kernel_window {
	unsigned long start;
	unsigned long nr_pages;
	void **slots; /* a word for each page, null at first: the owner's */
	/*
	 * Explorer only: the frame that each page maps, and what each processor's TLB holds of it:
	 * a load fills it, and unmapping takes it away from one processor after another.
	 */
	struct page **mapped;
	struct page **tlbs; /* [processor][page] */
	bool apart;         /* private to the mmu: where the host puts nothing by itself */
};

/*
 * Reserves the addresses; no memory and no frames. One window a machine. 0 or -ENOMEM. May sleep,
 * as all of these.
 */
[[nodiscard]] int kernel_window_reserve(struct kernel_window *window, unsigned long nr_pages);
/* Takes back the addresses and whatever is mapped there. */
void kernel_window_release(struct kernel_window *window);

/**
 * kernel_window_map - map frames at @first, counted in pages from the window's start
 *
 * Nothing may be mapped there. Runs of contiguous frames become one host mapping.
 * Return: how many host mappings it counts for, to be given back to kernel_window_unmap();
 * -EINVAL: no frames of this machine; -ENOMEM: the host has no memory or no mappings left, nothing
 * was mapped and no line was logged: the owner may make room and try again.
 */
[[nodiscard]] long kernel_window_map(struct kernel_window *window, unsigned long first,
				     struct page *const *pages, unsigned long nr,
				     enum mmu_prot prot);

/*
 * Takes away all that is mapped in the range, whose mappings count for @charged; one system call.
 * On return no processor reaches anything there.
 */
void kernel_window_unmap(struct kernel_window *window, unsigned long first, unsigned long nr,
			 long charged);

/* Refuses accesses to what is mapped in the range, or lets them through again. 0 or -ENOMEM. */
[[nodiscard]] int kernel_window_refuse(struct kernel_window *window, unsigned long first,
				       unsigned long nr, bool refuse, enum mmu_prot prot);

/**
 * kernel_window_watch - be told of refused accesses in the machine's window, before they are fatal
 * @report: runs in the handler of the faulting thread; null: none
 */
void kernel_window_watch(void (*report)(unsigned long addr, bool write));

#if KSHIM_EXPLORE
/* A load by this processor at @addr of the machine's window: the frame; null: it faults. */
struct page *kernel_window_load(const void *addr);
/* The frame that some processor's load at @addr reaches now; null: it would fault on all. */
struct page *kernel_window_reached(const void *addr);
const void *kernel_window_start(void);
#endif

/* Host mappings that the machine may still make. */
long kernel_window_room(void);

/* What faults of an area do. */
struct mmu_area_ops {
	/**
	 * fault - a program's access to an area's page was refused
	 * @address: of the access, not aligned
	 * @write: a store (or an instruction that reads and writes)
	 *
	 * Runs in the faulting thread (INLINE, MPROTECT) inside of its signal handler, or in the
	 * machine's handler thread (HANDLER); bound to the area's machine. May sleep and take
	 * locks: programs hold none. Return: 0: make the access again; -errno: it fails for good
	 * (kshim_try(), or the signal goes to whoever would have got it without us).
	 */
	int (*fault)(struct mmu_area *area, unsigned long address, bool write);
};

/**
 * mmu_area_create - addresses for a guest program
 * @bytes: rounded up to pages
 * @delivery: how faults arrive (<linux/mm_types.h>). INLINE where the host has no userfaultfd that
 *	can do it becomes MPROTECT; mmu_area_delivery() says.
 * @ops: outlives the area
 * @owner: mmu_area_owner()
 *
 * Belongs to the current machine. Context: may sleep. Return: ERR_PTR: -EINVAL (no bytes), -ENOMEM,
 * -EOPNOTSUPP (HANDLER without a userfaultfd for system calls: mmu_delivery_problem() says why).
 */
struct mmu_area *mmu_area_create(size_t bytes, enum mmu_delivery delivery,
				 const struct mmu_area_ops *ops, void *owner);

/**
 * mmu_area_destroy - take the addresses away
 *
 * Waits for faults in flight, so the caller must hold no lock that ops->fault() takes, and is not
 * itself inside of it. Accesses that come later are as to any unmapped address.
 */
void mmu_area_destroy(struct mmu_area *area);

void *mmu_area_owner(const struct mmu_area *area);
unsigned long mmu_area_start(const struct mmu_area *area);
unsigned long mmu_area_pages(const struct mmu_area *area);
enum mmu_delivery mmu_area_delivery(const struct mmu_area *area);

/* Null when the current machine can deliver faults so; else one line that says why it cannot. */
const char *mmu_delivery_problem(enum mmu_delivery delivery);

/**
 * mmu_map - install the PTE of one page
 * @addr: anywhere in the page
 * @page: a frame of the area's machine
 * @prot: MMU_RO or MMU_RW; a present PTE of the same frame becomes this
 *
 * Any thread; also from ops->fault(). May sleep. Other programs see the old state or the new one.
 * KSHIM: HANDLER only: a system call that touches the page at the moment at which another thread
 * puts a *different* frame there may get EFAULT (mmu_bind() beforehand avoids it).
 * Return: 0; -EINVAL: not of this area; -ENOMEM: the host has no memory or no mappings left.
 */
[[nodiscard]] int mmu_map(struct mmu_area *area, unsigned long addr, struct page *page,
			  enum mmu_prot prot);

/**
 * mmu_bind - say which frames mmu_map() will install, without installing any
 *
 * Only an optimisation (the first fault of a page is then as quick as later ones; contiguous frames
 * share a host mapping). Pages that are present are left alone. Return: as mmu_map().
 */
[[nodiscard]] int mmu_bind(struct mmu_area *area, unsigned long addr, struct page *const *pages,
			   unsigned long nr);

/* Takes away (MMU_RO) or gives back (MMU_RW) the right to store, in pages that are present. */
void mmu_protect(struct mmu_area *area, unsigned long addr, unsigned long nr, enum mmu_prot prot);

/* Takes the PTEs away: every next access faults. */
void mmu_zap(struct mmu_area *area, unsigned long addr, unsigned long nr);

struct mmu_pte {
	struct page *page; /* null when not present */
	bool present;
	bool writable;
	/*
	 * Somebody may have read, may have written, since mmu_map(). KSHIM: x86 sets these when it
	 * happens, and so does the soft MMU; with a real MMU below us they are the rights.
	 */
	bool accessed;
	bool dirty;
};

/* The state of one page. No locks; any context. */
struct mmu_pte mmu_pte(struct mmu_area *area, unsigned long addr);

#if KSHIM_EXPLORE
/* For the page allocator: nobody owns @page any more. A violation when a program can reach it. */
void mmu_page_freed(const struct page *page);
#else
static inline void mmu_page_freed(const struct page *) {}
#endif

/* What happened in the current machine so far. */
struct mmu_stats {
	u64 faults;        /* delivered to ops->fault(), by any way */
	u64 faults_failed; /* ... which returned an error */
	u64 installs, upgrades, protects, zaps;
	u64 rebinds;       /* mmu_map() of another frame than last time: a new host mapping */
	u64 host_mappings; /* of kernel maps and areas, now: they count against vm.max_map_count */
};
void mmu_stats(struct mmu_stats *stats);

/**
 * mmu_fail_call - let the @nth system call of the mmu from now fail with ENOMEM, once; 0: off
 * For "fail the Nth for all N, then check for leaks". Return: how many were left to go.
 */
long mmu_fail_call(struct pv_machine *m, long nth);

/* How many host mappings the machine may use; by default what the host allows, less a reserve. */
void mmu_set_mapping_budget(struct pv_machine *m, u64 mappings);

#endif
