/* pick() and the memory plan on recorded devices: pure functions, no GPU. Every op has a row that needs nothing, software
 * devices get theirs, a mask takes them away, plans fit or say with figures why not. */
#include <dirent.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/kern.h"
#include "tests/check.h"
#include "tests/support/devices.h"
#include "tests/support/synth.h"

static const char *folder = "tests/data/devices";

static const char *picked(rr_op op, const rr_device_info *device) {
    const rr_kern_key key = {.format = RR_Q_Q4_0, .head_size = 128};
    return rr_pick(op, &key, device)->name;
}

static void test_device(const rr_device_info *device, const char *file) {
    for (int op = 0; op < RR_OP_COUNT; op++) {
        rr_device_info bare = *device;
        bare.caps = 0;
        CHECK_TEXT(picked((rr_op)op, &bare), "base");
        const rr_kern_key key = {.format = RR_Q_Q4_0, .head_size = 128};
        const rr_variant *best = rr_pick((rr_op)op, &key, device);
        CHECK_MSG((best->caps & ~device->caps) == 0, "%s: %s/%s needs what the device lacks", file, rr_op_name((rr_op)op),
                  best->name);
    }
    bool lanes = (device->caps & RR_CAP_CPU) != 0 && (device->caps & RR_CAP_SUBGROUP) != 0;
    CHECK_TEXT(picked(RR_OP_matmul_prefill, device), lanes ? "lanes" : "base");
    CHECK_TEXT(picked(RR_OP_matmul_decode, device), lanes ? "lanes" : "base");
    CHECK_INT(lanes, device->type == RR_DEVICE_CPU);
}

/* A budget just large enough and one byte too small. */
static void test_plan(const rr_model *model, const rr_device_info *device) {
    rr_diag diag = {0};
    rr_memory_plan plan = {0};
    const rr_engine_params params = {.n_context = 256};
    rr_device_info sized = *device;
    sized.budget_bytes = UINT64_MAX;
    sized.max_allocation_bytes = UINT64_MAX;
    CHECK_OK(rr_memory_plan_make(model, &sized, &params, &plan, &diag), diag);
    CHECK_INT(plan.total_bytes, plan.weights_bytes + plan.kv_bytes + plan.activations_bytes + plan.staging_bytes);
    sized.budget_bytes = plan.total_bytes;
    CHECK_OK(rr_memory_plan_make(model, &sized, &params, &plan, &diag), diag);
    sized.budget_bytes--;
    CHECK_INT(rr_memory_plan_make(model, &sized, &params, &plan, &diag), RR_E_MEMORY);
    CHECK(!plan.fits && plan.total_bytes > sized.budget_bytes);
    CHECK_MSG(strstr(diag.text, "--context") != NULL, "no advice in: %s", diag.text);
    sized.budget_bytes = UINT64_MAX;
    sized.max_allocation_bytes = plan.activations_bytes - 1;
    CHECK_INT(rr_memory_plan_make(model, &sized, &params, &plan, &diag), RR_E_MEMORY);
    sized.max_allocation_bytes = 1024;
    CHECK_INT(rr_memory_plan_make(model, &sized, &params, &plan, &diag), RR_E_MEMORY);
    const rr_engine_params absurd = {.n_context = model->config.n_context + 1};
    CHECK_INT(rr_memory_plan_make(model, device, &absurd, &plan, &diag), RR_E_USAGE);
}

int main(void) {
    rr_diag diag = {0};
    rr_buf storage = {0};
    rr_model *model = NULL;
    const rr_synth synth = {.n_context = 512};
    CHECK_OK(rr_synth_open(&synth, &storage, &model, &diag), diag);
    DIR *listing = opendir(folder);
    CHECK_MSG(listing != NULL, "%s: cannot list; run this test from the project's folder", folder);
    int n_files = 0;
    for (struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
        if (strstr(entry->d_name, ".json") == NULL) {
            continue;
        }
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        rr_device_info *devices = NULL;
        size_t n = 0;
        CHECK_OK(rr_devices_read(path, &devices, &n, &diag), diag);
        for (size_t i = 0; i < n; i++) {
            test_device(&devices[i], entry->d_name);
            test_plan(model, &devices[i]);
        }
        free(devices);
        n_files++;
    }
    CHECK_MSG(n_files >= 20, "%d recorded devices, expected at least 20", n_files);
    if (listing != NULL) {
        closedir(listing);
    }
    rr_model_close(&model);
    rr_buf_destroy(&storage);
    return CHECK_END();
}
