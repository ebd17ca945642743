/* An open device: features and extensions that it is opened with, its queue, its state. */
#include "runtime/vk/features.h"
#include "runtime/vk/internal.h"

#include <stdlib.h>

/* Asks for what the floor and the device's capabilities need and nothing else. */
static void choose_features(const rr_vk_device *device, rr_vk_features *features) {
    const rr_vk_probe *probe = device->probe;
    const uint32_t caps = device->info.caps;
    rr_vk_features_start(features);
    features->v12.bufferDeviceAddress = VK_TRUE;
    features->v12.timelineSemaphore = VK_TRUE;
    features->v12.scalarBlockLayout = probe->has_scalar_layout;
    rr_vk_features_enable(features, caps);
    if (probe->has_pinning) {
        features->subgroup_size.subgroupSizeControl = VK_TRUE;
        rr_vk_features_chain(features, &features->subgroup_size);
    }
    if (features->coop.cooperativeMatrix && probe->flexible_coop) {
        features->coop2.cooperativeMatrixFlexibleDimensions = VK_TRUE;
        rr_vk_features_chain(features, &features->coop2);
    }
    if (device->statistics) {
        features->statistics.pipelineExecutableInfo = VK_TRUE;
        rr_vk_features_chain(features, &features->statistics);
    }
}

static uint32_t choose_extensions(const rr_vk_device *device, const char *names[12]) {
    const rr_vk_probe *probe = device->probe;
    const uint32_t caps = device->info.caps;
    uint32_t n = 0;
    if (probe->has_pinning && probe->ext_subgroup_size) {
        names[n++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
    }
    if ((caps & RR_CAP_DOT) != 0 && probe->ext_dot) {
        names[n++] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
    }
    if ((caps & (RR_CAP_COOP | RR_CAP_COOP_INT8)) != 0) {
        names[n++] = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
        if (probe->flexible_coop) {
            names[n++] = VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME;
        }
    }
    if (probe->ext_feedback) {
        names[n++] = VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME;
    }
    if (device->statistics) {
        names[n++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    }
    if (probe->has_budget) {
        names[n++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    }
    if (probe->ext_portability) {
        names[n++] = "VK_KHR_portability_subset";
    }
    return n;
}

static rr_status create_device(rr_vk_device *device, rr_diag *diag) {
    const rr_vk_probe *probe = device->probe;
    rr_vk_features features;
    choose_features(device, &features);
    const char *extensions[12];
    const float priority = 1.0f;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = probe->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    VkDeviceCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &features.core,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .ppEnabledExtensionNames = extensions,
    };
    create.enabledExtensionCount = choose_extensions(device, extensions);
    VkResult result = vkCreateDevice(probe->handle, &create, NULL, &device->handle);
    if (result != VK_SUCCESS) {
        (void)rr_vk_fail(device, diag, "vkCreateDevice", result);
        return rr_fail_context(diag, RR_E_DEVICE, "%s", device->info.name);
    }
    volkLoadDeviceTable(&device->vk, device->handle);
    device->vk.vkGetDeviceQueue(device->handle, probe->queue_family, 0, &device->queue);
    uint64_t budget = 0;
    if (device->info.device_memory_bytes > 0) {
        (void)rr_vk_heap_budget(probe, probe->heap, &budget, &device->usage_before);
    }
    return RR_OK;
}

rr_status rr_vk_device_open_with(rr_vk_instance *instance, size_t index,
    const rr_vk_device_params *params, rr_vk_device **out, rr_diag *diag) {
    if (index >= instance->n_devices) {
        return rr_fail(diag, RR_E_DEVICE, "device %zu: there are %zu devices, counted from 0",
            index, instance->n_devices);
    }
    const rr_device_info *info = &instance->infos[index];
    if (!info->usable && !(params->statistics && rr_vk_can_compile(instance, index))) {
        return rr_fail(diag, RR_E_DEVICE, "device %zu (%s) is not usable: %s", index, info->name,
            info->reason);
    }
    if (params->statistics && !instance->probes[index].has_statistics) {
        return rr_fail(diag, RR_E_DEVICE,
            "device %zu (%s): its driver tells nothing of compiled kernels (no %s)", index,
            info->name, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
    }
    for (int bit = 0; bit < RR_CAP_COUNT; bit++) {
        if ((params->caps & ~info->caps_reported & (1u << bit)) != 0) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "device %zu (%s) does not offer the capability %s", index, info->name,
                rr_cap_text((rr_cap_bit)bit));
        }
    }
    rr_vk_device *device = calloc(1, sizeof *device);
    if (device == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    device->instance = instance;
    device->probe = &instance->probes[index];
    device->info = *info;
    device->info.caps = params->caps;
    device->info.lifted = params->lifted & params->caps;
    device->statistics = params->statistics;
    device->lose = params->lose;
    device->lose_user = params->lose_user;
    atomic_init(&device->lost, false);
    atomic_init(&device->taken_bytes, 0);
    atomic_init(&device->pad_addresses, false);
    atomic_init(&device->cache_missed, false);
    const bool has_locks = rr_mutex_create(&device->queue_mutex) &&
        rr_mutex_create(&device->guard_mutex) && rr_mutex_create(&device->staging_mutex);
    rr_status status = has_locks ? create_device(device, diag)
                                 : rr_fail(diag, RR_E_INTERNAL, "cannot make a lock");
    if (status != RR_OK) {
        rr_vk_device_close(&device);
        return status;
    }
    *out = device;
    return RR_OK;
}

rr_status rr_vk_device_open(
    rr_vk_instance *instance, size_t index, uint32_t caps, rr_vk_device **out, rr_diag *diag) {
    return rr_vk_device_open_with(instance, index, &(rr_vk_device_params){.caps = caps}, out, diag);
}

bool rr_vk_can_compile(const rr_vk_instance *instance, size_t index) {
    return index < instance->n_devices && instance->probes[index].can_compile &&
        instance->probes[index].has_statistics;
}

void rr_vk_device_close(rr_vk_device **device) {
    rr_vk_device *gone = *device;
    if (gone == NULL) {
        return;
    }
    if (gone->handle != VK_NULL_HANDLE) {
        /* what has no memory has run nothing, and its driver may not survive the wait */
        if (!atomic_load(&gone->lost) && gone->info.usable) {
            rr_mutex_lock(&gone->queue_mutex);
            gone->vk.vkDeviceWaitIdle(gone->handle);
            rr_mutex_unlock(&gone->queue_mutex);
        }
        rr_vk_staging_destroy(gone);
        rr_vk_pipeline_cache_destroy(gone);
        gone->vk.vkDestroyDevice(gone->handle, NULL);
    }
    rr_vk_guards_close(gone);
    rr_mutex_destroy(&gone->queue_mutex);
    rr_mutex_destroy(&gone->guard_mutex);
    rr_mutex_destroy(&gone->staging_mutex);
    free(gone);
    *device = NULL;
}

const rr_device_info *rr_vk_info(const rr_vk_device *device) {
    return &device->info;
}

bool rr_vk_is_lost(const rr_vk_device *device) {
    return atomic_load(&device->lost);
}
