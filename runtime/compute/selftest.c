#include "runtime/compute/selftest.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/base/cache.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

static const uint32_t order[] = {RR_CAP_COOP_INT8, RR_CAP_COOP, RR_CAP_DOT, RR_CAP_SUBGROUP};
enum { MOST_TRIES = 2 };

static const char *text_of(uint32_t cap) {
    uint32_t bit = 0;
    while ((cap >> bit & 1u) == 0) {
        bit++;
    }
    return rr_cap_text((rr_cap_bit)bit);
}

static rr_status verdict_file(const rr_device_info *info, rr_buf *out, rr_diag *diag) {
    return rr_cache_path_of("selftest", info->uuid, ".txt", out, diag);
}

rr_selftest_verdict rr_selftest_recall(const rr_device_info *info) {
    rr_selftest_verdict v = {0};
    rr_buf path = {0}, text = {0};
    rr_diag diag = {0};
    uint32_t driver = 0;
    uint64_t shaders = 0;
    int end = 0;
    bool good = verdict_file(info, &path, &diag) == RR_OK &&
        rr_file_read(path.data, 4096, &text, &diag) == RR_OK;
    rr_buf_append(&text, "", 1);
    good = good && !text.failed &&
        sscanf(text.data,
            "rearank selftest 1\ndriver %" SCNx32 " shaders %" SCNx64 "\ntested %" SCNx32
            " dropped %" SCNx32 "\ntrying %" SCNx32 " tries %" SCNu32 "\nend\n%n",
            &driver, &shaders, &v.tested, &v.dropped, &v.trying, &v.tries, &end) == 6 &&
        end > 0 && driver == info->driver_version && shaders == rr_variants_hash() &&
        ((v.tested | v.dropped | v.trying) & ~(uint32_t)RR_SELFTEST_CAPS) == 0;
    rr_buf_destroy(&path);
    rr_buf_destroy(&text);
    return good ? v : (rr_selftest_verdict){0};
}

void rr_selftest_keep(const rr_device_info *info, const rr_selftest_verdict *v) {
    rr_buf path = {0}, text = {0};
    rr_diag diag = {0};
    rr_buf_printf(&text,
        "rearank selftest 1\ndriver %" PRIx32 " shaders %" PRIx64 "\ntested %" PRIx32
        " dropped %" PRIx32 "\ntrying %" PRIx32 " tries %" PRIu32 "\nend\n",
        info->driver_version, rr_variants_hash(), v->tested, v->dropped, v->trying, v->tries);
    rr_status status = verdict_file(info, &path, &diag);
    if (status == RR_OK && !text.failed) {
        status = rr_cache_write(path.data, text.data, text.bytes, &diag);
    }
    if (status != RR_OK) {
        rr_log(RR_LOG_INFO, "self-test: not remembered, the next start repeats it: %s", diag.text);
    }
    rr_buf_destroy(&path);
    rr_buf_destroy(&text);
}

uint32_t rr_selftest_remembered(const rr_device_info *info) {
    return (info->caps & RR_CAP_CPU) != 0 ? 0 : rr_selftest_recall(info).dropped & info->caps;
}

/* All cases in which `cap` makes a difference under `caps`. */
static rr_status try_cap(rr_selftest_bench *bench, const rr_selftest_limits *limits, uint32_t caps,
    uint32_t cap, const char *device, bool *good, rr_diag *diag) {
    double with = 0, without = 0;
    *good = true;
    for (uint32_t i = 0; i < RR_SELFTEST_CASES; i++) {
        bool differs;
        rr_selftest_figures f;
        RR_TRY(rr_selftest_case(bench, i, caps, cap, &differs, &f, diag));
        if (!differs) {
            continue;
        }
        rr_log(RR_LOG_DEBUG,
            "self-test: %s, %s: error %.2g of the limit, %.1f us with, %.1f us without",
            text_of(cap), f.name, f.error, f.with_ns / 1e3, f.without_ns / 1e3);
        if (!(f.error <= (limits->error != 0 ? limits->error : 1))) {
            rr_log(RR_LOG_WARN,
                "%s: %s computes wrongly with %s, which is not used from now on (--caps=-%s does the same)",
                device, f.name, text_of(cap), text_of(cap));
            *good = false;
            return RR_OK;
        }
        with += f.with_ns;
        without += f.without_ns;
    }
    if (with > without * (limits->time != 0 ? limits->time : 1.25)) {
        rr_log(RR_LOG_INFO,
            "%s: %s makes kernels slower, %.0f instead of %.0f us, and is not used from now on",
            device, text_of(cap), with / 1e3, without / 1e3);
        *good = false;
    }
    return RR_OK;
}

static rr_status run(
    rr_vk_device *device, const rr_selftest_limits *limits, rr_selftest_verdict *v, rr_diag *diag) {
    const rr_device_info *info = rr_vk_info(device);
    rr_selftest_bench *bench = NULL;
    RR_TRY(rr_selftest_bench_create(device, &bench, diag));
    rr_status status = RR_OK;
    for (size_t i = 0; status == RR_OK && i < sizeof order / sizeof order[0]; i++) {
        if ((info->caps & order[i] & ~v->tested) == 0) {
            continue;
        }
        bool good = !(v->trying == order[i] && v->tries >= MOST_TRIES);
        if (good) {
            *v = (rr_selftest_verdict){
                v->tested, v->dropped, order[i], v->trying == order[i] ? v->tries + 1 : 1};
            rr_selftest_keep(info, v);
            status =
                try_cap(bench, limits, info->caps & ~v->dropped, order[i], info->name, &good, diag);
        } else {
            rr_log(RR_LOG_WARN,
                "%s: the self-test of %s never came to its end, it is not used from now on",
                info->name, text_of(order[i]));
        }
        if (status == RR_OK) {
            *v = (rr_selftest_verdict){
                v->tested | order[i], v->dropped | (good ? 0 : order[i]), 0, 0};
            rr_selftest_keep(info, v);
        }
    }
    rr_selftest_bench_destroy(&bench);
    return status;
}

/* Capabilities at whose kernels a process died are left out untested, and that is remembered. */
static void bury(const rr_device_info *info, rr_selftest_verdict *v) {
    const uint32_t died = rr_vk_take_deaths(info) & RR_SELFTEST_CAPS;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if ((died & order[i]) != 0) {
            rr_log(RR_LOG_WARN,
                "%s: the process died while the driver made a kernel with %s, which is not used from now on",
                info->name, text_of(order[i]));
        }
    }
    if (died != 0) {
        const bool ended = (died & v->trying) != 0;
        *v = (rr_selftest_verdict){
            v->tested | died, v->dropped | died, ended ? 0 : v->trying, ended ? 0 : v->tries};
        rr_selftest_keep(info, v);
    }
}

rr_status rr_selftest(
    rr_vk_device *device, const rr_selftest_limits *limits, uint32_t *drop, rr_diag *diag) {
    const rr_device_info *info = rr_vk_info(device);
    *drop = 0;
    if ((info->caps & RR_CAP_CPU) != 0 || (info->caps & RR_SELFTEST_CAPS) == 0) {
        return RR_OK;
    }
    rr_selftest_verdict v = rr_selftest_recall(info);
    bury(info, &v);
    if ((info->caps & RR_SELFTEST_CAPS & ~v.tested) != 0) {
        rr_log(RR_LOG_INFO, "self-test of %s, once", info->name);
        RR_TRY(run(device, limits, &v, diag));
    }
    *drop = v.dropped & info->caps;
    return RR_OK;
}
