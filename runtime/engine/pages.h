/* The KV cache: pages (shaders/kv.h) from one arena for all sessions. A session has a list of
 * pages, each for the next RR_KV_PAGE tokens of its timeline. Timelines that begin alike list the
 * same pages, which are then only read: a session that is about to write into one gets a page of
 * its own first, with what the old one held (copy on write).
 * The arena cannot run out. It has a page for every place in the lists of all sessions that may be
 * used at once: of all sessions, or, in a smaller arena, of those with a reservation (admission.h);
 * the pages of the others are evicted when they are needed. Owns: the arena, the lists, the tables
 * that the device reads. Nothing is allocated after the start. Knows no sessions: a list has a
 * number. Shared by the files of this folder only. */
#ifndef RR_ENGINE_PAGES_H
#define RR_ENGINE_PAGES_H

#include "runtime/base/thread.h"
#include "runtime/compute/state.h"

/* What lists may hold. */
typedef struct rr_pages_size {
    uint32_t n_context; /* tokens of a list, at most */
    uint32_t n_lists;
    uint64_t n_tokens; /* that the arena keeps, of all lists together */
} rr_pages_size;

/* What the arena takes. Pure. */
typedef struct rr_pages_plan {
    uint64_t page_bytes;
    uint32_t n_lists;
    uint32_t n_places; /* of a list */
    uint32_t n_listed; /* places of all lists */
    uint32_t n_pages;  /* at most as many */
    uint32_t n_each;   /* pages a buffer; 0 = the device allocates less than a page at once */
    uint64_t bytes;    /* of the pages and the tables */
} rr_pages_plan;
rr_pages_plan rr_pages_plan_make(
    const rr_model_config *config, const rr_pages_size *size, const rr_device_info *info);

typedef struct rr_pages rr_pages;

typedef struct rr_pages_params {
    rr_pages_plan plan;  /* its n_each is not 0 */
    rr_compute *compute; /* borrowed; its command list makes the copies */
    rr_mutex *lock;      /* borrowed: guards the lists */
    /* Gives back the last page of a list that may lose it (rr_pages_cut); false when there is none.
     * Called with the lock held. */
    bool (*evict)(void *user);
    void *user;
} rr_pages_params;

/* Every list is empty at the start. Errors: RR_E_MEMORY. */
rr_status rr_pages_create(const rr_pages_params *params, rr_pages **out, rr_diag *diag);
void rr_pages_destroy(rr_pages **pages);

/* Pages of the arena; pages of so many tokens. */
uint32_t rr_pages_n(const rr_pages *pages);
uint32_t rr_pages_of(size_t n_tokens);
/* Places taken of a list. The caller holds the lock. */
uint32_t rr_pages_n_listed(const rr_pages *pages, uint32_t list);

/* The table of a list, and the page of a position in it, as rr_row wants them. */
uint64_t rr_pages_table(const rr_pages *pages, uint32_t list);
uint64_t rr_pages_page(const rr_pages *pages, uint32_t list, size_t position);
/* The first n tokens of list `to` are from now on those of `from`, by reference. The caller leads
 * and holds the lock. */
void rr_pages_share(rr_pages *pages, uint32_t to, uint32_t from, size_t n);
/* Gives back the pages behind the first n tokens. The caller holds the lock; no pass over it
 * runs. */
void rr_pages_cut(rr_pages *pages, uint32_t list, size_t n);
/* Makes the list end with token end − 1, and the pages of [begin, end) the list's own; tokens
 * before `begin` keep what they have. May evict pages of other lists.
 * Tells the device. The caller leads and does not hold the lock. Errors: RR_E_DEVICE, RR_E_MEMORY
 * (of the host); the tokens before `begin` are then as they were. Cost: nothing where the list is
 * so already, else a copy of at most a page. */
rr_status rr_pages_own(rr_pages *pages, uint32_t list, size_t begin, size_t end, rr_diag *diag);

/* Pages in some list, and in more than one. The caller holds the lock. O(pages). */
void rr_pages_count(const rr_pages *pages, uint32_t *n_used, uint32_t *n_shared);

#endif
