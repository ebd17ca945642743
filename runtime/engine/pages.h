/* The KV cache: pages (shaders/kv.h) from one arena for all sessions. A session has a list of
 * pages, each for the next RR_KV_PAGE tokens of its timeline. Timelines that begin alike list the
 * same pages, which are then only read: a session that is about to write into one gets a page of
 * its own first, with what the old one held (copy on write). There is a page for every place in the
 * lists of all sessions that may be used at once: of all there are, or, in a smaller arena, of
 * those that hold room (admission.h), while the others lose theirs when they are needed. A page
 * stands in one list at least and a shared one in two, so whoever may list one more, or lists one
 * that others list too, finds a free one, or one that it takes from a session without room: the
 * arena cannot run out. Owns: the arena, the lists, the tables that the device reads. Nothing is
 * allocated after the start. Shared by the files of this folder only. */
#ifndef RR_ENGINE_PAGES_H
#define RR_ENGINE_PAGES_H

#include "runtime/engine/internal.h"
#include "shaders/kv.h"

/* What the arena takes. Pure. */
typedef struct rr_pages_plan {
    uint64_t page_bytes;
    uint32_t n_places; /* of a session's list */
    uint32_t n_listed; /* of all lists */
    uint32_t n_pages;  /* at most as many */
    uint32_t n_each;   /* pages a buffer; 0 = the device allocates less than a page at once */
    uint64_t bytes;    /* of the pages and the tables */
} rr_pages_plan;
/* limits->kv_tokens is a number. */
rr_pages_plan rr_pages_plan_make(
    const rr_model_config *config, const rr_engine_limits *limits, const rr_device_info *info);

/* Allocates engine->pages by a plan whose n_each is not 0. Errors: RR_E_MEMORY. */
rr_status rr_pages_create(rr_engine *engine, const rr_pages_plan *plan, rr_diag *diag);
void rr_pages_destroy(rr_engine *engine);

/* A list belongs to the session in whose slot it is; every list is empty at the start. */

/* Pages of the arena; pages of so many tokens. */
uint32_t rr_pages_n(const rr_engine *engine);
uint32_t rr_pages_of(size_t n_tokens);
/* Places taken of a list. The caller holds the lock. */
uint32_t rr_pages_n_listed(const rr_engine *engine, uint32_t slot);

/* The table of a list, and the page of a position in it, as rr_row wants them. */
uint64_t rr_pages_table(const rr_engine *engine, uint32_t slot);
uint64_t rr_pages_page(const rr_engine *engine, uint32_t slot, size_t position);
/* The first n tokens of list `to` are from now on those of `from`, by reference. The caller leads
 * and holds the lock. */
void rr_pages_share(rr_engine *engine, uint32_t to, uint32_t from, size_t n);
/* Gives back the pages behind the first n tokens. The caller holds the lock; no pass of the session
 * runs. */
void rr_pages_cut(rr_engine *engine, uint32_t slot, size_t n);
/* Makes the list end with token end − 1, and the pages of [begin, end) the session's own; tokens
 * before `begin` keep what they have. May take pages from lists of sessions that hold no room.
 * Tells the device. The caller leads and does not hold the lock. Errors: RR_E_DEVICE, RR_E_MEMORY
 * (of the host); the tokens before `begin` are then as they were. Cost: nothing where the list is
 * so already, else a copy of at most a page. */
rr_status rr_pages_own(rr_engine *engine, uint32_t slot, size_t begin, size_t end, rr_diag *diag);

/* Pages in some list, and in more than one. The caller holds the lock. O(pages). */
void rr_pages_count(const rr_engine *engine, uint32_t *n_used, uint32_t *n_shared);

#endif
