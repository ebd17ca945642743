/* The kernel checker's quick run on this machine's Vulkan device. REARANK_TEST_VALIDATION=1 turns
 * the layers on. */
#include "runtime/vk/vk.h"
#include "tests/check.h"
#include "tests/checkgpu/checkgpu.h"

static void line(void *user, const char *text) {
    (void)user;
    puts(text);
    fflush(stdout);
}

int main(void) {
    rr_checkgpu_params params = {
        .line = line, .validation = getenv("REARANK_TEST_VALIDATION") != NULL};
    rr_checkgpu_result result = {0};
    rr_diag diag = {0};
    rr_vk_instance *instance = NULL;
    if (rr_vk_instance_create(&(rr_vk_instance_params){0}, &instance, &diag) != RR_OK) {
        CHECK_SKIP("%s", diag.text);
    }
    rr_vk_instance_destroy(&instance);
    CHECK_OK(rr_checkgpu_run(&params, &result, &diag), diag);
    CHECK(result.n_cases > 500);
    CHECK_INT(result.n_failed, 0);
    CHECK_INT(result.n_too_big, 0);
    CHECK_INT(result.n_validation_messages, 0);

    /* a name that no kernel has is refused, with the names that there are */
    params.op = "matmul";
    CHECK_INT(rr_checkgpu_run(&params, &result, &diag), RR_E_USAGE);
    CHECK_MSG(strstr(diag.text, "matmul_decode/base") != NULL, "%s", diag.text);
    return CHECK_END();
}
