/* The arithmetic roof: a kernel that skipped work would promise a speed that no device has. All
 * values are small whole numbers, so every variant must be exact. */
#include "tests/checkgpu/internal.h"

#include <string.h>

#include "shaders/roof.h"

static int32_t dot_step(int32_t x, uint32_t w) {
    uint32_t sum = (uint32_t)x;
    for (int b = 0; b < 4; b++) {
        sum += (uint32_t)((int8_t)((uint32_t)x >> (8 * b)) * (int8_t)(w >> (8 * b)));
    }
    int32_t result;
    memcpy(&result, &sum, sizeof result);
    return result;
}

/* The sum of an invocation's chains, as bits. */
static uint32_t expected_bits(
    const rr_push_roof *push, uint32_t lane, bool is_dot, uint32_t n_chains) {
    uint32_t w, bits, n_steps = push->n_loops * RR_ROOF_STEPS;
    memcpy(&w, &push->a, sizeof w);
    uint32_t whole = 0;
    double sum = 0.0;
    for (uint32_t c = 0; c < n_chains; c++) {
        double x = c + lane % 8;
        int32_t i = (int32_t)(c + lane % 8);
        for (uint32_t s = 0; s < n_steps; s++) {
            x = x * (double)push->a + (double)push->b;
            i = dot_step(i, w);
        }
        sum += x;
        whole += (uint32_t)i;
    }
    float total = (float)sum;
    memcpy(&bits, &total, sizeof bits);
    return is_dot ? whole : bits;
}

static rr_status roof_case(
    rr_cg *cg, uint32_t n_groups, uint32_t n_loops, float a, float b, rr_diag *diag) {
    bool is_dot = strcmp(cg->variant->name, "dot") == 0,
         is_f16 = strcmp(cg->variant->name, "f16") == 0;
    const uint32_t n = n_groups * RR_ROOF_LANES;
    rr_cg_begin(cg, "groups %u, loops %u, x %g + %g", n_groups, n_loops, (double)a, (double)b);
    if (rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n * sizeof(uint32_t)) == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    rr_push_roof push = {
        .y = rr_cg_address(cg, RR_CG_Y), .n_loops = n_loops, .n_groups = n_groups, .a = a, .b = b};
    if (is_dot) {
        /* no NaN, whose bits a copy may change */
        uint32_t w = (uint32_t)rr_cg_random(cg) & 0x7F7FFFFF;
        memcpy(&push.a, &w, sizeof w);
    }
    RR_TRY(rr_cg_run(cg, &(rr_kern_key){0}, &push, diag));
    const uint32_t *found = rr_cg_found(cg, RR_CG_Y);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t expected = expected_bits(&push, i, is_dot, is_f16 ? 32 : 16);
        if (found[i] != expected) {
            rr_cg_fault(
                cg, "invocation %u: found %08x, expected exactly %08x", i, found[i], expected);
        }
    }
    rr_cg_end(cg);
    return RR_OK;
}

rr_status rr_cg_check_roof(rr_cg *cg, rr_diag *diag) {
    RR_TRY(roof_case(cg, 1, 0, 1, 1, diag));
    RR_TRY(roof_case(cg, 3, 100, 1, 1, diag));
    return roof_case(cg, 2, 7, -1, 3, diag);
}
