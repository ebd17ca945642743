/* The KV cache of a case: pages all over slot KV, in no order, some of them nobody's; tables in
 * slot PAGES. */
#include "tests/checkgpu/internal.h"

#include <stdlib.h>
#include <string.h>

/* pages in no table; entries of a table behind its last page */
enum { STRAY_PAGES = 3, NO_PLACES = 1 };

static uint32_t n_places(const rr_cg_cache *cache) {
    return rr_div_up(cache->n_context, RR_KV_PAGE);
}

static size_t page_bytes(const rr_cg_cache *cache) {
    return (size_t)cache->n_layers * RR_KV_LAYER_BYTES((size_t)cache->n_kv_heads, cache->head_size);
}

uint32_t rr_cg_cache_offset(const rr_cg *cg, uint32_t layer) {
    return layer * RR_KV_LAYER_BYTES(cg->cache.n_kv_heads, cg->cache.head_size);
}

bool rr_cg_cache_make(rr_cg *cg, const rr_cg_cache *shape) {
    const uint32_t n = shape->n_sessions * n_places(shape) + STRAY_PAGES;
    free(cg->cache.pages);
    cg->cache = *shape;
    cg->cache.pages = calloc(n, sizeof *cg->cache.pages);
    if (cg->cache.pages == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) { /* a shuffle */
        const uint32_t j = (uint32_t)(rr_cg_random(cg) % (i + 1));
        cg->cache.pages[i] = cg->cache.pages[j];
        cg->cache.pages[j] = i;
    }
    return rr_cg_buffer(cg, RR_CG_KV, RR_CG_OUT, n * page_bytes(shape)) != NULL &&
        rr_cg_buffer(cg, RR_CG_PAGES, RR_CG_IN,
            (size_t)shape->n_sessions * (n_places(shape) + NO_PLACES) * sizeof(uint64_t)) != NULL;
}

/* Where a session's table begins in slot PAGES, in addresses. */
static size_t table_at(const rr_cg *cg, uint32_t session) {
    return (size_t)session * (n_places(&cg->cache) + NO_PLACES);
}

static uint64_t page_address(const rr_cg *cg, uint32_t session, uint32_t place) {
    const uint32_t page = cg->cache.pages[session * n_places(&cg->cache) + place];
    return rr_cg_address(cg, RR_CG_KV) + page * (uint64_t)page_bytes(&cg->cache);
}

void rr_cg_cache_link(rr_cg *cg) {
    const uint32_t n = n_places(&cg->cache);
    uint64_t *tables = (uint64_t *)(void *)cg->slots[RR_CG_PAGES].host;
    /* behind its places a table names address 0, which nobody may follow */
    for (uint32_t s = 0; s < cg->cache.n_sessions; s++) {
        for (uint32_t i = 0; i < n; i++) {
            tables[table_at(cg, s) + i] = page_address(cg, s, i);
        }
    }
}

rr_row rr_cg_cache_row(const rr_cg *cg, uint32_t session, uint32_t position) {
    return (rr_row){.position = position,
        .page = page_address(cg, session, position / RR_KV_PAGE),
        .pages = rr_cg_address(cg, RR_CG_PAGES) + table_at(cg, session) * sizeof(uint64_t)};
}

size_t rr_cg_cache_at(
    const rr_cg *cg, uint32_t session, uint32_t layer, uint32_t plane, uint32_t position) {
    const rr_cg_cache *cache = &cg->cache;
    const uint32_t page = cache->pages[session * n_places(cache) + position / RR_KV_PAGE];
    const size_t row =
        (size_t)(layer * 2 * cache->n_kv_heads + plane) * RR_KV_PAGE + position % RR_KV_PAGE;
    return page * (page_bytes(cache) / sizeof(uint16_t)) + row * cache->head_size;
}

void rr_cg_cache_gather(const rr_cg *cg, uint32_t session, uint32_t layer, uint16_t *out) {
    const rr_cg_cache *cache = &cg->cache;
    const uint16_t *host = (const uint16_t *)(const void *)cg->slots[RR_CG_KV].host;
    for (uint32_t plane = 0; plane < 2 * cache->n_kv_heads; plane++) {
        for (uint32_t p = 0; p < cache->n_context; p++, out += cache->head_size) {
            memcpy(out, host + rr_cg_cache_at(cg, session, layer, plane, p),
                cache->head_size * sizeof *out);
        }
    }
}
