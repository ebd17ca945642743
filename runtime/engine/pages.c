/* Pages of the KV cache: the arena, who has which, copies on write, the device's tables. */
#include "runtime/engine/pages.h"

#include <assert.h>
#include <stdlib.h>

#include "runtime/engine/admission.h"

static const uint32_t NO_PAGE = UINT32_MAX;

struct rr_pages {
    rr_pages_plan plan;
    rr_vk_buffer *buffers; /* of plan.n_each pages, the last one maybe fewer */
    uint32_t n_buffers;
    rr_vk_buffer tables; /* addresses [n_sessions][plan.n_places] */
    uint32_t *lists;     /* pages [n_sessions][plan.n_places] */
    uint32_t *n;         /* places taken of a list [n_sessions] */
    /* so many of them, from the first on, are in the device's table [n_sessions] */
    uint32_t *n_told;
    uint32_t *n_lists; /* in which a page stands [n_pages] */
    uint32_t *free;    /* those in none, a stack [n_free] */
    uint32_t n_free;
    uint64_t *addresses; /* scratch [plan.n_places] */
};

uint32_t rr_pages_of(size_t n_tokens) {
    return (uint32_t)((n_tokens + RR_KV_PAGE - 1) / RR_KV_PAGE);
}

rr_pages_plan rr_pages_plan_make(
    const rr_model_config *config, const rr_engine_limits *limits, const rr_device_info *info) {
    enum { ALIGNED = 256 }; /* what a buffer may take more than its bytes: vk.h */
    rr_pages_plan plan = {.page_bytes = rr_kv_bytes_per_token(config) * RR_KV_PAGE,
        .n_places = rr_pages_of(limits->n_context)};
    plan.n_listed = plan.n_places * limits->n_sessions;
    plan.n_pages = limits->kv_tokens < (uint64_t)plan.n_listed * RR_KV_PAGE
        ? rr_pages_of(limits->kv_tokens)
        : plan.n_listed;
    /* kernels take offsets in it of 32 bits */
    if (plan.page_bytes <= UINT32_MAX && info->max_allocation_bytes > ALIGNED) {
        const uint64_t each = (info->max_allocation_bytes - ALIGNED) / plan.page_bytes;
        plan.n_each = each < plan.n_pages ? (uint32_t)each : plan.n_pages;
    }
    plan.bytes = plan.page_bytes * plan.n_pages + (uint64_t)plan.n_listed * sizeof(uint64_t);
    return plan;
}

static rr_status allocate_arena(rr_engine *engine, rr_pages *pages, rr_diag *diag) {
    const rr_pages_plan *plan = &pages->plan;
    const uint32_t n_buffers = rr_div_up(plan->n_pages, plan->n_each);
    pages->buffers = calloc(n_buffers, sizeof *pages->buffers);
    if (pages->buffers == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the KV cache");
    }
    for (uint32_t left = plan->n_pages; pages->n_buffers < n_buffers; pages->n_buffers++) {
        const uint32_t n = left < plan->n_each ? left : plan->n_each;
        RR_TRY(rr_vk_buffer_create(engine->device, RR_VK_MEMORY_DEVICE, n * plan->page_bytes,
            "KV cache", &pages->buffers[pages->n_buffers], diag));
        left -= n;
    }
    return rr_vk_buffer_create(engine->device, RR_VK_MEMORY_DEVICE,
        (uint64_t)plan->n_listed * sizeof(uint64_t), "KV pages", &pages->tables, diag);
}

rr_status rr_pages_create(rr_engine *engine, const rr_pages_plan *plan, rr_diag *diag) {
    const uint32_t n_sessions = engine->limits.n_sessions;
    rr_pages *pages = engine->pages = calloc(1, sizeof *pages);
    if (pages == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the KV cache");
    }
    pages->plan = *plan;
    pages->lists = calloc(plan->n_listed, sizeof *pages->lists);
    pages->n = calloc(n_sessions, sizeof *pages->n);
    pages->n_told = calloc(n_sessions, sizeof *pages->n_told);
    pages->n_lists = calloc(plan->n_pages, sizeof *pages->n_lists);
    pages->free = malloc(plan->n_pages * sizeof *pages->free);
    pages->addresses = malloc(plan->n_places * sizeof *pages->addresses);
    if (pages->lists == NULL || pages->n == NULL || pages->n_told == NULL ||
        pages->n_lists == NULL || pages->free == NULL || pages->addresses == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the KV cache");
    }
    while (pages->n_free < plan->n_pages) { /* the first pages on top */
        pages->free[pages->n_free] = plan->n_pages - 1 - pages->n_free;
        pages->n_free++;
    }
    return allocate_arena(engine, pages, diag);
}

void rr_pages_destroy(rr_engine *engine) {
    rr_pages *pages = engine->pages;
    if (pages == NULL) {
        return;
    }
    for (uint32_t i = 0; i < pages->n_buffers; i++) {
        rr_vk_buffer_destroy(engine->device, &pages->buffers[i]);
    }
    rr_vk_buffer_destroy(engine->device, &pages->tables);
    free(pages->buffers);
    free(pages->lists);
    free(pages->n);
    free(pages->n_told);
    free(pages->n_lists);
    free(pages->free);
    free(pages->addresses);
    free(pages);
    engine->pages = NULL;
}

uint32_t rr_pages_n(const rr_engine *engine) {
    return engine->pages->plan.n_pages;
}

uint32_t rr_pages_n_listed(const rr_engine *engine, uint32_t slot) {
    return engine->pages->n[slot];
}

static uint32_t *list_of(const rr_pages *pages, uint32_t slot) {
    return pages->lists + (size_t)slot * pages->plan.n_places;
}

uint64_t rr_pages_table(const rr_engine *engine, uint32_t slot) {
    return engine->pages->tables.address +
        (uint64_t)slot * engine->pages->plan.n_places * sizeof(uint64_t);
}

/* Where a page begins in its buffer. */
static uint64_t offset_of(const rr_pages *pages, uint32_t page) {
    return page % pages->plan.n_each * pages->plan.page_bytes;
}

static uint64_t address_of(const rr_pages *pages, uint32_t page) {
    return pages->buffers[page / pages->plan.n_each].address + offset_of(pages, page);
}

uint64_t rr_pages_page(const rr_engine *engine, uint32_t slot, size_t position) {
    return address_of(engine->pages, list_of(engine->pages, slot)[position / RR_KV_PAGE]);
}

/* A free page, for one list. */
static uint32_t take(rr_pages *pages) {
    assert(pages->n_free > 0); /* why it cannot run out: pages.h */
    const uint32_t page = pages->free[--pages->n_free];
    pages->n_lists[page] = 1;
    return page;
}

static void give_back(rr_pages *pages, uint32_t page) {
    if (--pages->n_lists[page] == 0) {
        pages->free[pages->n_free++] = page;
    }
}

/* Place `i` of a list holds `page` from now on; what it held is the caller's business. */
static void put(rr_pages *pages, uint32_t slot, uint32_t i, uint32_t page) {
    list_of(pages, slot)[i] = page;
    pages->n[slot] = i < pages->n[slot] ? pages->n[slot] : i + 1;
    pages->n_told[slot] = i < pages->n_told[slot] ? i : pages->n_told[slot];
}

void rr_pages_share(rr_engine *engine, uint32_t to, uint32_t from, size_t n) {
    rr_pages *pages = engine->pages;
    for (uint32_t i = 0; i < rr_pages_of(n); i++) {
        const uint32_t page = list_of(pages, from)[i];
        const bool held = i < pages->n[to];
        const uint32_t old = held ? list_of(pages, to)[i] : page;
        if (held && old == page) {
            continue;
        }
        pages->n_lists[page]++;
        put(pages, to, i, page);
        if (held) {
            give_back(pages, old);
        }
    }
}

void rr_pages_cut(rr_engine *engine, uint32_t slot, size_t n) {
    rr_pages *pages = engine->pages;
    while (pages->n[slot] > rr_pages_of(n)) {
        give_back(pages, list_of(pages, slot)[--pages->n[slot]]);
    }
    pages->n_told[slot] =
        pages->n_told[slot] < pages->n[slot] ? pages->n_told[slot] : pages->n[slot];
}

/* Copies a whole page: it is one piece, and what it holds behind the wanted tokens does no harm. */
static rr_status copy_page(rr_engine *engine, uint32_t from, uint32_t to, rr_diag *diag) {
    const rr_pages *pages = engine->pages;
    const uint32_t n_each = pages->plan.n_each;
    RR_TRY(rr_vk_begin(engine->commands, diag));
    rr_vk_copy(engine->commands, &pages->buffers[from / n_each], offset_of(pages, from),
        &pages->buffers[to / n_each], offset_of(pages, to), pages->plan.page_bytes);
    rr_vk_barrier(engine->commands);
    RR_TRY(rr_vk_submit(engine->commands, diag));
    return rr_vk_wait(engine->commands, 0, diag);
}

/* What of the list the device's table lacks. */
static rr_status tell(rr_engine *engine, uint32_t slot, rr_diag *diag) {
    rr_pages *pages = engine->pages;
    const uint32_t first = pages->n_told[slot], n = pages->n[slot] - first;
    for (uint32_t i = 0; i < n; i++) {
        pages->addresses[i] = address_of(pages, list_of(pages, slot)[first + i]);
    }
    const uint64_t at =
        rr_pages_table(engine, slot) - pages->tables.address + first * sizeof(uint64_t);
    RR_TRY(rr_vk_upload(
        engine->device, &pages->tables, at, pages->addresses, n * sizeof(uint64_t), diag));
    pages->n_told[slot] = pages->n[slot];
    return RR_OK;
}

/* Place `i` of a list, the next or one before, holds a page of its own; returns the one that it
 * held and that others list too, which is the caller's to give back, or NO_PAGE. */
static uint32_t own_place(rr_engine *engine, uint32_t slot, uint32_t i) {
    rr_pages *pages = engine->pages;
    const bool held = i < pages->n[slot];
    const uint32_t page = held ? list_of(pages, slot)[i] : NO_PAGE;
    while (
        pages->n_free == 0 && !(held && pages->n_lists[page] == 1) && rr_admission_evict(engine)) {
    }
    if (held && pages->n_lists[page] == 1) {
        return NO_PAGE;
    }
    put(pages, slot, i, take(pages));
    return page;
}

rr_status rr_pages_own(rr_engine *engine, uint32_t slot, size_t begin, size_t end, rr_diag *diag) {
    rr_pages *pages = engine->pages;
    const uint32_t first = (uint32_t)(begin / RR_KV_PAGE);
    const bool keeps = begin % RR_KV_PAGE != 0; /* tokens of the first page */
    uint32_t old = NO_PAGE;
    rr_mutex_lock(&engine->lock);
    rr_pages_cut(engine, slot, end);
    for (uint32_t i = first + keeps; i < rr_pages_of(end); i++) {
        const uint32_t page = own_place(engine, slot, i);
        if (page != NO_PAGE) {
            give_back(pages, page);
        }
    }
    if (keeps) { /* last: until the copy is made there is one page more */
        old = own_place(engine, slot, first);
    }
    rr_mutex_unlock(&engine->lock);
    if (old != NO_PAGE) {
        const uint32_t new = list_of(pages, slot)[first];
        const rr_status status = copy_page(engine, old, new, diag);
        rr_mutex_lock(&engine->lock);
        if (status != RR_OK) {
            put(pages, slot, first, old);
        }
        give_back(pages, status == RR_OK ? old : new);
        rr_mutex_unlock(&engine->lock);
        RR_TRY(status);
    }
    return tell(engine, slot, diag);
}

void rr_pages_count(const rr_engine *engine, uint32_t *n_used, uint32_t *n_shared) {
    const rr_pages *pages = engine->pages;
    *n_used = pages->plan.n_pages - pages->n_free;
    *n_shared = 0;
    for (uint32_t i = 0; i < pages->plan.n_pages; i++) {
        *n_shared += pages->n_lists[i] > 1;
    }
}
