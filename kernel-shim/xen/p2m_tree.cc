/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * p2m_tree.cc - the radix tree, and the life of a p2m
 *
 *      root -> 512 children -> ... -> 512 entries        levels: as many as nr_gfns needs
 *
 * T1. A node is complete before it is in its parent (release; readers acquire), and stays until the
 *     p2m goes: lookups need neither a lock nor a read section.
 * T2. Two who make one node: cmpxchg decides, the other one frees its own.
 *
 * KSHIM: Xen keeps a p2m's tables until the domain dies too.
 */
#include <kshim/mutant.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "p2m_internal.h"

const char *p2m_type_name(enum p2m_type type)
{
	static const char *const names[P2M_TYPES] = {
		"rw",     "invalid",  "logdirty", "ro",    "mmio_dm", "mmio_direct",
		"pod",    "grant_rw", "grant_ro", "out",   "paged",   "in",
		"shared", "broken",   "foreign",  "ioreq",
	};

	return type < P2M_TYPES ? names[type] : "?";
}

static unsigned int levels_for(unsigned long nr_gfns)
{
	unsigned int levels = 1;

	while (levels < 4 && nr_gfns > 1ul << (levels * P2M_LEVEL_BITS))
		levels++;
	return levels;
}

bool p2m_gfn_valid(const struct p2m *p2m, gfn_t gfn)
{
	/* Mutant: xenpaging's bound, as it stands in its source. */
	if (KSHIM_MUTANT(p2m_max_gfn))
		return gfn.val <= p2m->config.nr_gfns;
	return gfn.val < p2m->config.nr_gfns;
}

u64 p2m_initial_entry(const struct p2m *p2m, unsigned long gfn)
{
	if (gfn < p2m->config.nr_identity)
		return entry_make(p2m_ram_rw, mfn_to_page(_mfn(gfn)), false);
	return entry_make(p2m_invalid, nullptr, false);
}

/* @first: the gfn of its first entry, when it has entries. */
static struct p2m_node *make_node(struct p2m *p2m, unsigned int level, unsigned long first)
{
	auto *node = kzalloc_obj(struct p2m_node, GFP_KERNEL);

	for (unsigned long i = 0; node && level == 0 && i < P2M_NODE_ENTRIES; i++)
		node->entries[i].counter = (s64)p2m_initial_entry(p2m, first + i);
	if (node && level == 0)
		kshim_name_array(node->entries, sizeof(node->entries[0]), P2M_NODE_ENTRIES,
				 "p2m entry");
	return node;
}

/* The child in @slot, made when there is none; null without memory. */
static struct p2m_node *get_child(struct p2m *p2m, struct p2m_node **slot, unsigned int level,
				  gfn_t gfn)
{
	struct p2m_node *node = rcu_dereference(*slot), *fresh;

	if (likely(node))
		return node;
	fresh = make_node(p2m, level, gfn.val & ~(P2M_NODE_ENTRIES - 1));
	if (!fresh)
		return nullptr;
	node = cmpxchg(slot, nullptr, fresh);
	if (!node)
		return fresh;
	kfree(fresh);
	return node;
}

static unsigned long index_at(gfn_t gfn, unsigned int level)
{
	return (gfn.val >> (level * P2M_LEVEL_BITS)) & (P2M_NODE_ENTRIES - 1);
}

atomic64_t *p2m_entry(struct p2m *p2m, gfn_t gfn)
{
	unsigned int level = p2m->levels - 1;
	struct p2m_node *node = get_child(p2m, &p2m->root, level, gfn);

	for (; node && level > 0; level--)
		node = get_child(p2m, &node->children[index_at(gfn, level)], level - 1, gfn);
	return node ? &node->entries[index_at(gfn, 0)] : nullptr;
}

atomic64_t *p2m_find_entry(struct p2m *p2m, gfn_t gfn)
{
	unsigned int level = p2m->levels - 1;
	struct p2m_node *node = rcu_dereference(p2m->root);

	for (; node && level > 0; level--)
		node = rcu_dereference(node->children[index_at(gfn, level)]);
	return node ? &node->entries[index_at(gfn, 0)] : nullptr;
}

enum p2m_type p2m_peek_type(struct p2m *p2m, gfn_t gfn)
{
	atomic64_t *entry;

	if (!p2m_gfn_valid(p2m, gfn))
		return p2m_invalid;
	entry = p2m_find_entry(p2m, gfn);
	return entry_type(entry ? entry_read(entry) : p2m_initial_entry(p2m, gfn.val));
}

wait_queue_head_t *p2m_queue(struct p2m *p2m, const atomic64_t *entry)
{
	return &p2m->queues[((unsigned long)entry / sizeof(*entry)) % P2M_WAIT_QUEUES];
}

unsigned long p2m_nr_gfns(const struct p2m *p2m)
{
	return p2m->config.nr_gfns;
}

struct p2m *p2m_create(const struct p2m_config *config)
{
	struct p2m *p2m;

	if (!config->nr_gfns || config->nr_identity > config->nr_gfns ||
	    config->nr_gfns >> (4 * P2M_LEVEL_BITS))
		return ERR_PTR(-EINVAL);
	p2m = kzalloc_obj(struct p2m, GFP_KERNEL);
	if (!p2m)
		return ERR_PTR(-ENOMEM);
	p2m->config = *config;
	/* Mutant: a lookup under a lock, and then a reference to the frame and not to the entry. */
	if (KSHIM_MUTANT(p2m_references_frames))
		p2m->config.policy = P2M_RWLOCK;
	p2m->limit = ~0ul;
	p2m->levels = levels_for(config->nr_gfns);
	init_rwsem(&p2m->rwlock);
	percpu_rwlock_init(&p2m->percpu);
	for (auto &queue : p2m->queues)
		init_waitqueue_head(&queue);
	mutex_init(&p2m->foreign_lock);
	INIT_LIST_HEAD(&p2m->foreign_maps);
	init_rwsem(&p2m->view_lock);
	INIT_LIST_HEAD(&p2m->views);
	init_waitqueue_head(&p2m->paging_wq);
	return p2m;
}

static void destroy_entries(struct p2m_node *node)
{
	for (auto &entry : node->entries) {
		const u64 word = entry_read(&entry);

		WARN(word & (P2M_COUNT | P2M_INTENT), "p2m: an entry was left held: %#llx\n",
		     (unsigned long long)word);
		if (word & P2M_OWNED)
			put_page(entry_page(word));
	}
}

static void destroy_node(struct p2m_node *node, unsigned int level)
{
	if (!node)
		return;
	if (level == 0)
		destroy_entries(node);
	else
		for (struct p2m_node *child : node->children)
			destroy_node(child, level - 1);
	kfree(node);
}

void p2m_destroy(struct p2m *p2m)
{
	if (IS_ERR_OR_NULL(p2m))
		return;
	WARN(p2m->paging, "p2m: paging was left on\n");
	WARN(!list_empty(&p2m->foreign_maps), "xen: a foreign mapping was left\n");
	WARN(!list_empty(&p2m->views), "p2m: a view was left\n");
	p2m_logdirty_stop(p2m);
	destroy_node(p2m->root, p2m->levels - 1);
	kfree(p2m);
}

void p2m_stats(struct p2m *p2m, struct p2m_stats *stats)
{
	const auto get = [](const u64 *counter) { return READ_ONCE(*counter); };

	*stats = {
		.revocations = get(&p2m->revocations),
		.redirections = get(&p2m->redirections),
		.timeouts = get(&p2m->timeouts),
		.paged = (u64)atomic_long_read(&p2m->paged),
		.foreign_maps = 0,
		.foreign_frames = 0,
	};
	guard(mutex)(&p2m->foreign_lock);
	stats->foreign_maps = p2m->nr_foreign_maps;
	stats->foreign_frames = p2m->foreign_frames;
}
