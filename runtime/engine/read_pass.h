/* The part of a pass that reads (read.h): lists for the device, ops, results. Owns: the device
 * memory for it. Shared by the files of this folder only. */
#ifndef RR_ENGINE_READ_PASS_H
#define RR_ENGINE_READ_PASS_H

#include "runtime/engine/graph.h"
#include "runtime/engine/read.h"

/* What a pass of a chunk [begin, end) of a prompt has of a reading. */
typedef struct rr_read_pass {
    const rr_reading *reading;
    uint32_t n_layers;              /* to run */
    uint32_t begin;                 /* position of the pass's first row */
    uint32_t first_row, n_rows;     /* of reading->rows, those in the chunk */
    uint32_t first_state, n_states; /* of reading->states */
} rr_read_pass;

/* Bytes on the device: lists and results that the host sees, and what only the device does.
 * Pure. */
typedef struct rr_reader_plan {
    uint64_t list_bytes, work_bytes, result_bytes;
} rr_reader_plan;
rr_reader_plan rr_reader_plan_make(const rr_model_config *config, const rr_engine_limits *limits);

rr_status rr_reader_create(rr_engine *engine, rr_diag *diag);
void rr_reader_destroy(rr_engine *engine);

/* Compiles the ops. */
rr_status rr_reader_prepare(rr_engine *engine, rr_diag *diag);

/* The reading's part of a chunk [begin, end); writes the lists. The caller leads. */
rr_read_pass rr_reader_begin(
    rr_engine *engine, const rr_reading *reading, size_t begin, size_t end);
/* Between K and V of a layer and what follows: the attention. `q` is the address of row 0's, rows
 * q_stride floats apart. */
void rr_reader_record_attention(
    rr_engine *engine, const rr_read_pass *read, uint32_t layer, uint64_t q, uint32_t q_stride);
/* Behind a layer: the hidden states. Behind the last: the results on their way to the host. */
void rr_reader_record_layer(rr_engine *engine, const rr_read_pass *read, uint32_t layer);
/* The rows whose hidden states are read behind the last layer that is run. Pure. */
rr_range rr_reader_last_rows(const rr_read_pass *read);
/* After the pass: gives the reading what the pass found. */
void rr_reader_take(rr_engine *engine, const rr_read_pass *read);

#endif
