/* What the device can do at best: a large copy, and chains of multiply-adds (shaders/roof.h). */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/thread.h"
#include "runtime/compute/roof.h"
#include "tools/bench.h"

enum { REPEATS = 5, MAX_COPY_BYTES = 256 << 20, SOFTWARE_COPY_BYTES = 64 << 20 };
/* of one measurement; far below what a driver's watchdog allows */
static const double ENOUGH_NS = 30e6;

typedef struct bench_device {
    rr_vk_instance *instance;
    rr_vk_device *device;
    rr_kern *kern;
    rr_vk_commands *commands;
    rr_vk_buffer from, to;
    uint64_t copy_bytes;
    uint32_t n_groups;
} bench_device;

/* What is measured: `n` times a copy (variant NULL), or one dispatch of `n` loops. */
static rr_status time_once(
    bench_device *d, const rr_variant *variant, uint32_t n, double *out_ns, rr_diag *diag) {
    RR_TRY(rr_vk_begin(d->commands, diag));
    rr_vk_timestamp(d->commands, 0);
    if (variant != NULL) {
        rr_roof_record(d->kern, d->commands, variant, d->to.address, d->n_groups, n);
    }
    for (uint32_t i = 0; variant == NULL && i < n; i++) {
        rr_vk_copy(d->commands, &d->from, 0, &d->to, 0, d->copy_bytes);
        rr_vk_barrier(d->commands);
    }
    rr_vk_timestamp(d->commands, 1);
    uint64_t begin = rr_time_ns();
    RR_TRY(rr_vk_submit(d->commands, diag));
    RR_TRY(rr_vk_wait(d->commands, 0, diag));
    uint64_t host = rr_time_ns() - begin, device = rr_vk_elapsed_ns(d->commands, 0, 1);
    *out_ns = (double)(device != 0 ? device : host);
    return RR_OK;
}

/* The least time of one unit of `n`. */
static rr_status least_ns(
    bench_device *d, const rr_variant *variant, bool dry, double *out, rr_diag *diag) {
    uint32_t n = 1;
    double ns = 0.0, best = 0.0;
    RR_TRY(time_once(d, variant, n, &ns, diag)); /* the driver may compile now */
    if (dry) {
        *out = 0.0;
        return RR_OK;
    }
    RR_TRY(time_once(d, variant, n, &ns, diag));
    while (ns < ENOUGH_NS && n < 1u << 30) {
        n *= 2;
        RR_TRY(time_once(d, variant, n, &ns, diag));
    }
    for (int i = 0; i < REPEATS; i++) {
        RR_TRY(time_once(d, variant, n, &ns, diag));
        best = i == 0 || ns < best ? ns : best;
    }
    *out = best / n;
    return RR_OK;
}

static rr_status open_device(
    bench_device *d, const rr_bench *bench, bool validation, rr_diag *diag) {
    const bool software = bench->device.type == RR_DEVICE_CPU;
    RR_TRY(rr_vk_instance_create(
        &(rr_vk_instance_params){.validation = validation}, &d->instance, diag));
    RR_TRY(
        rr_vk_device_open(d->instance, bench->device.index, bench->device.caps, &d->device, diag));
    RR_TRY(rr_kern_create(d->device, &d->kern, diag));
    RR_TRY(rr_vk_commands_create(d->device, &d->commands, diag));
    uint64_t most = bench->plan.dry ? 1 << 20 : software ? SOFTWARE_COPY_BYTES : MAX_COPY_BYTES;
    uint64_t room = rr_vk_budget_left(d->device) / 4;
    d->n_groups = bench->plan.dry ? 1 : software ? 256 : 8192;
    d->copy_bytes = most < room ? most : room & ~(uint64_t)4095;
    if (d->copy_bytes < rr_roof_bytes(d->n_groups)) {
        return rr_fail(diag, RR_E_MEMORY, "%s has %llu bytes free: too little to measure its roofs",
            bench->device.name, (unsigned long long)rr_vk_budget_left(d->device));
    }
    RR_TRY(rr_vk_buffer_create(
        d->device, RR_VK_MEMORY_DEVICE, d->copy_bytes, "roof: from", &d->from, diag));
    return rr_vk_buffer_create(
        d->device, RR_VK_MEMORY_DEVICE, d->copy_bytes, "roof: to", &d->to, diag);
}

static void close_device(bench_device *d) {
    if (d->device != NULL) {
        rr_vk_commands_destroy(d->device, &d->commands);
        rr_kern_destroy(&d->kern);
        rr_vk_buffer_destroy(d->device, &d->from);
        rr_vk_buffer_destroy(d->device, &d->to);
        rr_vk_device_close(&d->device);
    }
    rr_vk_instance_destroy(&d->instance);
}

static void add_roof(rr_bench *bench, const char *name, double per_ns) {
    bench->roofs[bench->n_roofs++] = (rr_bench_roof){name, per_ns};
}

static rr_status measure(bench_device *d, rr_bench *bench, rr_diag *diag) {
    const rr_kern_key none = {0};
    double ns;
    size_t n;
    const rr_variant *variants = rr_variants(&n);
    RR_TRY(least_ns(d, NULL, bench->plan.dry, &ns, diag));
    add_roof(bench, "copy", 2.0 * (double)d->copy_bytes / ns);
    for (size_t i = 0; i < n && bench->n_roofs < RR_BENCH_ROOFS; i++) {
        const rr_variant *v = &variants[i];
        if (v->op != RR_OP_roof || (v->caps & ~bench->device.caps) != 0) {
            continue;
        }
        RR_TRY(rr_kern_prepare(d->kern, RR_OP_roof, &none, v, diag));
        RR_TRY(least_ns(d, v, bench->plan.dry, &ns, diag));
        add_roof(bench, strcmp(v->name, "base") == 0 ? "f32" : v->name,
            rr_roof_loop_ops(v, d->n_groups) / ns);
    }
    return RR_OK;
}

rr_status rr_bench_roofs(rr_bench *bench, bool validation, rr_diag *diag) {
    bench_device d = {0};
    rr_status status = open_device(&d, bench, validation, diag);
    if (status == RR_OK) {
        status = measure(&d, bench, diag);
    }
    if (bench->plan.dry) {
        bench->n_roofs = 0;
    }
    close_device(&d);
    return status;
}
