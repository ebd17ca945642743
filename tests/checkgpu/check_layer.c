/* lanes_layer: that its workgroups meet. One alone must never wait, and must leave the counters as
 * the engine expects them, also where they wrap. (That a whole layer gives the bits of its five ops
 * is tests/engine/test_session.c's: a session decoded alone takes this op, the same among others
 * the five.) */
#include "tests/checkgpu/internal.h"

#include "quant/lanes.h"
#include "shaders/lanes_layer.h"

static rr_status layer_case(
    rr_cg *cg, uint32_t arrivals, uint32_t code, uint32_t head_size, rr_diag *diag) {
    rr_cg_begin(cg, "meeting from %u, format %x, head size %u", arrivals, code, head_size);
    uint32_t *meeting = rr_cg_buffer(cg, RR_CG_TICKETS, RR_CG_INOUT, 2 * sizeof *meeting);
    if (meeting == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    meeting[0] = arrivals;
    meeting[1] = 0;
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    rr_push_lanes_layer push = {
        .meeting = rr_cg_address(cg, RR_CG_TICKETS), .arrivals = arrivals, .n_groups = 1};
    rr_kern_key key = {
        .lanes = code, .o = code, .gate_up = code, .down = code, .head_size = head_size};
    RR_TRY(rr_cg_run(cg, &key, &push, diag));
    const uint32_t expected[2] = {arrivals + 4, 0};
    rr_cg_compare_bits(cg, "the meeting", rr_cg_found(cg, RR_CG_TICKETS), expected, 2, 2);
    rr_cg_end(cg);
    return RR_OK;
}

rr_status rr_cg_check_layer(rr_cg *cg, rr_diag *diag) {
    static const rr_qtype types[] = {RR_Q_Q4_0, RR_Q_Q5_0, RR_Q_Q4_K, RR_Q_Q6_K};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        rr_lanes_format format;
        if (rr_lanes_format_of(types[i], &format)) {
            uint32_t arrivals = i % 2 == 0 ? (uint32_t)i * 1000 : UINT32_MAX - (uint32_t)i;
            RR_TRY(layer_case(cg, arrivals, rr_lanes_code(format), i % 2 == 0 ? 64 : 128, diag));
        }
    }
    return RR_OK;
}
