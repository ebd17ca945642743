/* An open device: memory, staging, kernels, barriers, copies, timestamps, timeouts, the pipeline
 * cache on disk. Runs on the device that rr_vk_pick gives, with validation where the layer is
 * installed; any message fails. `test_device --walk` checks no computed result: for pretended
 * devices that execute nothing. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/file_out.h"
#include "runtime/vk/vk.h"
#include "tests/check.h"
#include "tests/support/folder.h"

static const uint32_t mix_spirv[] = {
#include "tests/vk/mix.inc"
};
static const uint32_t subgroup_spirv[] = {
#include "tests/vk/subgroup.inc"
};

typedef struct mix_push {
    uint64_t from, to;
    uint32_t n, add, rounds;
} mix_push;

enum { FACTOR = 3 };

static bool walking; /* nothing executes */

static uint8_t pattern(uint64_t i) {
    return (uint8_t)(i * 2654435761u >> 11 ^ i);
}

static rr_vk_kernel *mix_kernel(rr_vk_device *device, uint32_t group) {
    rr_diag diag = {0};
    rr_vk_kernel *kernel = NULL;
    const uint32_t spec[] = {group, FACTOR};
    const rr_vk_kernel_params params = {
        .label = "mix",
        .spirv = mix_spirv,
        .spirv_bytes = sizeof mix_spirv,
        .spec = spec,
        .n_spec = 2,
        .push_bytes = 28,
    };
    CHECK_OK(rr_vk_kernel_create(device, &params, &kernel, &diag), diag);
    return kernel;
}

static rr_vk_buffer buffer_of(rr_vk_device *device, rr_vk_memory kind, uint64_t bytes) {
    rr_diag diag = {0};
    rr_vk_buffer buffer = {0};
    CHECK_OK(rr_vk_buffer_create(device, kind, bytes, "test", &buffer, &diag), diag);
    CHECK_INT(buffer.bytes, bytes);
    CHECK_INT(buffer.address % 256, 0);
    CHECK(buffer.address != 0);
    CHECK(kind == RR_VK_MEMORY_DEVICE || buffer.mapped != NULL);
    return buffer;
}

/* Up and down again with the canaries beside the range untouched; `staged` hides the mapping, as on
 * a discrete card. */
static void check_transfer(
    rr_vk_device *device, rr_vk_memory kind, uint64_t bytes, uint64_t offset, bool staged) {
    rr_diag diag = {0};
    const uint64_t whole = offset + bytes + 5;
    rr_vk_buffer buffer = buffer_of(device, kind, whole);
    rr_vk_buffer view = buffer;
    if (staged) {
        view.mapped = NULL;
    }
    uint8_t *up = malloc(whole);
    uint8_t *down = malloc(whole);
    memset(up, 0xcc, whole);
    memset(down, 0x11, whole);
    CHECK_OK(rr_vk_upload(device, &view, 0, up, whole, &diag), diag);
    for (uint64_t i = 0; i < bytes; i++) {
        up[offset + i] = pattern(i);
    }
    CHECK_OK(rr_vk_upload(device, &view, offset, up + offset, bytes, &diag), diag);
    CHECK_OK(rr_vk_download(device, &view, 0, down, whole, &diag), diag);
    CHECK_MSG(walking || memcmp(up, down, whole) == 0,
        "kind %d, %llu bytes at %llu, staged %d: not the same back", (int)kind,
        (unsigned long long)bytes, (unsigned long long)offset, staged);
    CHECK_INT(rr_vk_upload(device, &view, whole, up, 1, &diag), RR_E_USAGE);
    CHECK_INT(rr_vk_download(device, &view, UINT64_MAX, down, 2, &diag), RR_E_USAGE);
    CHECK_OK(rr_vk_upload(device, &view, whole, up, 0, &diag), diag);
    free(up);
    free(down);
    rr_vk_buffer_destroy(device, &buffer);
    CHECK(buffer.handle == NULL);
    rr_vk_buffer_destroy(device, &buffer);
}

typedef struct filling {
    const uint8_t *from;
    uint64_t expected, most, fails_at; /* the next part's place; the largest part so far */
} filling;

static rr_status fill(void *user, uint64_t at, uint64_t bytes, void *to, rr_diag *diag) {
    filling *f = user;
    CHECK_INT(at, f->expected);
    if (at >= f->fails_at) {
        return rr_fail(diag, RR_E_INPUT, "nothing more");
    }
    memcpy(to, f->from + at, (size_t)bytes);
    f->expected += bytes;
    f->most = bytes > f->most ? bytes : f->most;
    return RR_OK;
}

/* Parts in order; what has come before a failure may be there, the device goes on. */
static void check_filling(rr_vk_device *device, uint64_t bytes, bool staged) {
    rr_diag diag = {0};
    rr_vk_buffer buffer = buffer_of(device, RR_VK_MEMORY_DEVICE, bytes);
    rr_vk_buffer view = buffer;
    view.mapped = staged ? NULL : view.mapped;
    const bool parts = view.mapped == NULL;
    uint8_t *up = malloc(bytes), *down = calloc(1, bytes);
    for (uint64_t i = 0; i < bytes; i++) {
        up[i] = pattern(i);
    }
    filling whole = {.from = up, .fails_at = UINT64_MAX},
            broken = {.from = up, .fails_at = parts ? 32 << 20 : 0};
    CHECK_OK(rr_vk_upload_from(device, &view, 0, bytes, fill, &whole, &diag), diag);
    CHECK_INT(whole.expected, bytes);
    CHECK_INT(whole.most, parts ? 16 << 20 : bytes);
    CHECK_OK(rr_vk_download(device, &view, 0, down, bytes, &diag), diag);
    CHECK(walking || memcmp(up, down, bytes) == 0);
    CHECK_INT(rr_vk_upload_from(device, &view, 0, bytes, fill, &broken, &diag), RR_E_INPUT);
    CHECK_TEXT(diag.text, "nothing more");
    CHECK_INT(broken.expected, broken.fails_at);
    CHECK_OK(rr_vk_upload(device, &view, 0, up, bytes, &diag), diag);
    CHECK_INT(rr_vk_upload_from(device, &view, 1, bytes, fill, &whole, &diag), RR_E_USAGE);
    free(up);
    free(down);
    rr_vk_buffer_destroy(device, &buffer);
}

static void test_transfers(rr_vk_device *device) {
    check_filling(device, (50u << 20) + 3, false);
    check_filling(device, (50u << 20) + 3, true);
    static const uint64_t sizes[] = {1, 3, 255, 4096, 65537, (16u << 20) + 7, (37u << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check_transfer(device, RR_VK_MEMORY_DEVICE, sizes[i], i * 3 % 7, false);
        check_transfer(device, RR_VK_MEMORY_DEVICE, sizes[i], i * 3 % 7, true);
    }
    check_transfer(device, RR_VK_MEMORY_UPLOAD, 1001, 3, false);
    check_transfer(device, RR_VK_MEMORY_READBACK, 1001, 3, false);
    check_transfer(device, RR_VK_MEMORY_READBACK, 1001, 3, true);
}

static void test_memory_limits(rr_vk_device *device) {
    rr_diag diag = {0};
    rr_vk_buffer buffer = {.bytes = 99};
    const rr_device_info *info = rr_vk_info(device);
    CHECK_INT(rr_vk_buffer_create(device, RR_VK_MEMORY_DEVICE, info->max_allocation_bytes + 1,
                  "huge", &buffer, &diag),
        RR_E_MEMORY);
    CHECK_MSG(strstr(diag.text, "huge") != NULL, "\"%s\" does not name the buffer", diag.text);
    CHECK_INT(rr_vk_buffer_create(device, RR_VK_MEMORY_DEVICE, UINT64_MAX, "huge", &buffer, &diag),
        RR_E_MEMORY);
    CHECK_INT(
        rr_vk_buffer_create(device, RR_VK_MEMORY_DEVICE, 0, "none", &buffer, &diag), RR_E_USAGE);
    CHECK_INT(buffer.bytes, 99);
    CHECK(info->budget_bytes > 0 && info->budget_bytes <= info->device_memory_bytes);
    CHECK(rr_vk_budget_left(device) <= info->device_memory_bytes);

    /* what is taken is counted until it is given back; where the budget is the machine's free
     * memory that lags behind */
    const uint64_t bytes = 256u << 20;
    bool lags =
        info->type == RR_DEVICE_CPU && info->budget_bytes != info->device_memory_bytes / 5 * 4;
    if (!lags && rr_vk_budget_left(device) > 2 * bytes && bytes < info->max_allocation_bytes / 2) {
        buffer = buffer_of(device, RR_VK_MEMORY_DEVICE, bytes);
        uint64_t with = rr_vk_budget_left(device);
        rr_vk_buffer_destroy(device, &buffer);
        uint64_t after = rr_vk_budget_left(device);
        CHECK_MSG(with + bytes / 4 < after, "budget %llu with the buffer, %llu without",
            (unsigned long long)with, (unsigned long long)after);
    }
}

/* Three dependent dispatches and two copies, recorded once and submitted three times. */
static void test_commands(rr_vk_device *device) {
    enum { N = 1003, ADD = 7 };
    rr_diag diag = {0};
    rr_vk_kernel *kernel = mix_kernel(device, 64);
    rr_vk_buffer in = buffer_of(device, RR_VK_MEMORY_UPLOAD, N * 4);
    rr_vk_buffer a = buffer_of(device, RR_VK_MEMORY_DEVICE, N * 4);
    rr_vk_buffer b = buffer_of(device, RR_VK_MEMORY_DEVICE, N * 4);
    rr_vk_buffer out = buffer_of(device, RR_VK_MEMORY_READBACK, N * 4 + 8);
    uint32_t *words = in.mapped;
    uint32_t *results = out.mapped;
    rr_vk_commands *commands = NULL;
    CHECK_OK(rr_vk_commands_create(device, &commands, &diag), diag);
    CHECK_INT(rr_vk_submit(commands, &diag), RR_E_INTERNAL);
    CHECK_INT(rr_vk_wait(commands, 0, &diag), RR_E_INTERNAL);
    CHECK_OK(rr_vk_begin(commands, &diag), diag);
    rr_vk_timestamp(commands, 1);
    rr_vk_copy(commands, &in, 0, &a, 0, N * 4);
    rr_vk_barrier(commands);
    const mix_push steps[] = {{a.address, b.address, N, ADD, 1}, {b.address, a.address, N, ADD, 2},
        {a.address, b.address, N, ADD, 200}};
    for (size_t i = 0; i < 3; i++) {
        rr_vk_dispatch(commands, kernel, &steps[i], rr_div_up(N, 64), 1, 1);
        rr_vk_barrier(commands);
    }
    rr_vk_copy(commands, &b, 4, &out, 8, N * 4 - 4);
    rr_vk_timestamp(commands, 9);
    for (uint32_t run = 0; run < 3; run++) {
        for (uint32_t i = 0; i < N; i++) {
            words[i] = i * 77 + run;
        }
        memset(results, 0xee, N * 4 + 8);
        CHECK_OK(rr_vk_submit(commands, &diag), diag);
        CHECK_INT(rr_vk_begin(commands, &diag), RR_E_INTERNAL);
        CHECK_INT(rr_vk_submit(commands, &diag), RR_E_INTERNAL);
        CHECK_OK(rr_vk_wait(commands, 0, &diag), diag);
        CHECK_OK(rr_vk_wait(commands, 0, &diag), diag);
        uint32_t n_wrong = 0;
        for (uint32_t i = 1; i < N; i++) {
            uint32_t expected = words[i];
            for (int r = 0; r < 203; r++) {
                expected = expected * FACTOR + ADD;
            }
            n_wrong += results[i + 1] != expected;
        }
        CHECK_MSG(walking || n_wrong == 0, "run %u: %u of %d words are wrong", run, n_wrong, N - 1);
        CHECK_MSG(walking || (results[0] == 0xeeeeeeeeu && results[1] == 0xeeeeeeeeu),
            "the copy wrote beside its range");
    }
    CHECK(walking || rr_vk_info(device)->timestamp_ns == 0.0f ||
        rr_vk_elapsed_ns(commands, 1, 9) > 0);
    CHECK_INT(rr_vk_elapsed_ns(commands, 1, 5), 0);
    CHECK_INT(rr_vk_elapsed_ns(commands, 1, 10), 0);
    CHECK_OK(rr_vk_begin(commands, &diag), diag);
    CHECK_INT(rr_vk_elapsed_ns(commands, 1, 9), 0);
    rr_vk_commands_destroy(device, &commands);
    rr_vk_buffer_destroy(device, &in);
    rr_vk_buffer_destroy(device, &a);
    rr_vk_buffer_destroy(device, &b);
    rr_vk_buffer_destroy(device, &out);
    rr_vk_kernel_destroy(device, &kernel);
    rr_vk_kernel_destroy(device, &kernel);
}

/* Two lists submitted one after the other without waiting: the second sees what the first wrote. */
static void test_two_lists(rr_vk_device *device) {
    enum { N = 4096 };
    rr_diag diag = {0};
    rr_vk_kernel *kernel = mix_kernel(device, 256);
    rr_vk_buffer a = buffer_of(device, RR_VK_MEMORY_DEVICE, N * 4);
    rr_vk_buffer b = buffer_of(device, RR_VK_MEMORY_DEVICE, N * 4);
    uint32_t *words = calloc(N, 4);
    rr_vk_commands *lists[2] = {NULL, NULL};
    CHECK_OK(rr_vk_upload(device, &a, 0, words, N * 4, &diag), diag);
    for (int i = 0; i < 2; i++) {
        const mix_push push = {
            i == 0 ? a.address : b.address, i == 0 ? b.address : a.address, N, 5, 1};
        CHECK_OK(rr_vk_commands_create(device, &lists[i], &diag), diag);
        CHECK_OK(rr_vk_begin(lists[i], &diag), diag);
        rr_vk_dispatch(lists[i], kernel, &push, N / 256, 1, 1);
        CHECK_OK(rr_vk_submit(lists[i], &diag), diag);
    }
    CHECK_OK(rr_vk_wait(lists[1], 0, &diag), diag);
    CHECK_OK(rr_vk_download(device, &a, 0, words, N * 4, &diag), diag);
    CHECK_MSG(walking || (words[0] == 20 && words[N - 1] == 20), "found %u and %u, expected 20",
        words[0], words[N - 1]);
    rr_vk_commands_destroy(device, &lists[0]); /* waits for it */
    rr_vk_commands_destroy(device, &lists[1]);
    rr_vk_buffer_destroy(device, &a);
    rr_vk_buffer_destroy(device, &b);
    rr_vk_kernel_destroy(device, &kernel);
    free(words);
}

static void test_timeout(rr_vk_device *device) {
    rr_diag diag = {0};
    rr_vk_kernel *kernel = mix_kernel(device, 1);
    rr_vk_buffer a = buffer_of(device, RR_VK_MEMORY_DEVICE, 4);
    rr_vk_commands *commands = NULL;
    const uint32_t rounds = rr_vk_info(device)->type == RR_DEVICE_CPU ? 400000000u : 30000000u;
    const mix_push push = {a.address, a.address, 1, 1, rounds};
    CHECK_OK(rr_vk_commands_create(device, &commands, &diag), diag);
    CHECK_OK(rr_vk_begin(commands, &diag), diag);
    rr_vk_dispatch(commands, kernel, &push, 1, 1, 1);
    CHECK_OK(rr_vk_submit(commands, &diag), diag);
    if (!walking) {
        CHECK_INT(rr_vk_wait(commands, 1000, &diag), RR_E_DEVICE);
        CHECK_MSG(strstr(diag.text, "did not finish") != NULL, "\"%s\"", diag.text);
    }
    CHECK(!rr_vk_is_lost(device));
    CHECK_OK(rr_vk_wait(commands, 0, &diag), diag);
    rr_vk_commands_destroy(device, &commands);
    rr_vk_buffer_destroy(device, &a);
    rr_vk_kernel_destroy(device, &kernel);
}

static void test_bad_kernels(rr_vk_device *device) {
    rr_diag diag = {0};
    rr_vk_kernel *kernel = NULL;
    const uint32_t no_spirv[8] = {0x12345678u};
    rr_vk_kernel_params params = {
        .label = "bad one", .spirv = no_spirv, .spirv_bytes = sizeof no_spirv};
    CHECK_INT(rr_vk_kernel_create(device, &params, &kernel, &diag), RR_E_INTERNAL);
    CHECK_MSG(strstr(diag.text, "bad one") != NULL, "\"%s\" does not name the kernel", diag.text);
    params.spirv = mix_spirv;
    params.spirv_bytes = sizeof mix_spirv - 3;
    CHECK_INT(rr_vk_kernel_create(device, &params, &kernel, &diag), RR_E_INTERNAL);
    params.spirv_bytes = sizeof mix_spirv;
    params.push_bytes = 132;
    CHECK_INT(rr_vk_kernel_create(device, &params, &kernel, &diag), RR_E_INTERNAL);
    params.push_bytes = 28;
    params.subgroup_size = rr_vk_info(device)->subgroup_size_max * 2;
    CHECK_INT(rr_vk_kernel_create(device, &params, &kernel, &diag), RR_E_UNSUPPORTED);
    CHECK(kernel == NULL);
}

/* Each subgroup size that the device can pin is what the kernel then sees. */
static void test_subgroups(rr_vk_device *device) {
    const rr_device_info *info = rr_vk_info(device);
    if ((info->caps & RR_CAP_SUBGROUP) == 0) {
        return;
    }
    rr_vk_buffer out = buffer_of(device, RR_VK_MEMORY_READBACK, 129 * 4);
    const uint32_t *words = out.mapped;
    for (uint32_t size = info->subgroup_size_min; size <= info->subgroup_size_max; size *= 2) {
        rr_diag diag = {0};
        rr_vk_kernel *kernel = NULL;
        rr_vk_commands *commands = NULL;
        const rr_vk_kernel_params params = {
            .label = "subgroup",
            .spirv = subgroup_spirv,
            .spirv_bytes = sizeof subgroup_spirv,
            .push_bytes = 8,
            .subgroup_size = size,
        };
        CHECK_OK(rr_vk_kernel_create(device, &params, &kernel, &diag), diag);
        CHECK_OK(rr_vk_commands_create(device, &commands, &diag), diag);
        CHECK_OK(rr_vk_begin(commands, &diag), diag);
        rr_vk_dispatch(commands, kernel, &out.address, 1, 1, 1);
        CHECK_OK(rr_vk_submit(commands, &diag), diag);
        CHECK_OK(rr_vk_wait(commands, 0, &diag), diag);
        if (!walking) {
            CHECK_INT(words[0], size);
            CHECK_INT(words[1], size * (size + 1) / 2);
            CHECK_INT(words[128], size * (2 * 128 - size + 1) / 2);
        }
        rr_vk_commands_destroy(device, &commands);
        rr_vk_kernel_destroy(device, &kernel);
    }
    rr_vk_buffer_destroy(device, &out);
}

/* Pipeline cache: whether a file is taken, and that a new good one replaces what is not. */
static void path_of_cache(
    const char *folder, const rr_device_info *info, char *out, size_t out_bytes) {
    int n = snprintf(out, out_bytes, "%s/pipelines/", folder);
    for (int i = 0; i < 16; i++) {
        n += snprintf(out + n, out_bytes - (size_t)n, "%02x", info->pipeline_cache_uuid[i]);
    }
    snprintf(out + n, out_bytes - (size_t)n, ".bin");
}

static bool use_cache(rr_vk_device *device, uint64_t hash) {
    bool taken = rr_vk_pipeline_cache_load(device, hash);
    rr_vk_kernel *kernel = mix_kernel(device, 32);
    rr_vk_pipeline_cache_save(device);
    rr_vk_kernel_destroy(device, &kernel);
    return taken;
}

/* Whether a file of these bytes is taken; afterwards there must be a good one in any case. */
static bool takes(
    rr_vk_device *device, const char *path, const void *data, size_t bytes, uint64_t hash) {
    rr_diag diag = {0};
    CHECK_OK(rr_file_write_atomic(path, data, bytes, &diag), diag);
    bool taken = use_cache(device, hash);
    CHECK_MSG(rr_vk_pipeline_cache_load(device, hash), "no good file stands there after %zu bytes",
        bytes);
    return taken;
}

static void test_damaged_caches(rr_vk_device *device, const char *path, rr_buf *good) {
    enum { HEADER = 64 };
    CHECK(good->bytes > HEADER);
    if (good->bytes <= HEADER) {
        return;
    }
    CHECK_MSG(takes(device, path, good->data, good->bytes, 42), "a good cache was not taken");
    CHECK_MSG(!takes(device, path, good->data, good->bytes, 43), "other shaders' cache was taken");
    CHECK_MSG(!takes(device, path, good->data, good->bytes - 1, 42), "a truncated cache was taken");
    CHECK_MSG(!takes(device, path, good->data, HEADER, 42), "a header alone was taken");
    CHECK_MSG(!takes(device, path, good->data, HEADER - 1, 42), "a truncated header was taken");
    CHECK_MSG(!takes(device, path, good->data, 0, 42), "an empty cache was taken");
    for (size_t at = 0; at < good->bytes; at += at < HEADER ? 1 : 1 + good->bytes / 13) {
        good->data[at] ^= 0x40;
        CHECK_MSG(!takes(device, path, good->data, good->bytes, 42),
            "a cache damaged at %zu was taken", at);
        good->data[at] ^= 0x40;
    }
}

static void test_pipeline_cache(rr_vk_device *device) {
    char folder[256], path[512];
    rr_diag diag = {0};
    rr_buf good = {0};
    struct stat before = {0}, after = {0};
    rr_test_folder(folder, sizeof folder);
    setenv("REARANK_CACHE", folder, 1);
    path_of_cache(folder, rr_vk_info(device), path, sizeof path);
    CHECK(!use_cache(device, 42));
    CHECK_OK(rr_file_read(path, 1u << 30, &good, &diag), diag);
    CHECK_INT(stat(path, &before), 0);
    CHECK(use_cache(device, 42));
    CHECK_INT(stat(path, &after), 0);
    /* a GPU's driver may give its data back in another form, then writing it again is right */
    CHECK_MSG(rr_vk_info(device)->type != RR_DEVICE_CPU || before.st_ino == after.st_ino,
        "written again unchanged");
    test_damaged_caches(device, path, &good);
    unlink(path);
    strrchr(path, '/')[0] = '\0';
    rmdir(path);
    CHECK_INT(rmdir(folder), 0);
    /* cannot be made, not even by root: only logged */
    setenv("REARANK_CACHE", "/dev/null/nowhere", 1);
    CHECK(!use_cache(device, 42));
    rr_buf_destroy(&good);
}

/* Silence counts only if a fault is heard: a kernel whose push block is larger than its range must
 * give a message. */
static void test_validation_speaks(void) {
    rr_diag diag = {0};
    rr_vk_instance *instance = NULL;
    rr_vk_device *device = NULL;
    rr_vk_kernel *kernel = NULL;
    size_t index = 0;
    CHECK_OK(rr_vk_instance_create(&(rr_vk_instance_params){.validation = true}, &instance, &diag),
        diag);
    if (instance == NULL) {
        return;
    }
    CHECK_OK(rr_vk_pick(
                 rr_vk_device_info_at(instance, 0), rr_vk_n_devices(instance), NULL, &index, &diag),
        diag);
    CHECK_OK(rr_vk_device_open(instance, index, 0, &device, &diag), diag);
    const rr_vk_kernel_params params = {.label = "too small a range",
        .spirv = mix_spirv,
        .spirv_bytes = sizeof mix_spirv,
        .push_bytes = 4};
    fprintf(stderr, "one validation message about push constants is wanted here:\n");
    (void)rr_vk_kernel_create(device, &params, &kernel, &diag);
    CHECK(rr_vk_n_validation_messages(instance) > 0);
    rr_vk_kernel_destroy(device, &kernel);
    rr_vk_device_close(&device);
    rr_vk_instance_destroy(&instance);
}

static void test_open(rr_vk_instance *instance, size_t index) {
    rr_diag diag = {0};
    rr_vk_device *device = NULL;
    const rr_device_info *info = rr_vk_device_info_at(instance, index);
    CHECK_INT(
        rr_vk_device_open(instance, rr_vk_n_devices(instance), 0, &device, &diag), RR_E_DEVICE);
    CHECK(rr_vk_device_info_at(instance, rr_vk_n_devices(instance)) == NULL);
    for (int bit = 0; bit < RR_CAP_COUNT; bit++) {
        if ((info->caps_reported >> bit & 1u) == 0) {
            CHECK_INT(
                rr_vk_device_open(instance, index, 1u << bit, &device, &diag), RR_E_UNSUPPORTED);
            CHECK_MSG(strstr(diag.text, rr_cap_text((rr_cap_bit)bit)) != NULL, "\"%s\"", diag.text);
        }
    }
    CHECK(device == NULL);
    for (size_t i = 0; i < rr_vk_n_devices(instance); i++) {
        if (!rr_vk_device_info_at(instance, i)->usable) {
            CHECK_INT(rr_vk_device_open(instance, i, 0, &device, &diag), RR_E_DEVICE);
        }
    }
    /* the floor alone, two at a time */
    rr_vk_device *second = NULL;
    CHECK_OK(rr_vk_device_open(instance, index, 0, &device, &diag), diag);
    CHECK_OK(rr_vk_device_open(instance, index, 0, &second, &diag), diag);
    CHECK_INT(rr_vk_info(device)->caps, 0);
    rr_vk_kernel *kernel = mix_kernel(second, 256);
    rr_vk_kernel_destroy(second, &kernel);
    rr_vk_device_close(&device);
    rr_vk_device_close(&second);
    rr_vk_device_close(&second);
}

/* What the compiler says of a kernel, where the driver tells; a report is of what was compiled, not
 * of a cache. */
static void test_statistics(rr_vk_instance *instance, size_t index) {
    rr_diag diag = {0};
    rr_vk_device *device = NULL;
    rr_vk_report report = {0};
    const rr_vk_device_params params = {.statistics = true};
    CHECK(!rr_vk_can_compile(instance, rr_vk_n_devices(instance)));
    if (!rr_vk_can_compile(instance, index)) {
        CHECK_INT(rr_vk_device_open_with(instance, index, &params, &device, &diag), RR_E_DEVICE);
        CHECK_MSG(strstr(diag.text, "pipeline_executable") != NULL, "\"%s\"", diag.text);
        CHECK(device == NULL);
        return;
    }
    CHECK_OK(rr_vk_device_open_with(instance, index, &params, &device, &diag), diag);
    CHECK(!rr_vk_pipeline_cache_load(device, 1));
    rr_vk_kernel *kernel = mix_kernel(device, 256);
    CHECK_OK(rr_vk_kernel_report(device, kernel, &report, &diag), diag);
    CHECK(report.n_executables > 0);
    for (size_t i = 0; i < report.n_executables; i++) {
        const rr_vk_executable *executable = &report.executables[i];
        CHECK(executable->name[0] != '\0' && executable->n_statistics > 0);
        for (size_t s = 0; s < executable->n_statistics; s++) {
            CHECK(executable->statistics[s].name[0] != '\0');
        }
        for (size_t l = 0; l < executable->n_listings; l++) {
            CHECK(executable->listings[l].name[0] != '\0' && executable->listings[l].text != NULL);
        }
    }
    rr_vk_report_destroy(&report);
    rr_vk_report_destroy(&report);
    rr_vk_kernel_destroy(device, &kernel);
    rr_vk_pipeline_cache_save(device);
    rr_vk_device_close(&device);
    /* a device without the option has nothing to tell */
    CHECK_OK(rr_vk_device_open(instance, index, 0, &device, &diag), diag);
    kernel = mix_kernel(device, 256);
    CHECK_INT(rr_vk_kernel_report(device, kernel, &report, &diag), RR_E_UNSUPPORTED);
    rr_vk_kernel_destroy(device, &kernel);
    rr_vk_device_close(&device);
}

int main(int argc, char **argv) {
    walking = argc > 1 && strcmp(argv[1], "--walk") == 0;
    rr_diag diag = {0};
    rr_vk_instance *instance = NULL;
    rr_status status =
        rr_vk_instance_create(&(rr_vk_instance_params){.validation = true}, &instance, &diag);
    bool validated = status == RR_OK;
    if (status != RR_OK && strstr(diag.text, "validation") != NULL) {
        printf("without validation: %s\n", diag.text);
        status = rr_vk_instance_create(NULL, &instance, &diag);
    }
    if (status != RR_OK) {
        CHECK_SKIP("%s", diag.text);
    }
    size_t index = 0;
    if (rr_vk_pick(rr_vk_device_info_at(instance, 0), rr_vk_n_devices(instance), NULL, &index,
            &diag) != RR_OK) {
        rr_vk_instance_destroy(&instance);
        CHECK_SKIP("%s", diag.text);
    }
    const rr_device_info *info = rr_vk_device_info_at(instance, index);
    printf("%s, %s\n", info->name, info->driver_info);
    /* a later instance, without validation, leaves the one with it as it was */
    rr_vk_instance *plain = NULL;
    CHECK_OK(rr_vk_instance_create(NULL, &plain, &diag), diag);
    test_open(instance, index);
    test_statistics(instance, index);
    rr_vk_device *device = NULL;
    CHECK_OK(rr_vk_device_open(instance, index, info->caps, &device, &diag), diag);
    if (device != NULL) {
        test_transfers(device);
        test_memory_limits(device);
        test_commands(device);
        test_two_lists(device);
        test_timeout(device);
        test_bad_kernels(device);
        test_subgroups(device);
        test_pipeline_cache(device);
        rr_vk_device_close(&device);
    }
    CHECK_INT(rr_vk_n_validation_messages(instance), 0);
    rr_vk_instance_destroy(&instance);
    rr_vk_instance_destroy(&plain);
    if (validated && !walking) {
        test_validation_speaks();
    }
    return CHECK_END();
}
