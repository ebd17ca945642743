/* The profile: a timestamp in front of every dispatch of the engine's command list and one at its
 * end; after the wait the differences are added up by op, variant and shape. Neighbours without a
 * barrier between them (q, k and v) may overlap: then the last of them gets the shared time. */
#include <stdlib.h>
#include <string.h>

#include "runtime/engine/internal.h"
#include "runtime/engine/resident.h"
#include "runtime/engine/work.h"

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
    rr_engine *engine = user;
    rr_profile *profile = engine->profile;
    if (profile->is_closed) {
        profile->is_closed = false;
        profile->n_marks = 0;
    }
    if (profile->n_marks + 1 >= RR_VK_TIMESTAMPS) {
        return; /* the last mark's row takes the time of what follows */
    }
    rr_work_memory memory = {.rows = engine->rows.mapped, .rows_at = engine->rows.address};
    rr_resident_layers(engine, &memory.layers, &memory.layers_at);
    rr_work work = rr_work_of(variant->op, key, push, &memory);
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

void rr_profile_close(rr_engine *engine) {
    rr_profile *profile = engine->profile;
    if (profile != NULL && !profile->is_closed && profile->n_marks > 0) {
        rr_vk_timestamp(engine->commands, profile->n_marks);
        profile->is_closed = true;
    }
}

void rr_profile_collect(rr_engine *engine) {
    rr_profile *profile = engine->profile;
    if (profile == NULL || !profile->is_closed) {
        return;
    }
    for (uint32_t i = 0; i < profile->n_marks; i++) {
        if (profile->marks[i] < MAX_ROWS) {
            profile->rows[profile->marks[i]].time_ns +=
                (double)rr_vk_elapsed_ns(engine->commands, i, i + 1);
        }
    }
    profile->n_marks = 0;
}

void rr_profile_destroy(rr_profile **profile) {
    free(*profile);
    *profile = NULL;
}

rr_status rr_engine_profile(rr_engine *engine, bool on, rr_diag *diag) {
    rr_kern_on_record(engine->kern, NULL, NULL);
    rr_profile_destroy(&engine->profile);
    if (!on) {
        return RR_OK;
    }
    const rr_device_info *info = rr_vk_info(engine->device);
    if (info->timestamp_ns <= 0.0f) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s has no timestamps: its time cannot be told apart by kernels", info->name);
    }
    engine->profile = calloc(1, sizeof *engine->profile);
    if (engine->profile == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the profile");
    }
    rr_kern_on_record(engine->kern, on_record, engine);
    return RR_OK;
}

const rr_profile_row *rr_engine_profile_rows(const rr_engine *engine, size_t *n) {
    *n = engine->profile != NULL ? engine->profile->n_rows : 0;
    return engine->profile != NULL ? engine->profile->rows : NULL;
}
