/* Guarded buffers, seeded data, and running a case. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/random.h"

enum { CANARY_BYTES = 256 };

static size_t device_bytes(const rr_cg_slot *slot) {
    return rr_round_up(slot->bytes, 4) + 2 * (size_t)CANARY_BYTES;
}

static void fill(void *to, size_t bytes) {
    static const uint32_t word = RR_CG_FILL;
    for (size_t i = 0; i < bytes; i += sizeof word) {
        memcpy((uint8_t *)to + i, &word, bytes - i < sizeof word ? bytes - i : sizeof word);
    }
}

uint64_t rr_cg_random(rr_cg *cg) {
    return rr_random(&cg->random);
}

float rr_cg_normal(rr_cg *cg) {
    /* the sum of four uniform numbers has a deviation of sqrt(4 / 12) */
    uint64_t bits = rr_cg_random(cg);
    int sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += (int)(bits >> (16 * i) & 0xFFFF) - 0x8000;
    }
    return (float)sum * (1.7320508f / 65536.0f);
}

void rr_cg_normals(rr_cg *cg, float deviation, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = deviation * rr_cg_normal(cg);
    }
}

static bool reserve(rr_cg_slot *slot) {
    size_t need = device_bytes(slot);
    if (slot->host_capacity >= need) {
        return true;
    }
    size_t capacity = need + need / 2;
    free(slot->host);
    free(slot->found);
    free(slot->first);
    slot->host = malloc(capacity);
    slot->found = malloc(capacity);
    slot->first = malloc(capacity);
    slot->host_capacity =
        slot->host != NULL && slot->found != NULL && slot->first != NULL ? capacity : 0;
    return slot->host_capacity != 0;
}

void *rr_cg_buffer(rr_cg *cg, rr_cg_slot_id id, rr_cg_role role, size_t bytes) {
    rr_cg_slot *slot = &cg->slots[id];
    slot->role = role;
    slot->bytes = bytes;
    if (!reserve(slot)) {
        return NULL;
    }
    if (role == RR_CG_IN) {
        memset(slot->host, 0, bytes);
    } else {
        fill(slot->host, bytes);
    }
    return slot->host;
}

rr_status rr_cg_no_memory(const rr_cg *cg, rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "checkgpu: no memory for %s", cg->label);
}

rr_status rr_cg_floats_buffer(rr_cg *cg, rr_cg_slot_id id, rr_cg_role role, float deviation,
    size_t n, float **out, rr_diag *diag) {
    float *data = rr_cg_buffer(cg, id, role, n * sizeof *data);
    if (data == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    if (role != RR_CG_OUT) {
        rr_cg_normals(cg, deviation, data, n);
    }
    if (out != NULL) {
        *out = data;
    }
    return RR_OK;
}

static rr_status upload(rr_cg *cg, rr_cg_slot *slot, rr_diag *diag) {
    return rr_vk_upload(cg->device, &slot->device, CANARY_BYTES, slot->host, slot->bytes, diag);
}

rr_status rr_cg_upload(rr_cg *cg, bool *too_big, rr_diag *diag) {
    uint64_t limit = rr_vk_info(cg->device)->max_allocation_bytes;
    bool over = false;
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        over |= cg->slots[i].role != RR_CG_UNUSED && device_bytes(&cg->slots[i]) > limit;
    }
    if (too_big != NULL) {
        *too_big = over;
    }
    if (over) {
        return too_big != NULL
            ? RR_OK
            : rr_fail(diag, RR_E_MEMORY, "checkgpu: %s: a buffer is larger than the device allows",
                  cg->label);
    }
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        rr_cg_slot *slot = &cg->slots[i];
        size_t need = device_bytes(slot);
        if (slot->role == RR_CG_UNUSED) {
            continue;
        }
        if (slot->device.bytes < need) {
            rr_vk_buffer_destroy(cg->device, &slot->device);
            RR_TRY(rr_vk_buffer_create(cg->device, RR_VK_MEMORY_DEVICE, rr_round_up(need, 4096),
                "checkgpu", &slot->device, diag));
        }
        /* canaries first: the staging copy of `found` serves as their source */
        fill(slot->found, need);
        RR_TRY(rr_vk_upload(cg->device, &slot->device, 0, slot->found, need, diag));
        RR_TRY(upload(cg, slot, diag));
    }
    return RR_OK;
}

rr_status rr_cg_reset_outputs(rr_cg *cg, rr_diag *diag) {
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        if (cg->slots[i].role == RR_CG_OUT || cg->slots[i].role == RR_CG_INOUT) {
            RR_TRY(upload(cg, &cg->slots[i], diag));
        }
    }
    return RR_OK;
}

uint64_t rr_cg_address(const rr_cg *cg, rr_cg_slot_id id) {
    return cg->slots[id].device.address + CANARY_BYTES;
}

const void *rr_cg_found(const rr_cg *cg, rr_cg_slot_id id) {
    return cg->slots[id].found + CANARY_BYTES;
}

void rr_cg_free(rr_cg *cg) {
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        rr_cg_slot *slot = &cg->slots[i];
        if (cg->device != NULL) {
            rr_vk_buffer_destroy(cg->device, &slot->device);
        }
        free(slot->host);
        free(slot->found);
        free(slot->first);
        *slot = (rr_cg_slot){0};
    }
    free(cg->cache.pages);
    cg->cache = (rr_cg_cache){0};
}

/* The canaries are intact and an input is what was sent. */
static void check_slot(rr_cg *cg, const rr_cg_slot *slot, int id) {
    static const char *const names[RR_CG_SLOTS] = {"W", "x", "y", "bias", "residual", "rows",
        "table", "kv", "x groups", "y groups", "scratch", "pages", "codes", "groups", "rms",
        "output codes", "output groups", "output rms", "norm", "squares", "tickets", "list",
        "spans", "weights", "totals", "mass", "factors", "m", "v", "o", "d_o", "lse", "delta",
        "segments"};
    uint8_t canary[CANARY_BYTES];
    fill(canary, sizeof canary);
    size_t tail = CANARY_BYTES + slot->bytes, tail_bytes = device_bytes(slot) - tail;
    if (memcmp(slot->found, canary, CANARY_BYTES) != 0) {
        rr_cg_fault(cg, "wrote before the start of %s", names[id]);
    }
    for (size_t i = 0; i < tail_bytes; i++) {
        /* the fill was laid over the whole buffer from its start, so its phase follows the
         * offset */
        if (slot->found[tail + i] != canary[(tail + i) % 4]) {
            rr_cg_fault(cg, "wrote behind %s, byte %zu past its end", names[id], i);
            break;
        }
    }
    if (slot->role == RR_CG_IN &&
        memcmp(slot->found + CANARY_BYTES, slot->host, slot->bytes) != 0) {
        rr_cg_fault(cg, "changed its input %s", names[id]);
    }
}

rr_status rr_cg_run_once(rr_cg *cg, const rr_kern_key *key, const void *push, rr_diag *diag) {
    rr_op op = cg->variant->op;
    RR_TRY(rr_kern_prepare(cg->kern, op, key, cg->variant, diag));
    RR_TRY(rr_vk_begin(cg->commands, diag));
    rr_kern_record(cg->kern, cg->commands, op, key, cg->variant, push);
    RR_TRY(rr_vk_submit(cg->commands, diag));
    RR_TRY(rr_vk_wait(cg->commands, 0, diag));
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        rr_cg_slot *slot = &cg->slots[i];
        if (slot->role != RR_CG_UNUSED) {
            RR_TRY(rr_vk_download(
                cg->device, &slot->device, 0, slot->found, device_bytes(slot), diag));
            check_slot(cg, slot, i);
        }
    }
    return RR_OK;
}

rr_status rr_cg_run(rr_cg *cg, const rr_kern_key *key, const void *push, rr_diag *diag) {
    RR_TRY(rr_cg_run_once(cg, key, push, diag));
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        rr_cg_slot *slot = &cg->slots[i];
        if (slot->role == RR_CG_OUT || slot->role == RR_CG_INOUT) {
            memcpy(slot->first, slot->found, device_bytes(slot));
        }
    }
    RR_TRY(rr_cg_reset_outputs(cg, diag));
    RR_TRY(rr_cg_run_once(cg, key, push, diag));
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        const rr_cg_slot *slot = &cg->slots[i];
        if ((slot->role == RR_CG_OUT || slot->role == RR_CG_INOUT) &&
            memcmp(slot->first, slot->found, device_bytes(slot)) != 0) {
            rr_cg_fault(cg, "the second run gave other bits than the first");
        }
    }
    return RR_OK;
}

/* A row in one of several sizes, some of them so small that their f16 scales are subnormal, with an
 * outlier as real weights have them; a row in 23 is zeros but for that, one has the largest code
 * everywhere. */
static void random_row(rr_cg *cg, uint32_t rows, uint32_t r, float *row, uint32_t cols) {
    float deviation = rows > 4 && r % 23 == 3 ? 0 : ldexpf(1, -(int)(rr_cg_random(cg) % 12));
    rr_cg_normals(cg, deviation, row, cols);
    row[rr_cg_random(cg) % cols] *= 20;
    for (uint32_t c = 0; rows > 4 && r % 23 == 7 && c < cols; c++) {
        row[c] = -deviation;
    }
}

rr_status rr_cg_matrix(
    rr_cg *cg, rr_qtype type, uint32_t rows, uint32_t cols, rr_planes *planes, rr_diag *diag) {
    RR_TRY(rr_planes_plan(type, rows, cols, planes, diag));
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    size_t row_bytes = (size_t)(cols / info->block_weights) * info->block_bytes;
    void *device = rr_cg_buffer(cg, RR_CG_W, RR_CG_IN, planes->bytes);
    uint8_t *blocks = malloc(rows * row_bytes);
    float *row = malloc(cols * sizeof *row);
    if (device == NULL || blocks == NULL || row == NULL) {
        free(blocks);
        free(row);
        return rr_fail(
            diag, RR_E_MEMORY, "checkgpu: no memory for a matrix of %u x %u", rows, cols);
    }
    for (uint32_t r = 0; r < rows; r++) {
        random_row(cg, rows, r, row, cols);
        rr_blocks_quantize(type, row, cols, blocks + r * row_bytes);
    }
    rr_planes_pack(planes, blocks, 0, rows, device);
    free(blocks);
    free(row);
    return RR_OK;
}

rr_ref_matrix rr_cg_ref_matrix(const rr_cg *cg, const rr_planes *planes) {
    return (rr_ref_matrix){.rows = planes->rows,
        .cols = planes->cols,
        .type = planes->type,
        .planes = planes,
        .device = cg->slots[RR_CG_W].host};
}

static void lanes_blocks(
    rr_cg *cg, const rr_lanes_part *part, float *row, uint32_t cols, uint8_t *blocks) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)part->type);
    size_t row_bytes = (size_t)(cols / info->block_weights) * info->block_bytes;
    for (uint32_t r = 0; r < part->rows; r++) {
        random_row(cg, part->rows, r, row, cols);
        rr_blocks_quantize(part->type, row, cols, blocks + r * row_bytes);
    }
}

rr_status rr_cg_lanes_matrix(rr_cg *cg, const rr_lanes_part *parts, uint32_t n_parts, uint32_t cols,
    rr_lanes *lanes, rr_diag *diag) {
    rr_lanes_part filled[RR_LANES_PARTS];
    uint8_t *blocks[RR_LANES_PARTS] = {NULL};
    RR_TRY(rr_lanes_plan(parts, n_parts, cols, rr_vk_info(cg->device)->subgroup_size, lanes, diag));
    void *device = rr_cg_buffer(cg, RR_CG_W, RR_CG_IN, lanes->bytes);
    float *row = malloc(cols * sizeof *row);
    bool made = device != NULL && row != NULL;
    for (uint32_t i = 0; made && i < n_parts; i++) {
        const rr_qtype_info *info = rr_qtype_get((uint32_t)parts[i].type);
        blocks[i] =
            malloc((size_t)parts[i].rows * (cols / info->block_weights) * info->block_bytes);
        made = blocks[i] != NULL;
        if (made) {
            lanes_blocks(cg, &parts[i], row, cols, blocks[i]);
            filled[i] = (rr_lanes_part){parts[i].type, parts[i].rows, blocks[i]};
        }
    }
    rr_status status = made ? rr_lanes_plan(filled, n_parts, cols, lanes->width, lanes, diag)
                            : rr_fail(diag, RR_E_MEMORY,
                                  "checkgpu: no memory for a matrix of %u x %u", lanes->rows, cols);
    for (uint32_t unit = 0; status == RR_OK && unit < lanes->n_units; unit++) {
        rr_lanes_pack_unit(lanes, unit, device);
    }
    for (uint32_t i = 0; i < n_parts; i++) {
        free(blocks[i]);
        lanes->parts[i].blocks = NULL;
    }
    free(row);
    return status;
}
