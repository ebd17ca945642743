/* Remembers that a process died while a driver made a kernel: a file for each device and capability
 * counts the attempt before it is made, and the next start reads it. Owns: these files' names. Not for software devices, whose
 * kernels the tests run. */
#include "runtime/base/cache.h"
#include "runtime/vk/internal.h"

/* The capabilities that drivers get wrong, those that need most of a driver first; a kernel counts
 * for the first that it needs. */
static const struct {
    uint32_t cap;
    const char *ending; /* of its file in the folder */
} guarded[RR_VK_GUARDS] = {{RR_CAP_COOP_INT8, "-coop-int8.txt"}, {RR_CAP_COOP, "-coop.txt"},
    {RR_CAP_DOT, "-dot.txt"}, {RR_CAP_SUBGROUP, "-subgroup.txt"}};

static const char folder[] = "kernels";

rr_status rr_vk_attempt_open(const char *in, const rr_device_info *info, const char *ending,
    rr_buf *path, rr_attempt **out, rr_diag *diag) {
    RR_TRY(rr_cache_path_of(in, info->uuid, ending, path, diag));
    RR_TRY(rr_cache_make_folder_of(path->data, diag));
    return rr_attempt_open(path->data, out, diag);
}

static rr_attempt *guard_open(const rr_device_info *info, size_t i) {
    rr_attempt *attempt = NULL;
    rr_buf path = {0};
    rr_diag diag = {0};
    if (rr_vk_attempt_open(folder, info, guarded[i].ending, &path, &attempt, &diag) != RR_OK) {
        rr_log(RR_LOG_DEBUG, "%s: a crash in making kernels could not be remembered: %s",
            info->name, diag.text);
    }
    rr_buf_destroy(&path);
    return attempt;
}

rr_attempt *rr_vk_guard(rr_vk_device *device, uint32_t caps) {
    size_t i = 0;
    while (i < RR_VK_GUARDS && (caps & guarded[i].cap) == 0) {
        i++;
    }
    if (i == RR_VK_GUARDS || (device->info.caps & RR_CAP_CPU) != 0) {
        return NULL;
    }
    rr_mutex_lock(&device->guard_mutex);
    if (device->guards[i] == NULL) {
        device->guards[i] = guard_open(&device->info, i);
    }
    rr_attempt *guard = device->guards[i];
    rr_mutex_unlock(&device->guard_mutex);
    return guard;
}

void rr_vk_guards_close(rr_vk_device *device) {
    for (size_t i = 0; i < RR_VK_GUARDS; i++) {
        rr_attempt_close(&device->guards[i]);
    }
}

static bool has_died(const rr_device_info *info, size_t i) {
    rr_buf path = {0};
    rr_diag diag = {0};
    const bool died =
        rr_cache_path_of(folder, info->uuid, guarded[i].ending, &path, &diag) == RR_OK &&
        rr_attempt_take_deaths(path.data) > 0;
    rr_buf_destroy(&path);
    return died;
}

uint32_t rr_vk_take_deaths(const rr_device_info *info) {
    uint32_t caps = 0;
    for (size_t i = 0; i < RR_VK_GUARDS && (info->caps & RR_CAP_CPU) == 0; i++) {
        caps |= (info->caps & guarded[i].cap) != 0 && has_died(info, i) ? guarded[i].cap : 0u;
    }
    return caps;
}
