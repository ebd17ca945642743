/* What a process died of while a driver made a kernel: a file a device and capability counts before, so that the next start knows.
 * Owns: these files' names. Not for software devices, whose kernels the tests run. */
#include "runtime/vk/internal.h"

#include <stdio.h>

#include "runtime/base/file.h"

/* The capabilities that drivers get wrong, those that need most of a driver first; a kernel counts for the first that it needs. */
static const rr_cap_bit guarded[RR_VK_GUARDS] = {RR_CAP_BIT_COOP_INT8, RR_CAP_BIT_COOP, RR_CAP_BIT_DOT, RR_CAP_BIT_SUBGROUP};

static rr_status guard_path(const rr_device_info *info, rr_cap_bit bit, rr_buf *out, rr_diag *diag) {
    char ending[32];
    snprintf(ending, sizeof ending, "-%s.txt", rr_cap_text(bit));
    return rr_cache_path_of("kernels", info->uuid, ending, out, diag);
}

static rr_attempt *guard_open(const rr_device_info *info, rr_cap_bit bit) {
    rr_attempt *attempt = NULL;
    rr_buf path = {0};
    rr_diag diag = {0};
    rr_status status = guard_path(info, bit, &path, &diag);
    if (status == RR_OK && rr_attempt_open(path.data, &attempt, &diag) != RR_OK) { /* the first one makes its folder */
        status = rr_cache_write(path.data, "0", 1, &diag);
        status = status == RR_OK ? rr_attempt_open(path.data, &attempt, &diag) : status;
    }
    if (status != RR_OK) {
        rr_log(RR_LOG_DEBUG, "%s: a crash in making kernels could not be remembered: %s", info->name, diag.text);
    }
    rr_buf_destroy(&path);
    return attempt;
}

rr_attempt *rr_vk_guard(rr_vk_device *device, uint32_t caps) {
    size_t i = 0;
    while (i < RR_VK_GUARDS && (caps & 1u << guarded[i]) == 0) {
        i++;
    }
    if (i == RR_VK_GUARDS || (device->info.caps & RR_CAP_CPU) != 0) {
        return NULL;
    }
    pthread_mutex_lock(&device->guard_mutex);
    if (device->guards[i] == NULL) {
        device->guards[i] = guard_open(&device->info, guarded[i]);
    }
    pthread_mutex_unlock(&device->guard_mutex);
    return device->guards[i];
}

void rr_vk_guards_close(rr_vk_device *device) {
    for (size_t i = 0; i < RR_VK_GUARDS; i++) {
        rr_attempt_close(&device->guards[i]);
    }
}

static bool has_died(const rr_device_info *info, rr_cap_bit bit) {
    rr_buf path = {0};
    rr_diag diag = {0};
    const bool died = guard_path(info, bit, &path, &diag) == RR_OK && rr_attempt_take_deaths(path.data) > 0;
    rr_buf_destroy(&path);
    return died;
}

uint32_t rr_vk_take_deaths(const rr_device_info *info) {
    uint32_t caps = 0;
    for (size_t i = 0; i < RR_VK_GUARDS && (info->caps & RR_CAP_CPU) == 0; i++) {
        const uint32_t cap = 1u << guarded[i];
        caps |= (info->caps & cap) != 0 && has_died(info, guarded[i]) ? cap : 0u;
    }
    return caps;
}
