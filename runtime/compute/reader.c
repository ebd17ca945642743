/* Where things lie: lists = [rows u32][spans u32 × 2][factors f32 [layer][row][head]], work =
 * [weights][totals][mass][drawn], results = [mass][drawn][hidden]. Mass is f32
 * [layer][row][head][span], drawn f32 [row][n_context], hidden f32 [state layer][state][d_model];
 * layers, rows and states are those of the pass. */
#include "runtime/compute/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/compute/record.h"
#include "shaders/attention_mass.h"
#include "shaders/token_mass.h"

/* Rows whose weights are on the device at once. */
enum { SLICE = 16 };

struct rr_reader {
    rr_vk_buffer lists, work, results;
    uint64_t spans_at, factors_at;              /* in lists */
    uint64_t totals_at, mass_at, drawn_at;      /* in work */
    uint64_t drawn_result_at, hidden_result_at; /* in results */
};

/* Sizes that depend on the model alone, in bytes. */
typedef struct sizes {
    uint64_t rows, spans, factors, weights, totals, mass, drawn, hidden;
} sizes;

static sizes sizes_of(const rr_model_config *c, const rr_compute_limits *limits) {
    const uint64_t heads = c->n_heads;
    sizes s = {
        .rows = RR_READ_ROWS * 4,
        .spans = RR_READ_SPANS * 8,
        .factors = c->n_layers * RR_READ_ROWS * heads * 4,
        .weights = SLICE * heads * limits->n_context * 4,
        .totals = SLICE * heads * 4,
        .mass = c->n_layers * RR_READ_ROWS * heads * RR_READ_SPANS * 4,
        .drawn = (uint64_t)RR_READ_ROWS * limits->n_context * 4,
        .hidden = (uint64_t)RR_READ_LAYERS * RR_READ_SPANS * c->d_model * 4,
    };
    uint64_t *all[] = {
        &s.rows, &s.spans, &s.factors, &s.weights, &s.totals, &s.mass, &s.drawn, &s.hidden};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        *all[i] = rr_round_up(*all[i], 256);
    }
    return s;
}

rr_reader_plan rr_reader_plan_make(const rr_model_config *config, const rr_compute_limits *limits) {
    if (!limits->readings) {
        return (rr_reader_plan){0};
    }
    const sizes s = sizes_of(config, limits);
    return (rr_reader_plan){.list_bytes = s.rows + s.spans + s.factors,
        .work_bytes = s.weights + s.totals + s.mass + s.drawn,
        .result_bytes = s.mass + s.drawn + s.hidden};
}

rr_status rr_reader_create(rr_compute *compute, rr_diag *diag) {
    const rr_reader_plan plan = rr_reader_plan_make(&compute->model->config, &compute->limits);
    if (plan.list_bytes == 0) {
        return RR_OK;
    }
    rr_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for readings");
    }
    compute->reader = reader;
    const sizes s = sizes_of(&compute->model->config, &compute->limits);
    reader->spans_at = s.rows;
    reader->factors_at = s.rows + s.spans;
    reader->totals_at = s.weights;
    reader->mass_at = s.weights + s.totals;
    reader->drawn_at = s.weights + s.totals + s.mass;
    reader->drawn_result_at = s.mass;
    reader->hidden_result_at = s.mass + s.drawn;
    RR_TRY(rr_vk_buffer_create(compute->device, RR_VK_MEMORY_UPLOAD, plan.list_bytes,
        "lists of readings", &reader->lists, diag));
    RR_TRY(rr_vk_buffer_create(
        compute->device, RR_VK_MEMORY_DEVICE, plan.work_bytes, "readings", &reader->work, diag));
    return rr_vk_buffer_create(compute->device, RR_VK_MEMORY_READBACK, plan.result_bytes,
        "results of readings", &reader->results, diag);
}

void rr_reader_destroy(rr_compute *compute) {
    if (compute->reader != NULL) {
        rr_vk_buffer_destroy(compute->device, &compute->reader->lists);
        rr_vk_buffer_destroy(compute->device, &compute->reader->work);
        rr_vk_buffer_destroy(compute->device, &compute->reader->results);
        free(compute->reader);
        compute->reader = NULL;
    }
}

static rr_kern_key mass_key(const rr_model_config *config) {
    return (rr_kern_key){.head_size = config->head_size};
}

rr_status rr_reader_list_kernels(
    const rr_model_config *config, const rr_kern_use *use, rr_diag *diag) {
    RR_TRY(rr_kern_use_one(use, RR_OP_attention_mass, mass_key(config), diag));
    return rr_kern_use_one(use, RR_OP_token_mass, (rr_kern_key){0}, diag);
}

/* Which of ascending positions [n] lie in [begin, end): *first, and how many. */
static uint32_t find(
    const uint32_t *positions, uint32_t n, size_t begin, size_t end, uint32_t *first) {
    uint32_t from = 0;
    while (from < n && positions[from] < begin) {
        from++;
    }
    uint32_t to = from;
    while (to < n && positions[to] < end) {
        to++;
    }
    *first = from;
    return to - from;
}

rr_read_pass rr_reader_begin(
    rr_compute *compute, const rr_reading *reading, size_t begin, size_t end) {
    const uint32_t n_heads = compute->model->config.n_heads,
                   n_layers = reading->end_layer - reading->first_layer;
    rr_reader *reader = compute->reader;
    char *lists = reader->lists.mapped;
    rr_read_pass read = {
        .reading = reading, .n_layers = rr_reading_n_layers(reading), .begin = (uint32_t)begin};
    read.n_rows = find(reading->rows, reading->n_rows, begin, end, &read.first_row);
    read.n_states = find(reading->states, reading->n_states, begin, end, &read.first_state);
    uint32_t *rows = (uint32_t *)(void *)lists,
             *spans = (uint32_t *)(void *)(lists + reader->spans_at);
    for (uint32_t i = 0; i < read.n_rows; i++) {
        rows[i] = reading->rows[read.first_row + i] - read.begin;
    }
    for (uint32_t i = 0; i < reading->n_spans; i++) {
        spans[2 * i] = reading->spans[i].begin;
        spans[2 * i + 1] = reading->spans[i].end;
    }
    float *factors = (float *)(void *)(lists + reader->factors_at);
    for (uint32_t l = 0; l < n_layers && reading->factors != NULL; l++) {
        memcpy(factors + (size_t)l * read.n_rows * n_heads,
            reading->factors + ((size_t)l * reading->n_rows + read.first_row) * n_heads,
            (size_t)read.n_rows * n_heads * sizeof *factors);
    }
    return read;
}

/* Bytes of the masses of `rows` rows of a layer. */
static uint64_t mass_bytes(const rr_compute *compute, const rr_read_pass *read, uint64_t rows) {
    return rows * compute->model->config.n_heads * read->reading->n_spans * 4;
}

void rr_reader_record_attention(
    rr_compute *compute, const rr_read_pass *read, uint32_t layer, uint64_t q, uint32_t q_stride) {
    const rr_model_config *c = &compute->model->config;
    const rr_reader *reader = compute->reader;
    const rr_reading *reading = read->reading;
    const uint32_t n_context = compute->limits.n_context;
    if (layer < reading->first_layer || layer >= reading->end_layer) {
        return;
    }
    const uint32_t index = layer - reading->first_layer;
    for (uint32_t at = 0; at < read->n_rows; at += SLICE) {
        const uint32_t n = read->n_rows - at < SLICE ? read->n_rows - at : SLICE;
        const uint64_t before = (uint64_t)index * read->n_rows + at; /* rows */
        rr_push_attention_mass mass = {.q = q,
            .rows = compute->rows.address,
            .list = reader->lists.address + (uint64_t)at * 4,
            .spans = reader->lists.address + reader->spans_at,
            .weights = reader->work.address,
            .totals = reader->work.address + reader->totals_at,
            .mass = reader->work.address + reader->mass_at + mass_bytes(compute, read, before),
            .kv_offset = rr_kv_offset(compute, layer),
            .n_listed = n,
            .n_heads = c->n_heads,
            .n_kv_heads = c->n_kv_heads,
            .q_stride = q_stride,
            .w_stride = n_context,
            .n_spans = reading->n_spans,
            .n_keys = reading->rows[read->first_row + at + n - 1] + 1,
            .scale = 1.0f / sqrtf((float)c->head_size)};
        rr_record_op(compute, RR_OP_attention_mass, mass_key(c), &mass);
        rr_record_barrier(compute);
        if (reading->factors == NULL) {
            continue;
        }
        rr_push_token_mass drawn = {.weights = mass.weights,
            .totals = mass.totals,
            .factors = reader->lists.address + reader->factors_at + before * c->n_heads * 4,
            .y = reader->work.address + reader->drawn_at + (uint64_t)at * n_context * 4,
            .n_listed = n,
            .n_heads = c->n_heads,
            .n_keys = mass.n_keys,
            .w_stride = n_context,
            .y_stride = n_context,
            .adds = index > 0};
        rr_record_op(compute, RR_OP_token_mass, (rr_kern_key){0}, &drawn);
        rr_record_barrier(compute);
    }
}

/* Where a state layer's hidden states begin in the results. */
static uint64_t hidden_at(
    const rr_compute *compute, const rr_read_pass *read, uint32_t state_layer) {
    return compute->reader->hidden_result_at +
        (uint64_t)state_layer * read->n_states * compute->model->config.d_model * 4;
}

void rr_reader_record_layer(rr_compute *compute, const rr_read_pass *read, uint32_t layer) {
    const rr_reader *reader = compute->reader;
    const rr_reading *reading = read->reading;
    const uint64_t row_bytes = (uint64_t)compute->model->config.d_model * 4;
    for (uint32_t k = 0; k < reading->n_state_layers; k++) {
        for (uint32_t i = 0; reading->state_layers[k] == layer + 1 && i < read->n_states; i++) {
            const uint64_t row = reading->states[read->first_state + i] - read->begin;
            rr_vk_copy(compute->commands, &compute->activations, compute->at.x + row * row_bytes,
                &reader->results, hidden_at(compute, read, k) + i * row_bytes, row_bytes);
        }
    }
    if (layer + 1 < read->n_layers || read->n_rows == 0) {
        return;
    }
    const uint32_t n_layers = reading->end_layer - reading->first_layer;
    const uint64_t drawn_bytes = (uint64_t)read->n_rows * compute->limits.n_context * 4;
    rr_vk_copy(compute->commands, &reader->work, reader->mass_at, &reader->results, 0,
        mass_bytes(compute, read, (uint64_t)n_layers * read->n_rows));
    if (reading->factors != NULL) {
        rr_vk_copy(compute->commands, &reader->work, reader->drawn_at, &reader->results,
            reader->drawn_result_at, drawn_bytes);
    }
}

rr_range rr_reader_last_rows(const rr_read_pass *read) {
    const rr_reading *reading = read->reading;
    if (read->n_states == 0 ||
        reading->state_layers[reading->n_state_layers - 1] < read->n_layers) {
        return (rr_range){0, 0};
    }
    const uint32_t first = reading->states[read->first_state] - read->begin;
    return (rr_range){
        first, reading->states[read->first_state + read->n_states - 1] - read->begin + 1 - first};
}

/* Adds what the pass's rows drew, one row after another, so that the sum is the same whatever the
 * chunks. */
static void take_drawn(const rr_compute *compute, const rr_read_pass *read) {
    const rr_reading *reading = read->reading;
    const char *results = compute->reader->results.mapped;
    const float *drawn = (const float *)(const void *)(results + compute->reader->drawn_result_at);
    for (uint32_t r = 0; r < read->n_rows && reading->factors != NULL; r++) {
        const uint32_t n_keys = reading->rows[read->first_row + r] + 1;
        for (uint32_t j = 0; j < n_keys; j++) {
            reading->drawn[j] += drawn[(size_t)r * compute->limits.n_context + j];
        }
    }
}

void rr_reader_take(rr_compute *compute, const rr_read_pass *read) {
    const rr_reading *reading = read->reading;
    const char *results = compute->reader->results.mapped;
    const size_t row = (size_t)compute->model->config.n_heads * reading->n_spans,
                 d_model = compute->model->config.d_model;
    const uint32_t n_layers = reading->end_layer - reading->first_layer;
    for (uint32_t l = 0; l < n_layers && read->n_rows > 0; l++) {
        memcpy(reading->mass + ((size_t)l * reading->n_rows + read->first_row) * row,
            (const float *)(const void *)results + (size_t)l * read->n_rows * row,
            read->n_rows * row * sizeof(float));
    }
    take_drawn(compute, read);
    for (uint32_t k = 0; k < reading->n_state_layers && read->n_states > 0; k++) {
        memcpy(reading->hidden + ((size_t)k * reading->n_states + read->first_state) * d_model,
            results + hidden_at(compute, read, k), read->n_states * d_model * sizeof(float));
    }
}
