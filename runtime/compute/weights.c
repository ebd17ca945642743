/* The weights arena: places every tensor, packs it into planes, brings it to the device. */
#include "runtime/compute/weights.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/thread.h"
#include "runtime/compute/packed.h"

enum { PACK_ROWS = 64 };

/* One thing to place: up to three matrices of one format stacked (`matrix`), up to three matrices
 * stacked for the lanes graph (`lanes`), or up to three vectors one after the other as f32
 * (`vector`). */
typedef struct item {
    const rr_weight *parts[3];
    rr_matrix *matrix;
    rr_lanes_matrix *lanes;
    uint64_t *vector;
    uint64_t bytes;
    size_t buffer;
    uint64_t offset;
} item;

typedef struct placement {
    item *items;
    size_t n;
    uint64_t *buffer_bytes;
    size_t n_buffers;
    uint64_t total_bytes;
} placement;

static void placement_destroy(placement *p) {
    free(p->items);
    free(p->buffer_bytes);
    *p = (placement){0};
}

static void add_matrix(placement *p, const rr_weight *weight, rr_matrix *matrix) {
    p->items[p->n++] = (item){.parts = {weight}, .matrix = matrix};
}

static void add_vector(
    placement *p, const rr_weight *a, const rr_weight *b, const rr_weight *c, uint64_t *vector) {
    p->items[p->n++] = (item){.parts = {a, b, c}, .vector = vector};
}

/* Neighbours of one format become one matrix; returns how many there are. */
static uint32_t add_stacks(
    placement *p, const rr_weight *const *weights, size_t n, rr_matrix *matrices) {
    uint32_t n_matrices = 0;
    size_t n_parts = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || weights[i]->type != weights[i - 1]->type) {
            add_matrix(p, weights[i], &matrices[n_matrices++]);
            n_parts = 1;
        } else {
            p->items[p->n - 1].parts[n_parts++] = weights[i];
        }
    }
    return n_matrices;
}

static void add_lanes(placement *p, const rr_weight *a, const rr_weight *b, const rr_weight *c,
    rr_lanes_matrix *lanes) {
    p->items[p->n++] = (item){.parts = {a, b, c}, .lanes = lanes};
}

static void list_layer(
    const rr_model_layer *from, rr_graph_kind graph, rr_device_layer *to, placement *p) {
    add_vector(p, &from->attn_norm, NULL, NULL, &to->attn_norm);
    add_vector(p, &from->q_bias, &from->k_bias, &from->v_bias, &to->qkv_bias);
    add_vector(p, &from->ffn_norm, NULL, NULL, &to->ffn_norm);
    if (graph == RR_GRAPH_LANES) {
        add_lanes(p, &from->q, &from->k, &from->v, &to->lanes.qkv);
        add_lanes(p, &from->o, NULL, NULL, &to->lanes.o);
        add_lanes(p, &from->gate, &from->up, NULL, &to->lanes.gate_up);
        add_lanes(p, &from->down, NULL, NULL, &to->lanes.down);
        return;
    }
    add_matrix(p, &from->o, &to->o);
    add_matrix(p, &from->down, &to->down);
    if (graph == RR_GRAPH_Q8) {
        to->q8.n_qkv =
            add_stacks(p, (const rr_weight *const[]){&from->q, &from->k, &from->v}, 3, to->q8.qkv);
        (void)add_stacks(p, (const rr_weight *const[]){&from->gate, &from->up}, 2, &to->q8.gate_up);
        return;
    }
    add_matrix(p, &from->q, &to->q);
    add_matrix(p, &from->k, &to->k);
    add_matrix(p, &from->v, &to->v);
    add_matrix(p, &from->gate, &to->gate);
    add_matrix(p, &from->up, &to->up);
}

/* Lists everything; `out->layers` must have n_layers entries. */
static void list_items(const rr_model *model, rr_graph_kind graph, rr_weights *out, placement *p) {
    add_matrix(p, &model->embedding, &out->embedding);
    for (uint32_t l = 0; l < model->config.n_layers; l++) {
        list_layer(&model->layers[l], graph, &out->layers[l], p);
    }
    add_vector(p, &model->output_norm, NULL, NULL, &out->output_norm);
    if (graph == RR_GRAPH_LANES) {
        add_lanes(p, model->config.tied ? &model->embedding : &model->output, NULL, NULL,
            &out->lanes_head);
    } else if (!model->config.tied) {
        add_matrix(p, &model->output, &out->output);
    }
}

static rr_status plan_lanes(const item *it, uint32_t width, rr_diag *diag) {
    rr_lanes_part parts[3];
    uint32_t n = 0;
    for (; n < 3 && it->parts[n] != NULL; n++) {
        parts[n] = (rr_lanes_part){it->parts[n]->type, it->parts[n]->rows, it->parts[n]->data};
    }
    return rr_lanes_plan(parts, n, it->parts[0]->cols, width, &it->lanes->layout, diag);
}

/* Sizes every item and deals them over buffers that the device can allocate, in file order. */
static rr_status place(const rr_model *model, rr_graph_kind graph, const rr_device_info *info,
    rr_weights *weights, placement *out, rr_diag *diag) {
    const uint64_t max_buffer_bytes = info->max_allocation_bytes;
    placement p = {0};
    size_t capacity = 3 + (size_t)model->config.n_layers * 10;
    p.items = calloc(capacity, sizeof *p.items);
    p.buffer_bytes = calloc(capacity, sizeof *p.buffer_bytes);
    rr_status status = RR_OK;
    if (p.items == NULL || p.buffer_bytes == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory for the list of weights");
        goto fail;
    }
    list_items(model, graph, weights, &p);
    for (size_t i = 0; i < p.n; i++) {
        item *it = &p.items[i];
        const rr_weight *w = it->parts[0];
        if (it->matrix != NULL) {
            uint32_t rows = 0;
            for (size_t part = 0; part < 3 && it->parts[part] != NULL; part++) {
                rows += it->parts[part]->rows;
            }
            status = rr_planes_plan(w->type, rows, w->cols, &it->matrix->planes, diag);
            if (status != RR_OK) {
                rr_fail_context(diag, status, "tensor %.*s", (int)w->name.bytes, w->name.data);
                goto fail;
            }
            it->bytes = it->matrix->planes.bytes;
        } else if (it->lanes != NULL) {
            status = plan_lanes(it, info->subgroup_size, diag);
            if (status != RR_OK) {
                rr_fail_context(diag, status, "tensor %.*s", (int)w->name.bytes, w->name.data);
                goto fail;
            }
            it->bytes = it->lanes->layout.bytes;
        } else {
            for (size_t part = 0; part < 3 && it->parts[part] != NULL; part++) {
                it->bytes += (uint64_t)it->parts[part]->cols * 4;
            }
            it->bytes = rr_round_up(it->bytes, 256);
        }
        if (it->bytes > max_buffer_bytes) {
            status = rr_fail(diag, RR_E_MEMORY,
                "tensor %.*s takes %llu bytes on the device, which allocates at most %llu at once",
                (int)w->name.bytes, w->name.data, (unsigned long long)it->bytes,
                (unsigned long long)max_buffer_bytes);
            goto fail;
        }
        if (p.n_buffers == 0 || p.buffer_bytes[p.n_buffers - 1] > max_buffer_bytes - it->bytes) {
            p.n_buffers++;
        }
        it->buffer = p.n_buffers - 1;
        it->offset = p.buffer_bytes[it->buffer];
        p.buffer_bytes[it->buffer] += it->bytes;
        p.total_bytes += it->bytes;
    }
    *out = p;
    return RR_OK;
fail:
    placement_destroy(&p);
    return status;
}

/* Fills `out` but for buffers and addresses; the placement is the caller's. */
static rr_status describe(const rr_model *model, rr_graph_kind graph, const rr_device_info *info,
    rr_weights *out, placement *p, rr_diag *diag) {
    out->layers = calloc(model->config.n_layers, sizeof *out->layers);
    if (out->layers == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the list of weights");
    }
    RR_TRY(place(model, graph, info, out, p, diag));
    if (graph != RR_GRAPH_LANES && model->config.tied) {
        out->output = out->embedding;
    }
    return RR_OK;
}

rr_status rr_weights_plan(const rr_model *model, rr_graph_kind graph, const rr_device_info *info,
    uint64_t *out_bytes, rr_diag *diag) {
    rr_weights weights = {0};
    placement p = {0};
    rr_status status = describe(model, graph, info, &weights, &p, diag);
    if (status == RR_OK) {
        *out_bytes = p.total_bytes;
    }
    placement_destroy(&p);
    free(weights.layers);
    return status;
}

rr_status rr_weights_describe(const rr_model *model, rr_graph_kind graph,
    const rr_device_info *info, rr_weights *out, rr_diag *diag) {
    rr_weights weights = {0};
    placement p = {0};
    rr_status status = describe(model, graph, info, &weights, &p, diag);
    placement_destroy(&p);
    if (status != RR_OK) {
        free(weights.layers);
        return status;
    }
    *out = weights;
    return RR_OK;
}

/* The rows of one part of a stack: `planes` are those that are its own. */
typedef struct pack_job {
    const rr_planes *planes;
    const rr_weight *weight;
    void *to;
    atomic_bool failed;
} pack_job;

/* Blocks that are made of other tensors exist for these rows alone. */
static bool pack_made(const pack_job *job, uint32_t begin, uint32_t n) {
    void *blocks = malloc((size_t)(n * rr_weight_row_bytes(job->weight)));
    if (blocks == NULL) {
        return false;
    }
    rr_planes own = *job->planes;
    rr_planes_advance(&own, begin);
    own.rows = n;
    rr_weight_blocks(job->weight, begin, n, blocks);
    rr_planes_pack(&own, blocks, 0, n, job->to);
    free(blocks);
    return true;
}

static void pack_some(void *user, size_t index) {
    pack_job *job = user;
    uint32_t begin = (uint32_t)index * PACK_ROWS;
    uint32_t end = job->planes->rows - begin < PACK_ROWS ? job->planes->rows : begin + PACK_ROWS;
    if (job->weight->data != NULL) {
        rr_planes_pack(job->planes, job->weight->data, begin, end, job->to);
    } else if (!pack_made(job, begin, end - begin)) {
        job->failed = true;
    }
}

/* Packs the parts of a stack one below the other: each sees the rows of the planes that are its
 * own. False when out of memory. */
static bool pack_stack(const item *it, void *to) {
    rr_planes own = it->matrix->planes;
    bool failed = false;
    for (size_t part = 0; part < 3 && it->parts[part] != NULL; part++) {
        own.rows = it->parts[part]->rows;
        pack_job job = {.planes = &own, .weight = it->parts[part], .to = to};
        rr_parallel_for(rr_div_up(own.rows, PACK_ROWS), 0, pack_some, &job);
        failed = failed || job.failed;
        rr_planes_advance(&own, own.rows);
    }
    return !failed;
}

/* Rows of a weight, for the threads that make them. */
typedef struct make_job {
    const rr_weight *weight;
    uint8_t *to;
} make_job;

static void make_some(void *user, size_t index) {
    const make_job *job = user;
    const uint32_t begin = (uint32_t)index * PACK_ROWS, rows = job->weight->rows;
    const uint32_t n = rows - begin < PACK_ROWS ? rows - begin : PACK_ROWS;
    rr_weight_blocks(job->weight, begin, n, job->to + begin * rr_weight_row_bytes(job->weight));
}

typedef struct lanes_job {
    const rr_lanes *lanes;
    void *to;
} lanes_job;

static void pack_unit(void *user, size_t index) {
    const lanes_job *job = user;
    rr_lanes_pack_unit(job->lanes, (uint32_t)index, job->to);
}

/* Units want all rows of their parts: blocks that no file holds are made before. False when out of
 * memory. */
static bool pack_lanes(const item *it, void *to) {
    rr_lanes layout = it->lanes->layout;
    void *made[RR_LANES_PARTS] = {NULL};
    bool failed = false;
    for (uint32_t part = 0; part < layout.n_parts; part++) {
        const rr_weight *weight = it->parts[part];
        if (weight->data == NULL) {
            made[part] = malloc((size_t)weight->bytes);
            layout.parts[part].blocks = made[part];
            failed = failed || made[part] == NULL;
        }
        if (made[part] != NULL) {
            make_job job = {.weight = weight, .to = made[part]};
            rr_parallel_for(rr_div_up(weight->rows, PACK_ROWS), 0, make_some, &job);
        }
    }
    if (!failed) {
        lanes_job job = {.lanes = &layout, .to = to};
        rr_parallel_for(layout.n_units, 0, pack_unit, &job);
    }
    for (uint32_t part = 0; part < layout.n_parts; part++) {
        free(made[part]);
    }
    return !failed;
}

/* Fills `to` (it->bytes) with what the device must hold. Errors: RR_E_MEMORY. */
static rr_status make_bytes(const item *it, void *to, rr_diag *diag) {
    if (it->matrix != NULL || it->lanes != NULL) {
        const bool made = it->matrix != NULL ? pack_stack(it, to) : pack_lanes(it, to);
        return made ? RR_OK
                    : rr_fail(diag, RR_E_MEMORY, "tensor %.*s: out of memory to pack it",
                          (int)it->parts[0]->name.bytes, it->parts[0]->name.data);
    }
    memset(to, 0, (size_t)it->bytes);
    float *values = to;
    for (size_t part = 0; part < 3 && it->parts[part] != NULL; part++) {
        rr_weight_unpack(it->parts[part], 0, 1, values);
        values += it->parts[part]->cols;
    }
    return RR_OK;
}

static void set_address(const item *it, const rr_vk_buffer *buffer) {
    uint64_t address = buffer->address + it->offset;
    if (it->matrix != NULL) {
        it->matrix->address = address;
    } else if (it->lanes != NULL) {
        it->lanes->address = address;
    } else {
        *it->vector = address;
    }
}

/* The packed weights on disk: one of them at most is there. */
typedef struct packed_cache {
    rr_packed *from;
    rr_packed_writer *to;
} packed_cache;

/* What is in every item, and in which order. */
static uint64_t recipe_of(const placement *p) {
    uint64_t hash = 0;
    for (size_t i = 0; i < p->n; i++) {
        const item *it = &p->items[i];
        const uint64_t numbers[] = {it->bytes, it->matrix != NULL, it->lanes != NULL};
        hash = rr_hash(hash, numbers, sizeof numbers);
        for (size_t part = 0; part < 3 && it->parts[part] != NULL; part++) {
            const rr_weight *weight = it->parts[part];
            hash = rr_hash(hash, weight->name.data, weight->name.bytes);
            if (weight->data == NULL) { /* what it is made into is not in the file */
                const uint64_t type = (uint64_t)weight->type;
                hash = rr_hash(hash, &type, sizeof type);
            }
        }
    }
    return hash;
}

/* Reads what an earlier start left, or begins to leave it. */
static void open_cache(const rr_model *model, rr_graph_kind graph, const rr_device_info *info,
    const rr_compute_params *params, const placement *p, packed_cache *out) {
    uint64_t least = params->packed_min_bytes != 0 ? params->packed_min_bytes : RR_PACKED_MIN_BYTES;
    uint64_t *item_bytes = NULL;
    if (params->no_weights || params->no_packed_cache || p->total_bytes < least ||
        (item_bytes = malloc(p->n * sizeof *item_bytes)) == NULL) {
        return;
    }
    for (size_t i = 0; i < p->n; i++) {
        item_bytes[i] = p->items[i].bytes;
    }
    char layout[24];
    int used = snprintf(layout, sizeof layout, "%s", rr_graph_kind_name(graph));
    if (graph == RR_GRAPH_LANES) { /* its units are as wide as the subgroup */
        snprintf(layout + used, sizeof layout - (size_t)used, "%u", info->subgroup_size);
    }
    const rr_packed_wish wish = {.source = model->source,
        .layout = layout,
        .recipe = recipe_of(p),
        .item_bytes = item_bytes,
        .n = p->n};
    out->from = rr_packed_open(&wish);
    if (out->from == NULL) {
        out->to = rr_packed_begin(&wish);
    }
    free(item_bytes);
}

typedef struct cached_item {
    rr_packed *from;
    size_t index;
    bool damaged;
} cached_item;

static rr_status fill_from_cache(void *user, uint64_t at, uint64_t bytes, void *to, rr_diag *diag) {
    cached_item *cached = user;
    cached->damaged = !rr_packed_read(cached->from, cached->index, at, bytes, to);
    return cached->damaged ? rr_fail(diag, RR_E_INPUT, "damaged packed weights") : RR_OK;
}

static rr_status load_item(rr_vk_device *device, packed_cache *cache, const item *it, size_t index,
    rr_vk_buffer *buffer, rr_diag *diag) {
    void *mapped = buffer->mapped != NULL ? (char *)buffer->mapped + it->offset : NULL;
    if (cache->from != NULL) {
        cached_item cached = {.from = cache->from, .index = index};
        rr_status status = rr_vk_upload_from(
            device, buffer, it->offset, it->bytes, fill_from_cache, &cached, diag);
        if (!cached.damaged) {
            return status;
        }
        rr_packed_close(&cache->from, true);
    }
    if (mapped != NULL && cache->to == NULL) {
        return make_bytes(it, mapped, diag);
    }
    /* zeroed: the gaps between planes reach the disk. Not read back from a mapped buffer, which may
     * be slow to read */
    void *bytes = calloc(1, (size_t)it->bytes);
    if (bytes == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory: %llu bytes to pack a tensor",
            (unsigned long long)it->bytes);
    }
    rr_status status = make_bytes(it, bytes, diag);
    if (status == RR_OK) {
        rr_packed_add(&cache->to, bytes);
        status = rr_vk_upload(device, buffer, it->offset, bytes, it->bytes, diag);
    }
    free(bytes);
    return status;
}

static rr_status load_all(rr_vk_device *device, const rr_compute_params *params, const placement *p,
    packed_cache *cache, rr_vk_buffer *buffers, rr_diag *diag) {
    uint64_t done = 0;
    for (size_t i = 0; i < p->n; i++) {
        RR_TRY(load_item(device, cache, &p->items[i], i, &buffers[p->items[i].buffer], diag));
        done += p->items[i].bytes;
        if (params->progress != NULL) {
            params->progress(params->progress_user,
                cache->from != NULL ? "reading weights" : "packing weights", done, p->total_bytes);
        }
    }
    return RR_OK;
}

rr_status rr_weights_load(const rr_model *model, rr_graph_kind graph, rr_vk_device *device,
    const rr_compute_params *params, rr_weights *out, rr_diag *diag) {
    rr_weights weights = {0};
    placement p = {0};
    packed_cache cache = {0};
    rr_status status = RR_OK;
    RR_TRY_GOTO(describe(model, graph, rr_vk_info(device), &weights, &p, diag));
    weights.buffers = calloc(p.n_buffers, sizeof *weights.buffers);
    if (weights.buffers == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory for the list of weights");
        goto fail;
    }
    weights.n_buffers = p.n_buffers;
    for (size_t i = 0; i < p.n_buffers; i++) {
        RR_TRY_GOTO(rr_vk_buffer_create(
            device, RR_VK_MEMORY_DEVICE, p.buffer_bytes[i], "weights", &weights.buffers[i], diag));
    }
    for (size_t i = 0; i < p.n; i++) {
        set_address(&p.items[i], &weights.buffers[p.items[i].buffer]);
    }
    open_cache(model, graph, rr_vk_info(device), params, &p, &cache);
    RR_TRY_GOTO(
        params->no_weights ? RR_OK : load_all(device, params, &p, &cache, weights.buffers, diag));
    rr_log(RR_LOG_INFO, "weights: packed cache %s", cache.from != NULL ? "used" : "not used");
    rr_packed_finish(&cache.to);
    rr_packed_close(&cache.from, false);
    if (graph != RR_GRAPH_LANES && model->config.tied) {
        weights.output = weights.embedding; /* again: now it has an address */
    }
    placement_destroy(&p);
    *out = weights;
    return RR_OK;
fail:
    rr_packed_discard(&cache.to);
    rr_packed_close(&cache.from, false);
    placement_destroy(&p);
    rr_weights_destroy(device, &weights);
    return status;
}

void rr_weights_destroy(rr_vk_device *device, rr_weights *weights) {
    for (size_t i = 0; i < weights->n_buffers; i++) {
        rr_vk_buffer_destroy(device, &weights->buffers[i]);
    }
    free(weights->buffers);
    free(weights->layers);
    *weights = (rr_weights){0};
}
