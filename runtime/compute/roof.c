#include "runtime/compute/roof.h"

#include <string.h>

#include "shaders/roof.h"

void rr_roof_record(rr_kern *kern, rr_vk_commands *commands, const rr_variant *variant, uint64_t to,
    uint32_t n_groups, uint32_t n_loops) {
    rr_push_roof push = {.y = to, .n_loops = n_loops, .n_groups = n_groups, .a = 1.0f, .b = 1.0f};
    rr_kern_record(kern, commands, RR_OP_roof, &(rr_kern_key){0}, variant, &push);
}

uint64_t rr_roof_bytes(uint32_t n_groups) {
    return (uint64_t)n_groups * RR_ROOF_LANES * 4;
}

double rr_roof_loop_ops(const rr_variant *variant, uint32_t n_groups) {
    double step = strcmp(variant->name, "dot") == 0 ? 16 * 8
        : strcmp(variant->name, "f16") == 0         ? 32 * 2
                                                    : 16 * 2;
    return step * RR_ROOF_STEPS * RR_ROOF_LANES * n_groups;
}
