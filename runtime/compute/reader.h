/* The part of a pass that reads a prompt (reading.h): lists for the device, ops, results. Owns: the
 * device memory for it. */
#ifndef RR_COMPUTE_READER_H
#define RR_COMPUTE_READER_H

#include "runtime/compute/reading.h"
#include "runtime/compute/state.h"

/* What a pass of a chunk [begin, end) of a prompt has of a reading. */
struct rr_read_pass {
    const rr_reading *reading;
    uint32_t n_layers;              /* to run */
    uint32_t begin;                 /* position of the pass's first row */
    uint32_t first_row, n_rows;     /* of reading->rows, those in the chunk */
    uint32_t first_state, n_states; /* of reading->states */
};

/* Bytes on the device: lists and results that the host sees, and what only the device does.
 * Pure. */
typedef struct rr_reader_plan {
    uint64_t list_bytes, work_bytes, result_bytes;
} rr_reader_plan;
rr_reader_plan rr_reader_plan_make(const rr_model_config *config, const rr_compute_limits *limits);

/* Nothing where the limits have no readings. */
rr_status rr_reader_create(rr_compute *compute, rr_diag *diag);
void rr_reader_destroy(rr_compute *compute);

/* The kernels, as of rr_graph.list_kernels. */
rr_status rr_reader_list_kernels(
    const rr_model_config *config, const rr_kern_use *use, rr_diag *diag);

/* The reading's part of a chunk [begin, end); writes the lists. */
rr_read_pass rr_reader_begin(
    rr_compute *compute, const rr_reading *reading, size_t begin, size_t end);
/* Between K and V of a layer and what follows: the attention. `q` is the address of row 0's, rows
 * q_stride floats apart. */
void rr_reader_record_attention(
    rr_compute *compute, const rr_read_pass *read, uint32_t layer, uint64_t q, uint32_t q_stride);
/* Behind a layer: the hidden states. Behind the last: the results on their way to the host. */
void rr_reader_record_layer(rr_compute *compute, const rr_read_pass *read, uint32_t layer);
/* The rows whose hidden states are read behind the last layer that is run. Pure. */
rr_range rr_reader_last_rows(const rr_read_pass *read);
/* After the pass: gives the reading what the pass found. */
void rr_reader_take(rr_compute *compute, const rr_read_pass *read);

#endif
