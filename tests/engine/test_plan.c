/* The memory plan on recorded devices: pure functions, no GPU. Plans fit or say with figures why
 * not. */
#include "runtime/engine/internal.h"
#include "tests/check.h"
#include "tests/support/devices.h"
#include "tests/support/synth.h"

/* A budget just large enough and one byte too small. */
static void test_plan(const rr_model *model, const rr_device_info *device) {
    rr_diag diag = {0};
    rr_memory_plan plan = {0};
    const rr_engine_params params = {.compute.n_context = 256};
    rr_device_info sized = *device;
    sized.budget_bytes = UINT64_MAX;
    sized.max_allocation_bytes = UINT64_MAX;
    CHECK_OK(rr_memory_plan_make(model, &sized, &params, &plan, &diag), diag);
    CHECK_INT(plan.total_bytes,
        plan.compute.weights_bytes + plan.kv_bytes + plan.compute.activations_bytes +
            plan.compute.staging_bytes);
    sized.budget_bytes = plan.total_bytes;
    CHECK_OK(rr_memory_plan_make(model, &sized, &params, &plan, &diag), diag);
    sized.budget_bytes--;
    CHECK_INT(rr_memory_plan_make(model, &sized, &params, &plan, &diag), RR_E_MEMORY);
    CHECK(!plan.fits && plan.total_bytes > sized.budget_bytes);
    CHECK_MSG(strstr(diag.text, "--context") != NULL, "no advice in: %s", diag.text);
    sized.budget_bytes = UINT64_MAX;
    sized.max_allocation_bytes = plan.compute.activations_bytes - 1;
    CHECK_INT(rr_memory_plan_make(model, &sized, &params, &plan, &diag), RR_E_MEMORY);
    sized.max_allocation_bytes = 1024;
    CHECK_INT(rr_memory_plan_make(model, &sized, &params, &plan, &diag), RR_E_MEMORY);
    const rr_engine_params absurd = {.compute.n_context = model->config.n_context + 1};
    CHECK_INT(rr_memory_plan_make(model, device, &absurd, &plan, &diag), RR_E_USAGE);
    const rr_engine_params odd = {
        .compute.n_context = 257, .n_sessions = 3}; /* ends within a page */
    sized.max_allocation_bytes = UINT64_MAX;
    CHECK_OK(rr_memory_plan_make(model, &sized, &odd, &plan, &diag), diag);
    CHECK(!plan.is_short);
}

/* Pages of the KV cache: whole ones for each session, in as few buffers as the device allows. */
static void test_pages(const rr_model *model, const rr_device_info *device) {
    const rr_pages_size size = {
        .n_context = 2 * RR_KV_PAGE + 1, .n_lists = 3, .n_tokens = 9 * RR_KV_PAGE};
    rr_device_info sized = *device;
    sized.max_allocation_bytes = UINT64_MAX;
    rr_pages_plan plan = rr_pages_plan_make(&model->config, &size, &sized);
    const uint64_t page = plan.page_bytes;
    CHECK_INT(page, rr_kv_bytes_per_token(&model->config) * RR_KV_PAGE);
    CHECK_INT(plan.n_places, 3);
    CHECK_INT(plan.n_pages, 9);
    CHECK_INT(plan.n_each, 9);
    CHECK_INT(plan.bytes, 9 * (page + sizeof(uint64_t)));
    rr_pages_size fewer = size;
    fewer.n_tokens = 4 * RR_KV_PAGE + 1;
    plan = rr_pages_plan_make(&model->config, &fewer, &sized);
    CHECK_INT(plan.n_pages, 5);
    CHECK_INT(plan.bytes, 5 * page + 9 * sizeof(uint64_t));
    const struct {
        uint64_t most_bytes;
        uint32_t n_each;
    } cases[] = {{0, 0}, {page, 0}, {page + 255, 0}, {page + 256, 1}, {2 * page + 255, 1},
        {2 * page + 256, 2}, {10 * page, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sized.max_allocation_bytes = cases[i].most_bytes;
        CHECK_INT(rr_pages_plan_make(&model->config, &size, &sized).n_each, cases[i].n_each);
    }
}

static void visit(void *user, const char *name, const rr_device_info *device) {
    const rr_model *const *models = user;
    (void)name;
    test_pages(models[0], device);
    test_plan(models[0], device);
    test_plan(models[1], device);
}

int main(void) {
    rr_diag diag = {0};
    const rr_synth synths[2] = {{.n_context = 512},
        {.n_context = 512,
            .head_size = 64,
            .embedding = RR_Q_Q8_0,
            .output = RR_Q_Q5_0,
            .qkv = RR_Q_Q5_0,
            .o = RR_Q_Q4_0,
            .gate_up = RR_Q_Q4_1,
            .down = RR_Q_Q8_0}};
    rr_buf storage[2] = {0};
    rr_model *models[2] = {NULL};
    for (int i = 0; i < 2; i++) {
        CHECK_OK(rr_synth_open(&synths[i], &storage[i], &models[i], &diag), diag);
    }
    size_t n_devices = 0;
    CHECK_OK(rr_devices_visit(visit, models, &n_devices, &diag), diag);
    CHECK_MSG(n_devices >= 20, "%zu recorded devices, expected at least 20", n_devices);
    for (int i = 0; i < 2; i++) {
        rr_model_close(&models[i]);
        rr_buf_destroy(&storage[i]);
    }
    return CHECK_END();
}
