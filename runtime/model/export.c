#include "runtime/model/export.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "runtime/base/file_out.h"
#include "runtime/base/thread.h"
#include "runtime/model/gguf_names.h"

enum {
    PIECE_WEIGHTS = 4 << 20, /* made at once */
    TASK_WEIGHTS = 1 << 16   /* by one thread at once */
};
static const float largest_half = 65504.0f;
static const uint64_t pages_bytes = UINT64_C(256) << 20; /* read before memory is given back */

/* The plan */

rr_qtype rr_export_type(rr_qtype type, uint32_t cols) {
    if (cols % rr_qtype_get((uint32_t)type)->block_weights == 0) {
        return type;
    }
    return type == RR_Q_Q4_K ? RR_Q_Q5_0 : type == RR_Q_Q5_K ? RR_Q_Q5_1 : RR_Q_Q8_0;
}

static bool is_float(rr_qtype type) {
    return type == RR_Q_F32 || type == RR_Q_F16 || type == RR_Q_BF16;
}

static void plan_tensor(rr_export_plan *plan, rr_role role, uint32_t layer) {
    const rr_export_params *params = &plan->params;
    const rr_weight *weight = rr_model_weight(plan->model, role, layer);
    const uint64_t n_weights = (uint64_t)weight->rows * weight->cols;
    rr_export_tensor *tensor = &plan->tensors[plan->n++];
    *tensor = (rr_export_tensor){.role = role, .layer = layer, .weight = weight, .type = RR_Q_F32};
    if (weight->rows > 1) {
        const rr_qtype wanted = role == RR_ROLE_EMBEDDING ? params->embedding
            : role == RR_ROLE_OUTPUT                      ? params->output
                                                          : params->type;
        tensor->type = rr_export_type(wanted, weight->cols);
        plan->n_other += tensor->type != wanted;
        plan->n_rounded_again += !is_float(weight->type) && weight->type != tensor->type;
    }
    const rr_qtype_info *info = rr_qtype_get((uint32_t)tensor->type);
    tensor->bytes = n_weights / info->block_weights * info->block_bytes;
    plan->bytes += tensor->bytes;
    plan->n_weights += n_weights;
    if (weight->rows > 1) {
        plan->matrix_bytes += tensor->bytes;
        plan->n_matrix_weights += n_weights;
    }
}

rr_status rr_export_plan_make(
    const rr_model *model, const rr_export_params *params, rr_export_plan *out, rr_diag *diag) {
    const uint32_t n_layers = model->config.n_layers;
    rr_export_plan plan = {.model = model, .params = *params};
    plan.tensors =
        calloc(RR_ROLE_ATTN_NORM + (size_t)n_layers * RR_ROLE_COUNT, sizeof *plan.tensors);
    if (plan.tensors == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    for (int role = 0; role < RR_ROLE_ATTN_NORM; role++) {
        if (role != RR_ROLE_OUTPUT || !model->config.tied) {
            plan_tensor(&plan, (rr_role)role, 0);
        }
    }
    for (uint32_t layer = 0; layer < n_layers; layer++) {
        for (int role = RR_ROLE_ATTN_NORM; role < RR_ROLE_COUNT; role++) {
            plan_tensor(&plan, (rr_role)role, layer);
        }
    }
    *out = plan;
    return RR_OK;
}

void rr_export_plan_destroy(rr_export_plan *plan) {
    free(plan->tensors);
    *plan = (rr_export_plan){0};
}

/* Writing */

typedef struct export_job {
    const rr_export_plan *plan;
    rr_file_out file;
    uint64_t done;    /* bytes of tensors */
    uint64_t touched; /* bytes of the model since its pages were given back */
    float *floats;    /* of a piece */
    uint8_t *blocks;
    size_t room; /* weights */
} export_job;

/* Rows of a tensor that are made by several threads. */
typedef struct export_piece {
    const rr_export_tensor *tensor;
    const float *importance;
    uint32_t first, n, rows_a_task;
    float *floats;
    uint8_t *blocks;
    uint64_t row_bytes;
    atomic_uint bad; /* the first row that cannot be stored; UINT32_MAX = none */
} export_piece;

static bool can_hold(rr_qtype type, const float *row, uint32_t cols) {
    const bool is_wide = type == RR_Q_F32 || type == RR_Q_BF16;
    const float limit = is_wide ? FLT_MAX : largest_half;
    bool fits = true;
    for (uint32_t c = 0; c < cols; c++) {
        fits &= fabsf(row[c]) <= limit; /* false of what is no number */
    }
    return fits;
}

static void lower_to(atomic_uint *value, unsigned to) {
    unsigned now = atomic_load(value);
    while (to < now && !atomic_compare_exchange_weak(value, &now, to)) {
    }
}

static void make_rows(void *user, size_t index) {
    export_piece *piece = user;
    const rr_weight *weight = piece->tensor->weight;
    const uint32_t begin = (uint32_t)index * piece->rows_a_task;
    const uint32_t left = piece->n - begin;
    const uint32_t n = left < piece->rows_a_task ? left : piece->rows_a_task;
    float *floats = piece->floats + (size_t)begin * weight->cols;
    rr_weight_unpack(weight, piece->first + begin, n, floats);
    for (uint32_t r = 0; r < n; r++) {
        const float *row = floats + (size_t)r * weight->cols;
        if (!can_hold(piece->tensor->type, row, weight->cols)) {
            lower_to(&piece->bad, piece->first + begin + r);
            return;
        }
        rr_blocks_search(piece->tensor->type, row, piece->importance, weight->cols,
            piece->blocks + (begin + r) * piece->row_bytes);
    }
}

/* Where in its row the weight stands that cannot be stored. */
static rr_status tell_bad(const export_piece *piece, rr_diag *diag) {
    const rr_weight *weight = piece->tensor->weight;
    const uint32_t row = atomic_load(&piece->bad);
    const float *floats = piece->floats + (size_t)(row - piece->first) * weight->cols;
    uint32_t c = 0;
    while (c + 1 < weight->cols && can_hold(piece->tensor->type, floats + c, 1)) {
        c++;
    }
    return rr_fail(diag, RR_E_INPUT,
        "tensor \"%s\": row %u, column %u: found the weight %g, expected a number%s",
        rr_text_show(weight->name).text, row, c, (double)floats[c],
        isfinite(floats[c]) ? " within 65504, the most that this type holds; use bf16" : "");
}

static rr_status report(export_job *job, uint64_t bytes, rr_diag *diag) {
    const rr_export_params *params = &job->plan->params;
    job->done += bytes;
    if (params->progress != NULL &&
        !params->progress(params->progress_user, job->done, job->plan->bytes)) {
        return rr_fail(diag, RR_E_CANCELLED, "interrupted");
    }
    return RR_OK;
}

/* Rows [first, first + n) of a tensor. */
static rr_status write_piece(export_job *job, const rr_export_tensor *tensor,
    const float *importance, uint32_t first, uint32_t n, rr_diag *diag) {
    const rr_weight *weight = tensor->weight;
    const uint32_t by_size = TASK_WEIGHTS / weight->cols;
    export_piece piece = {.tensor = tensor,
        .importance = importance,
        .first = first,
        .n = n,
        .rows_a_task = by_size > 0 ? by_size : 1,
        .floats = job->floats,
        .blocks = job->blocks,
        .row_bytes = tensor->bytes / weight->rows};
    atomic_init(&piece.bad, UINT32_MAX);
    if (weight->type == tensor->type && weight->rows > 1 && !is_float(tensor->type)) {
        rr_weight_blocks(weight, first, n, job->blocks);
    } else {
        rr_parallel_for(
            rr_div_up(n, piece.rows_a_task), job->plan->params.n_threads, make_rows, &piece);
        if (atomic_load(&piece.bad) != UINT32_MAX) {
            return tell_bad(&piece, diag);
        }
    }
    RR_TRY(rr_file_out_write(&job->file, job->blocks, (size_t)(n * piece.row_bytes), diag));
    return report(job, n * piece.row_bytes, diag);
}

static rr_status write_tensor(export_job *job, const rr_export_tensor *tensor, rr_diag *diag) {
    static const uint8_t zeros[64];
    const rr_weight *weight = tensor->weight;
    const rr_export_params *params = &job->plan->params;
    const float *importance = params->importance != NULL && weight->rows > 1
        ? params->importance(params->importance_user, tensor->role, tensor->layer)
        : NULL;
    const uint32_t at_once = (uint32_t)(job->room / weight->cols);
    for (uint32_t first = 0; first < weight->rows;) {
        const uint32_t left = weight->rows - first, n = left < at_once ? left : at_once;
        RR_TRY(write_piece(job, tensor, importance, first, n, diag));
        first += n;
        job->touched += n * rr_weight_row_bytes(weight);
        if (job->touched >= pages_bytes) {
            rr_source_drop_pages(job->plan->model->source);
            job->touched = 0;
        }
    }
    return rr_file_out_write(&job->file, zeros, (size_t)rr_gw_padding(tensor->bytes), diag);
}

/* As llama.cpp numbers them: by the type of most tensors. */
static uint32_t file_type_of(rr_qtype type) {
    static const struct {
        rr_qtype type;
        uint32_t number;
    } numbers[] = {{RR_Q_F32, 0}, {RR_Q_F16, 1}, {RR_Q_Q4_0, 2}, {RR_Q_Q4_1, 3}, {RR_Q_Q8_0, 7},
        {RR_Q_Q5_0, 8}, {RR_Q_Q5_1, 9}, {RR_Q_Q4_K, 14}, {RR_Q_Q5_K, 16}, {RR_Q_Q6_K, 18},
        {RR_Q_BF16, 32}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i].type == type) {
            return numbers[i].number;
        }
    }
    return 0;
}

static rr_status make_head(const rr_export_plan *plan, rr_buf *out, rr_diag *diag) {
    rr_gguf_writer writer = {0};
    rr_status status = rr_source_keys(plan->model->source, &writer, diag);
    rr_gw_u32(&writer, KEY_FILE_TYPE, file_type_of(plan->params.type));
    rr_gw_u32(&writer, KEY_QUANTIZATION_VERSION, 2);
    for (size_t i = 0; i < plan->n; i++) {
        const rr_export_tensor *tensor = &plan->tensors[i];
        const uint64_t dims[2] = {tensor->weight->cols, tensor->weight->rows};
        char name[RR_GGUF_NAME_ROOM];
        rr_gguf_tensor_name(tensor->role, tensor->layer, name);
        rr_gw_declare(&writer, name, tensor->weight->rows == 1 ? 1 : 2, dims,
            (uint32_t)tensor->type, tensor->bytes);
    }
    const rr_status made = rr_gw_head(&writer, out);
    return status != RR_OK ? status
        : made != RR_OK    ? rr_fail(diag, RR_E_MEMORY, "out of memory")
                           : RR_OK;
}

static rr_status check_room(
    const export_job *job, const char *path, uint64_t head_bytes, rr_diag *diag) {
    const uint64_t needed = job->plan->bytes + head_bytes;
    uint64_t room;
    if (!rr_file_out_room(&job->file, &room) || room >= needed) {
        return RR_OK; /* where it cannot be told, the write will tell */
    }
    return rr_fail(diag, RR_E_IO,
        "%s: %llu MiB are free there, %llu MiB are needed; free some space or name another place",
        path, (unsigned long long)(room >> 20), (unsigned long long)((needed >> 20) + 1));
}

static rr_status make_room(export_job *job, rr_diag *diag) {
    job->room = PIECE_WEIGHTS;
    for (size_t i = 0; i < job->plan->n; i++) {
        const uint32_t cols = job->plan->tensors[i].weight->cols;
        job->room = cols > job->room ? cols : job->room;
    }
    job->floats = malloc(job->room * sizeof *job->floats);
    job->blocks = malloc(job->room * sizeof *job->floats); /* no type has larger blocks than F32 */
    return job->floats != NULL && job->blocks != NULL ? RR_OK
                                                      : rr_fail(diag, RR_E_MEMORY, "out of memory");
}

rr_status rr_export_write(const rr_export_plan *plan, const char *path, rr_diag *diag) {
    export_job job = {.plan = plan};
    rr_buf head = {0};
    rr_status status = RR_OK;
    RR_TRY_GOTO(make_head(plan, &head, diag));
    RR_TRY_GOTO(make_room(&job, diag));
    RR_TRY_GOTO(rr_file_out_open(path, &job.file, diag));
    RR_TRY_GOTO(check_room(&job, path, head.bytes, diag));
    RR_TRY_GOTO(rr_file_out_write(&job.file, head.data, head.bytes, diag));
    for (size_t i = 0; i < plan->n; i++) {
        RR_TRY_GOTO(write_tensor(&job, &plan->tensors[i], diag));
    }
    RR_TRY_GOTO(rr_file_out_finish(&job.file, diag));
fail:
    rr_file_out_discard(&job.file);
    rr_buf_destroy(&head);
    free(job.floats);
    free(job.blocks);
    return status;
}
