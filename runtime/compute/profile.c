/* The profile: a timestamp in front of every dispatch of the command list and one at its
 * end; after the wait the differences are added up by op, variant and shape. Neighbours without a
 * barrier between them (q, k and v) may overlap: then the last of them gets the shared time. */
#include "runtime/compute/profile.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/compute/op_cost.h"
#include "runtime/compute/state.h"

enum { MAX_ROWS = 256 };

struct rr_profile {
    rr_profile_row rows[MAX_ROWS];
    size_t n_rows;
    /* of the list at work: the row of the dispatch behind slot i */
    uint16_t marks[RR_VK_TIMESTAMPS];
    uint32_t n_marks;
    bool is_closed; /* slot n_marks is written */
};

/* The row of these dispatches; MAX_ROWS when there is no room for it. */
static size_t row_of(rr_profile *profile, const rr_profile_row *like) {
    size_t i = 0;
    for (; i < profile->n_rows; i++) {
        const rr_profile_row *row = &profile->rows[i];
        if (row->op == like->op && row->variant == like->variant &&
            strcmp(row->format, like->format) == 0 && row->n_out == like->n_out &&
            row->cols == like->cols) {
            return i;
        }
    }
    if (i < MAX_ROWS) {
        profile->rows[profile->n_rows++] = *like;
    }
    return i;
}

static void on_record(void *user, rr_vk_commands *commands, const rr_variant *variant,
    const rr_kern_key *key, const void *push) {
    rr_compute *compute = user;
    rr_profile *profile = compute->profile;
    if (profile->is_closed) {
        profile->is_closed = false;
        profile->n_marks = 0;
    }
    if (profile->n_marks + 1 >= RR_VK_TIMESTAMPS) {
        return; /* the last mark's row takes the time of what follows */
    }
    const rr_op_memory memory = {.rows = compute->rows.mapped,
        .rows_at = compute->rows.address,
        .layers = compute->layer_table.mapped,
        .layers_at = compute->layer_table.address};
    rr_op_cost work = rr_op_cost_of(variant->op, key, push, &memory);
    rr_profile_row like = {.op = rr_op_name(variant->op),
        .variant = variant->name,
        .n_out = work.n_out,
        .cols = work.cols};
    memcpy(like.format, work.format, sizeof like.format);
    size_t row = row_of(profile, &like);
    rr_vk_timestamp(commands, profile->n_marks);
    profile->marks[profile->n_marks++] = (uint16_t)row;
    if (row < MAX_ROWS) {
        profile->rows[row].n_dispatches++;
        profile->rows[row].bytes += work.bytes;
        profile->rows[row].flops += work.flops;
    }
}

void rr_profile_close(rr_compute *compute) {
    rr_profile *profile = compute->profile;
    if (profile != NULL && !profile->is_closed && profile->n_marks > 0) {
        rr_vk_timestamp(compute->commands, profile->n_marks);
        profile->is_closed = true;
    }
}

void rr_profile_collect(rr_compute *compute) {
    rr_profile *profile = compute->profile;
    if (profile == NULL || !profile->is_closed) {
        return;
    }
    for (uint32_t i = 0; i < profile->n_marks; i++) {
        if (profile->marks[i] < MAX_ROWS) {
            profile->rows[profile->marks[i]].time_ns +=
                (double)rr_vk_elapsed_ns(compute->commands, i, i + 1);
        }
    }
    profile->n_marks = 0;
}

rr_status rr_compute_profile(rr_compute *compute, bool on, rr_diag *diag) {
    rr_kern_on_record(compute->kern, NULL, NULL);
    free(compute->profile);
    compute->profile = NULL;
    if (!on) {
        return RR_OK;
    }
    const rr_device_info *info = rr_vk_info(compute->device);
    if (info->timestamp_ns <= 0.0f) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s has no timestamps: its time cannot be told apart by kernels", info->name);
    }
    compute->profile = calloc(1, sizeof *compute->profile);
    if (compute->profile == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the profile");
    }
    rr_kern_on_record(compute->kern, on_record, compute);
    return RR_OK;
}

const rr_profile_row *rr_compute_profile_rows(const rr_compute *compute, size_t *n) {
    *n = compute->profile != NULL ? compute->profile->n_rows : 0;
    return compute->profile != NULL ? compute->profile->rows : NULL;
}
