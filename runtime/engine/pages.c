/* Pages of the KV cache: the arena, who has which, copies on write, the device's tables. */
#include "runtime/engine/pages.h"

#include <assert.h>
#include <stdlib.h>

#include "runtime/compute/record.h"

static const uint32_t NO_PAGE = UINT32_MAX;

struct rr_pages {
    rr_pages_params params;
    rr_pages_plan plan;
    rr_vk_buffer *buffers; /* of plan.n_each pages, the last one maybe fewer */
    uint32_t n_buffers;
    rr_vk_buffer tables; /* addresses [n_lists][plan.n_places] */
    uint32_t *lists;     /* pages [n_lists][plan.n_places] */
    uint32_t *n;         /* places taken of a list [n_lists] */
    /* so many of them, from the first on, are in the device's table [n_lists] */
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
    const rr_model_config *config, const rr_pages_size *size, const rr_device_info *info) {
    enum { ALIGNED = 256 }; /* what a buffer may take more than its bytes: vk.h */
    rr_pages_plan plan = {.page_bytes = rr_kv_bytes_per_token(config) * RR_KV_PAGE,
        .n_lists = size->n_lists,
        .n_places = rr_pages_of(size->n_context)};
    plan.n_listed = plan.n_places * plan.n_lists;
    plan.n_pages = size->n_tokens < (uint64_t)plan.n_listed * RR_KV_PAGE
        ? rr_pages_of(size->n_tokens)
        : plan.n_listed;
    /* kernels take offsets in it of 32 bits */
    if (plan.page_bytes <= UINT32_MAX && info->max_allocation_bytes > ALIGNED) {
        const uint64_t each = (info->max_allocation_bytes - ALIGNED) / plan.page_bytes;
        plan.n_each = each < plan.n_pages ? (uint32_t)each : plan.n_pages;
    }
    plan.bytes = plan.page_bytes * plan.n_pages + (uint64_t)plan.n_listed * sizeof(uint64_t);
    return plan;
}

static rr_status allocate_arena(rr_pages *pages, rr_diag *diag) {
    const rr_pages_plan *plan = &pages->plan;
    rr_vk_device *device = pages->params.compute->device;
    const uint32_t n_buffers = rr_div_up(plan->n_pages, plan->n_each);
    pages->buffers = calloc(n_buffers, sizeof *pages->buffers);
    if (pages->buffers == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the KV cache");
    }
    for (uint32_t left = plan->n_pages; pages->n_buffers < n_buffers; pages->n_buffers++) {
        const uint32_t n = left < plan->n_each ? left : plan->n_each;
        RR_TRY(rr_vk_buffer_create(device, RR_VK_MEMORY_DEVICE, n * plan->page_bytes, "KV cache",
            &pages->buffers[pages->n_buffers], diag));
        left -= n;
    }
    return rr_vk_buffer_create(device, RR_VK_MEMORY_DEVICE,
        (uint64_t)plan->n_listed * sizeof(uint64_t), "KV pages", &pages->tables, diag);
}

static rr_status create(rr_pages *pages, rr_diag *diag) {
    const rr_pages_plan *plan = &pages->plan;
    pages->lists = calloc(plan->n_listed, sizeof *pages->lists);
    pages->n = calloc(plan->n_lists, sizeof *pages->n);
    pages->n_told = calloc(plan->n_lists, sizeof *pages->n_told);
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
    return allocate_arena(pages, diag);
}

rr_status rr_pages_create(const rr_pages_params *params, rr_pages **out, rr_diag *diag) {
    rr_pages *pages = calloc(1, sizeof *pages);
    if (pages == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the KV cache");
    }
    pages->params = *params;
    pages->plan = params->plan;
    const rr_status status = create(pages, diag);
    if (status != RR_OK) {
        rr_pages_destroy(&pages);
    }
    *out = pages;
    return status;
}

void rr_pages_destroy(rr_pages **pointer) {
    rr_pages *pages = *pointer;
    if (pages == NULL) {
        return;
    }
    rr_vk_device *device = pages->params.compute->device;
    for (uint32_t i = 0; i < pages->n_buffers; i++) {
        rr_vk_buffer_destroy(device, &pages->buffers[i]);
    }
    rr_vk_buffer_destroy(device, &pages->tables);
    free(pages->buffers);
    free(pages->lists);
    free(pages->n);
    free(pages->n_told);
    free(pages->n_lists);
    free(pages->free);
    free(pages->addresses);
    free(pages);
    *pointer = NULL;
}

uint32_t rr_pages_n(const rr_pages *pages) {
    return pages->plan.n_pages;
}

uint32_t rr_pages_n_listed(const rr_pages *pages, uint32_t list) {
    return pages->n[list];
}

static uint32_t *list_of(const rr_pages *pages, uint32_t list) {
    return pages->lists + (size_t)list * pages->plan.n_places;
}

uint64_t rr_pages_table(const rr_pages *pages, uint32_t list) {
    return pages->tables.address + (uint64_t)list * pages->plan.n_places * sizeof(uint64_t);
}

/* Where a page begins in its buffer. */
static uint64_t offset_of(const rr_pages *pages, uint32_t page) {
    return page % pages->plan.n_each * pages->plan.page_bytes;
}

static uint64_t address_of(const rr_pages *pages, uint32_t page) {
    return pages->buffers[page / pages->plan.n_each].address + offset_of(pages, page);
}

uint64_t rr_pages_page(const rr_pages *pages, uint32_t list, size_t position) {
    return address_of(pages, list_of(pages, list)[position / RR_KV_PAGE]);
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
static void put(rr_pages *pages, uint32_t list, uint32_t i, uint32_t page) {
    list_of(pages, list)[i] = page;
    pages->n[list] = i < pages->n[list] ? pages->n[list] : i + 1;
    pages->n_told[list] = i < pages->n_told[list] ? i : pages->n_told[list];
}

void rr_pages_share(rr_pages *pages, uint32_t to, uint32_t from, size_t n) {
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

void rr_pages_cut(rr_pages *pages, uint32_t list, size_t n) {
    while (pages->n[list] > rr_pages_of(n)) {
        give_back(pages, list_of(pages, list)[--pages->n[list]]);
    }
    pages->n_told[list] =
        pages->n_told[list] < pages->n[list] ? pages->n_told[list] : pages->n[list];
}

/* Copies a whole page: it is one piece, and what it holds behind the wanted tokens does no harm. */
static rr_status copy_page(rr_pages *pages, uint32_t from, uint32_t to, rr_diag *diag) {
    const uint32_t n_each = pages->plan.n_each;
    rr_compute *compute = pages->params.compute;
    RR_TRY(rr_vk_begin(compute->commands, diag));
    rr_vk_copy(compute->commands, &pages->buffers[from / n_each], offset_of(pages, from),
        &pages->buffers[to / n_each], offset_of(pages, to), pages->plan.page_bytes);
    rr_vk_barrier(compute->commands);
    return rr_record_submit(compute, diag);
}

/* What of the list the device's table lacks. */
static rr_status tell(rr_pages *pages, uint32_t list, rr_diag *diag) {
    const uint32_t first = pages->n_told[list], n = pages->n[list] - first;
    for (uint32_t i = 0; i < n; i++) {
        pages->addresses[i] = address_of(pages, list_of(pages, list)[first + i]);
    }
    const uint64_t at =
        rr_pages_table(pages, list) - pages->tables.address + first * sizeof(uint64_t);
    RR_TRY(rr_vk_upload(pages->params.compute->device, &pages->tables, at, pages->addresses,
        n * sizeof(uint64_t), diag));
    pages->n_told[list] = pages->n[list];
    return RR_OK;
}

/* Place `i` of a list, the next or one before, holds a page of its own; returns the one that it
 * held and that others list too, which is the caller's to give back, or NO_PAGE. */
static uint32_t own_place(rr_pages *pages, uint32_t list, uint32_t i) {
    const bool held = i < pages->n[list];
    const uint32_t page = held ? list_of(pages, list)[i] : NO_PAGE;
    while (pages->n_free == 0 && !(held && pages->n_lists[page] == 1) &&
        pages->params.evict(pages->params.user)) {
    }
    if (held && pages->n_lists[page] == 1) {
        return NO_PAGE;
    }
    put(pages, list, i, take(pages));
    return page;
}

rr_status rr_pages_own(rr_pages *pages, uint32_t list, size_t begin, size_t end, rr_diag *diag) {
    const uint32_t first = (uint32_t)(begin / RR_KV_PAGE);
    const bool keeps = begin % RR_KV_PAGE != 0; /* tokens of the first page */
    uint32_t old = NO_PAGE;
    rr_mutex_lock(pages->params.lock);
    rr_pages_cut(pages, list, end);
    for (uint32_t i = first + keeps; i < rr_pages_of(end); i++) {
        const uint32_t page = own_place(pages, list, i);
        if (page != NO_PAGE) {
            give_back(pages, page);
        }
    }
    if (keeps) { /* last: until the copy is made there is one page more */
        old = own_place(pages, list, first);
    }
    rr_mutex_unlock(pages->params.lock);
    if (old != NO_PAGE) {
        const uint32_t new = list_of(pages, list)[first];
        const rr_status status = copy_page(pages, old, new, diag);
        rr_mutex_lock(pages->params.lock);
        if (status != RR_OK) {
            put(pages, list, first, old);
        }
        give_back(pages, status == RR_OK ? old : new);
        rr_mutex_unlock(pages->params.lock);
        RR_TRY(status);
    }
    return tell(pages, list, diag);
}

void rr_pages_count(const rr_pages *pages, uint32_t *n_used, uint32_t *n_shared) {
    *n_used = pages->plan.n_pages - pages->n_free;
    *n_shared = 0;
    for (uint32_t i = 0; i < pages->plan.n_pages; i++) {
        *n_shared += pages->n_lists[i] > 1;
    }
}
