/* What a device offers: the probe of a physical device, the floor it must reach, capability names
 * and masks. */
#include "runtime/vk/features.h"
#include "runtime/vk/internal.h"
#include "runtime/vk/quirks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *rr_cap_text(rr_cap_bit bit) {
    static const char *const texts[RR_CAP_COUNT] = {
#define X(name, text) [RR_CAP_BIT_##name] = text,
        RR_CAPS(X)
#undef X
    };
    return (unsigned)bit < RR_CAP_COUNT ? texts[bit] : "?";
}

static rr_status bad_mask_word(rr_diag *diag, const char *word, size_t bytes, bool may_lift) {
    char known[256];
    size_t used = 0;
    for (int i = 0; i < RR_CAP_COUNT && used < sizeof known; i++) {
        used += (size_t)snprintf(known + used, sizeof known - used, "%s-%s", i > 0 ? ", " : "",
            rr_cap_text((rr_cap_bit)i));
    }
    return rr_fail(diag, RR_E_USAGE,
        "capability mask: found \"%.*s\", expected none or a comma-separated list of %s (%s)",
        (int)(bytes < 64 ? bytes : 64), word, known,
        may_lift ? "+ instead of - lifts what is known to be bad of a capability"
                 : "capabilities can only be taken away");
}

/* The capability whose name is `text`, RR_CAP_COUNT when there is none. */
static int find_cap(const char *text, size_t bytes) {
    int bit = 0;
    while (bit < RR_CAP_COUNT &&
        (strlen(rr_cap_text((rr_cap_bit)bit)) != bytes ||
            memcmp(text, rr_cap_text((rr_cap_bit)bit), bytes) != 0)) {
        bit++;
    }
    return bit;
}

/* `lifted` NULL: words with a plus are errors. */
static rr_status apply_mask(uint32_t *caps, uint32_t *lifted, const char *mask, rr_diag *diag) {
    const char *word = mask != NULL ? mask : "";
    while (word[0] != '\0') {
        const size_t bytes = strcspn(word, ",");
        if (bytes == 4 && memcmp(word, "none", 4) == 0) {
            *caps = RR_CAP_NONE;
        } else {
            const bool is_plus = word[0] == '+' && lifted != NULL;
            const int bit =
                word[0] == '-' || is_plus ? find_cap(word + 1, bytes - 1) : RR_CAP_COUNT;
            if (bit == RR_CAP_COUNT) {
                return bad_mask_word(diag, word, bytes, lifted != NULL);
            }
            *caps = is_plus ? *caps | 1u << bit : *caps & ~(1u << bit);
            if (is_plus) {
                *lifted |= 1u << bit;
            }
        }
        if (word[bytes] == '\0') {
            break;
        }
        word += bytes + 1;
        if (word[0] == '\0') {
            return bad_mask_word(diag, word, 0, lifted != NULL);
        }
    }
    return RR_OK;
}

rr_status rr_caps_mask(uint32_t caps, const char *mask, uint32_t *out, rr_diag *diag) {
    RR_TRY(apply_mask(&caps, NULL, mask, diag));
    *out = caps;
    return RR_OK;
}

rr_status rr_caps_lift(rr_device_info *info, const char *mask, rr_diag *diag) {
    uint32_t caps = info->caps, lifted = 0;
    RR_TRY(apply_mask(&caps, &lifted, mask, diag));
    lifted &= caps;
    for (int bit = 0; bit < RR_CAP_COUNT; bit++) {
        if ((lifted & ~info->caps_reported & 1u << bit) != 0) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "device %u (%s) does not offer the capability %s", info->index, info->name,
                rr_cap_text((rr_cap_bit)bit));
        }
        if ((lifted & 1u << bit) != 0) {
            rr_log(RR_LOG_WARN,
                "%s: %s is used whatever is known of it, which is for checks and benches only%s%s",
                info->name, rr_cap_text((rr_cap_bit)bit),
                info->quirks[0] != '\0' ? "; known: " : "", info->quirks);
        }
    }
    info->caps = caps;
    info->lifted = lifted;
    return RR_OK;
}

typedef struct rr_extensions {
    VkExtensionProperties *list;
    uint32_t n;
} rr_extensions;

static bool has_extension(const rr_extensions *extensions, const char *name) {
    for (uint32_t i = 0; i < extensions->n; i++) {
        if (strcmp(extensions->list[i].extensionName, name) == 0) {
            return true;
        }
    }
    return false;
}

static VkResult read_extensions(VkPhysicalDevice handle, rr_extensions *out) {
    uint32_t n = 0;
    VkResult result = vkEnumerateDeviceExtensionProperties(handle, NULL, &n, NULL);
    if (result != VK_SUCCESS || n == 0) {
        return result;
    }
    VkExtensionProperties *list = calloc(n, sizeof *list);
    if (list == NULL) {
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    }
    result = vkEnumerateDeviceExtensionProperties(handle, NULL, &n, list);
    if (result < 0) {
        free(list);
        return result;
    }
    *out = (rr_extensions){.list = list, .n = n};
    return VK_SUCCESS;
}

/* Everything that is asked of a device of Vulkan 1.2 or newer. */
typedef struct rr_report {
    VkPhysicalDeviceProperties2 properties;
    VkPhysicalDeviceVulkan11Properties properties11;
    VkPhysicalDeviceVulkan12Properties properties12;
    VkPhysicalDeviceSubgroupSizeControlProperties subgroup_size;
    VkPhysicalDeviceShaderIntegerDotProductProperties dot;
    VkPhysicalDeviceMaintenance4Properties maintenance4;
    VkPhysicalDeviceCooperativeMatrixPropertiesKHR coop;
    rr_vk_features features;
} rr_report;

static void chain(void *head, void *next) {
    VkBaseOutStructure *at = head;
    while (at->pNext != NULL) {
        at = at->pNext;
    }
    at->pNext = next;
}

/* Asks with structures that this device knows; the others stay zero. */
static void read_report(const rr_vk_instance *instance, const rr_vk_probe *probe,
    const rr_extensions *extensions, rr_report *report) {
    bool core13 = probe->api >= VK_API_VERSION_1_3;
    *report = (rr_report){
        .properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
        .properties11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES,
        .properties12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
        .subgroup_size.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES,
        .dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES,
        .maintenance4.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES,
        .coop.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_PROPERTIES_KHR,
    };
    rr_vk_features *features = &report->features;
    rr_vk_features_start(features);
    chain(&report->properties, &report->properties11);
    chain(&report->properties, &report->properties12);
    if (core13 || has_extension(extensions, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
        chain(&report->properties, &report->subgroup_size);
        rr_vk_features_chain(features, &features->subgroup_size);
    }
    if (core13 || has_extension(extensions, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) {
        chain(&report->properties, &report->dot);
        rr_vk_features_chain(features, &features->dot);
    }
    if (core13 || has_extension(extensions, VK_KHR_MAINTENANCE_4_EXTENSION_NAME)) {
        chain(&report->properties, &report->maintenance4);
    }
    if (!instance->hide_coop &&
        has_extension(extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) {
        chain(&report->properties, &report->coop);
        rr_vk_features_chain(features, &features->coop);
        if (instance->coop.m != 0 &&
            has_extension(extensions, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME)) {
            rr_vk_features_chain(features, &features->coop2);
        }
    }
    if (has_extension(extensions, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME)) {
        rr_vk_features_chain(features, &features->statistics);
    }
    vkGetPhysicalDeviceProperties2(probe->handle, &report->properties);
    vkGetPhysicalDeviceFeatures2(probe->handle, &features->core);
}

static void add_shape(const VkCooperativeMatrixPropertiesKHR *listed, rr_coop_shapes *out) {
    const rr_coop_shape shape = {listed->MSize, listed->NSize, listed->KSize};
    for (uint32_t i = 0; i < out->n; i++) {
        if (memcmp(&out->at[i], &shape, sizeof shape) == 0) {
            return;
        }
    }
    if (out->n < RR_COOP_SHAPES) {
        out->at[out->n++] = shape;
    }
}

/* The list that kernels use for these types, NULL for other types, other scopes and sums that
 * saturate. */
static rr_coop_shapes *list_of(const VkCooperativeMatrixPropertiesKHR *s, rr_device_info *info) {
    if (s->scope != VK_SCOPE_SUBGROUP_KHR || s->AType != s->BType || s->CType != s->ResultType ||
        s->saturatingAccumulation) {
        return NULL;
    }
    return s->AType == VK_COMPONENT_TYPE_FLOAT16_KHR && s->CType == VK_COMPONENT_TYPE_FLOAT32_KHR
        ? &info->coop_f16
        : s->AType == VK_COMPONENT_TYPE_SINT8_KHR && s->CType == VK_COMPONENT_TYPE_SINT32_KHR
        ? &info->coop_int8
        : NULL;
}

/* Sorts the driver's list into the pairs of types that kernels use. */
static void read_shapes(VkInstance instance, VkPhysicalDevice handle, rr_device_info *info) {
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR get_shapes =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)vkGetInstanceProcAddr(
            instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    uint32_t n = 0;
    if (get_shapes == NULL || get_shapes(handle, &n, NULL) != VK_SUCCESS || n == 0) {
        return;
    }
    VkCooperativeMatrixPropertiesKHR *shapes = calloc(n, sizeof *shapes);
    if (shapes == NULL) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        shapes[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    }
    if (get_shapes(handle, &n, shapes) >= 0) {
        for (uint32_t i = 0; i < n; i++) {
            rr_coop_shapes *list = list_of(&shapes[i], info);
            if (list != NULL) {
                add_shape(&shapes[i], list);
            }
        }
    }
    free(shapes);
}

static bool lists(const rr_coop_shapes *list, const rr_coop_shape *shape) {
    for (uint32_t i = 0; i < list->n; i++) {
        if (memcmp(&list->at[i], shape, sizeof *shape) == 0) {
            return true;
        }
    }
    return false;
}

/* Puts `wanted` in the place of the driver's list where its dimensions are multiples of what it
 * takes. */
static void read_flexible(VkInstance instance, VkPhysicalDevice handle, const rr_coop_shape *wanted,
    rr_device_info *info) {
    PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV get_grains =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV)
            vkGetInstanceProcAddr(
                instance, "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV");
    uint32_t n = 0;
    if (get_grains == NULL || get_grains(handle, &n, NULL) != VK_SUCCESS || n == 0) {
        return;
    }
    VkCooperativeMatrixFlexibleDimensionsPropertiesNV *grains = calloc(n, sizeof *grains);
    if (grains == NULL) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        grains[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_FLEXIBLE_DIMENSIONS_PROPERTIES_NV;
    }
    if (get_grains(handle, &n, grains) >= 0) {
        for (uint32_t i = 0; i < n; i++) {
            const VkCooperativeMatrixFlexibleDimensionsPropertiesNV *g = &grains[i];
            const VkCooperativeMatrixPropertiesKHR types = {.AType = g->AType,
                .BType = g->BType,
                .CType = g->CType,
                .ResultType = g->ResultType,
                .scope = g->scope,
                .saturatingAccumulation = g->saturatingAccumulation};
            rr_coop_shapes *list = list_of(&types, info);
            if (list != NULL && wanted->m % g->MGranularity == 0 &&
                wanted->n % g->NGranularity == 0 && wanted->k % g->KGranularity == 0) {
                *list = (rr_coop_shapes){.at = {*wanted}, .n = 1};
            }
        }
    }
    free(grains);
}

/* The one size that the user wants, where it can be had. */
static void force_shape(VkInstance instance, const rr_coop_shape *wanted, rr_vk_probe *probe,
    bool flexible, rr_device_info *info) {
    const rr_coop_shapes one = {.at = {*wanted}, .n = 1};
    const bool f16 = lists(&info->coop_f16, wanted), int8 = lists(&info->coop_int8, wanted);
    if (flexible && !(f16 && int8)) {
        probe->flexible_coop = true;
        read_flexible(instance, probe->handle, wanted, info);
    }
    info->coop_f16 = f16 || lists(&info->coop_f16, wanted) ? one : (rr_coop_shapes){0};
    info->coop_int8 = int8 || lists(&info->coop_int8, wanted) ? one : (rr_coop_shapes){0};
}

/* Those of `caps`, capabilities of cooperative matrices, that compute shaders have in some size; and
 * the sizes, where the driver can be asked for them. */
static uint32_t coop_caps(const rr_vk_instance *instance, rr_vk_probe *probe,
    const rr_report *report, uint32_t caps, rr_device_info *info) {
    if (caps == 0 ||
        (report->coop.cooperativeMatrixSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) == 0) {
        return 0;
    }
    bool asked = rr_quirks_can_list_coop(info);
    if (asked) {
        read_shapes(instance->handle, probe->handle, info);
    }
    if (asked && instance->coop.m != 0) {
        force_shape(instance->handle, &instance->coop, probe,
            report->features.coop2.cooperativeMatrixFlexibleDimensions, info);
    }
    return caps &
        ((!asked || info->coop_f16.n > 0 ? RR_CAP_COOP : 0u) |
            (!asked || info->coop_int8.n > 0 ? RR_CAP_COOP_INT8 : 0u));
}

static uint32_t caps_of(const rr_vk_instance *instance, rr_vk_probe *probe, const rr_report *report,
    rr_device_info *info) {
    const VkSubgroupFeatureFlags operations = VK_SUBGROUP_FEATURE_BASIC_BIT |
        VK_SUBGROUP_FEATURE_VOTE_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT |
        VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT |
        VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT;
    const uint32_t coop = RR_CAP_COOP | RR_CAP_COOP_INT8,
                   found = rr_vk_features_caps(&report->features);
    uint32_t caps = found & ~coop;
    if ((report->properties11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
        (report->properties11.subgroupSupportedOperations & operations) == operations) {
        caps |= RR_CAP_SUBGROUP;
    }
    caps |= info->type == RR_DEVICE_CPU ? RR_CAP_CPU : 0u;
    return caps | coop_caps(instance, probe, report, found & coop, info);
}

static rr_device_type type_of(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return RR_DEVICE_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return RR_DEVICE_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return RR_DEVICE_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return RR_DEVICE_CPU;
    default:
        return RR_DEVICE_OTHER;
    }
}

/* Driver-given text: always terminated, and free of control characters, since it goes to
 * terminals. */
static void copy_text(char *out, size_t out_bytes, const char *text, size_t text_bytes) {
    size_t n = 0;
    while (n < text_bytes && n < out_bytes - 1 && text[n] != '\0') {
        unsigned char c = (unsigned char)text[n];
        out[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    out[n] = '\0';
}

static void fill_identity(
    const VkPhysicalDeviceProperties *properties, uint32_t index, rr_device_info *info) {
    info->index = index;
    copy_text(info->name, sizeof info->name, properties->deviceName, sizeof properties->deviceName);
    memcpy(
        info->pipeline_cache_uuid, properties->pipelineCacheUUID, sizeof info->pipeline_cache_uuid);
    info->vendor_id = properties->vendorID;
    info->device_id = properties->deviceID;
    info->driver_version = properties->driverVersion;
    info->api_major = VK_API_VERSION_MAJOR(properties->apiVersion);
    info->api_minor = VK_API_VERSION_MINOR(properties->apiVersion);
    info->api_patch = VK_API_VERSION_PATCH(properties->apiVersion);
    info->type = type_of(properties->deviceType);
    info->max_workgroup_invocations = properties->limits.maxComputeWorkGroupInvocations;
    memcpy(info->max_workgroups, properties->limits.maxComputeWorkGroupCount,
        sizeof info->max_workgroups);
    info->shared_memory_bytes = properties->limits.maxComputeSharedMemorySize;
    info->push_constant_bytes = properties->limits.maxPushConstantsSize;
}

static void fill_report(const rr_report *report, rr_device_info *info) {
    const VkPhysicalDeviceVulkan12Properties *p12 = &report->properties12;
    copy_text(info->driver, sizeof info->driver, p12->driverName, sizeof p12->driverName);
    copy_text(info->driver_info, sizeof info->driver_info, p12->driverInfo, sizeof p12->driverInfo);
    info->driver_id = (uint32_t)p12->driverID;
    memcpy(info->uuid, report->properties11.deviceUUID, sizeof info->uuid);
    info->subgroup_size = report->properties11.subgroupSize;
    bool ranged = report->features.subgroup_size.subgroupSizeControl &&
        report->subgroup_size.minSubgroupSize > 0;
    info->subgroup_size_min = ranged ? report->subgroup_size.minSubgroupSize : info->subgroup_size;
    info->subgroup_size_max = ranged ? report->subgroup_size.maxSubgroupSize : info->subgroup_size;
    info->max_allocation_bytes = report->properties11.maxMemoryAllocationSize;
    uint64_t max_buffer = report->maintenance4.maxBufferSize;
    if (max_buffer > 0 && max_buffer < info->max_allocation_bytes) {
        info->max_allocation_bytes = max_buffer;
    }
}

static void fill_memory(rr_vk_probe *probe, rr_device_info *info) {
    const VkPhysicalDeviceMemoryProperties *memory = &probe->memory;
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++) {
        bool local = (memory->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
        if (local && memory->memoryHeaps[i].size > info->device_memory_bytes) {
            info->device_memory_bytes = memory->memoryHeaps[i].size;
            probe->heap = i;
        }
    }
    const VkMemoryPropertyFlags mappable = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT |
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        /* a discrete card's memory may be mapped whole as well, but then every access crosses the
         * bus */
        info->unified_memory |= info->type != RR_DEVICE_DISCRETE &&
            memory->memoryTypes[i].heapIndex == probe->heap &&
            (memory->memoryTypes[i].propertyFlags & mappable) == mappable;
    }
    if (info->device_memory_bytes == 0) {
        return; /* a compile-only device: it may not survive the question for its budget */
    }
    uint64_t budget = 0;
    uint64_t usage = 0;
    if (rr_vk_heap_budget(probe, probe->heap, &budget, &usage)) {
        info->budget_bytes = budget > usage ? budget - usage : 0;
    } else {
        info->budget_bytes = info->device_memory_bytes / 5 * 4;
    }
}

/* The family with compute that does least else (its submits wait for no one's drawing), timestamps
 * first. */
static bool choose_queue(rr_vk_probe *probe) {
    VkQueueFamilyProperties families[32];
    uint32_t n = sizeof families / sizeof families[0];
    vkGetPhysicalDeviceQueueFamilyProperties(probe->handle, &n, families);
    int best = -1;
    for (uint32_t i = 0; i < n; i++) {
        if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0 || families[i].queueCount == 0) {
            continue;
        }
        int score = (families[i].timestampValidBits > 0 ? 2 : 0) +
            ((families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) == 0 ? 1 : 0);
        if (score > best) {
            best = score;
            probe->queue_family = i;
            probe->timestamp_bits = families[i].timestampValidBits;
        }
    }
    return best >= 0;
}

static void unusable(rr_device_info *info, const char *format, ...) RR_PRINTF(2, 3);
static void unusable(rr_device_info *info, const char *format, ...) {
    size_t used = strlen(info->reason);
    va_list args;
    va_start(args, format);
    if (used > 0 && used + 3 < sizeof info->reason) {
        memcpy(info->reason + used, "; ", 3);
        used += 2;
    }
    vsnprintf(info->reason + used, sizeof info->reason - used, format, args);
    va_end(args);
    info->usable = false;
}

/* Every part of the floor that is missing goes into the reason. */
static void check_floor(const rr_report *report, rr_vk_probe *probe, rr_device_info *info) {
    const VkPhysicalDeviceLimits *limits = &report->properties.properties.limits;
    if (!report->features.v12.bufferDeviceAddress) {
        unusable(info, "no buffer device addresses");
    }
    if (!report->features.v12.timelineSemaphore) {
        unusable(info, "no timeline semaphores");
    }
    if (limits->maxPushConstantsSize < RR_VK_PUSH_BYTES) {
        unusable(info, "%u bytes of push constants, %u are needed", limits->maxPushConstantsSize,
            RR_VK_PUSH_BYTES);
    }
    uint32_t group = limits->maxComputeWorkGroupInvocations < limits->maxComputeWorkGroupSize[0]
        ? limits->maxComputeWorkGroupInvocations
        : limits->maxComputeWorkGroupSize[0];
    if (group < 256) {
        unusable(info, "workgroups of at most %u, 256 are needed", group);
    }
    if (limits->maxComputeSharedMemorySize < 32768) {
        unusable(info, "%u bytes of shared memory, 32768 are needed",
            limits->maxComputeSharedMemorySize);
    }
    probe->can_compile = info->usable;
    if (info->device_memory_bytes == 0) {
        unusable(info, "no device-local memory");
    }
}

void rr_vk_probe_device(const rr_vk_instance *instance, VkPhysicalDevice handle, uint32_t index,
    rr_vk_probe *probe, rr_device_info *info) {
    *probe = (rr_vk_probe){.handle = handle};
    *info = (rr_device_info){.usable = true};
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(handle, &properties);
    fill_identity(&properties, index, info);
    probe->api = properties.apiVersion < RR_VK_API ? properties.apiVersion : RR_VK_API;
    if (probe->api < VK_API_VERSION_1_2) {
        unusable(info, "Vulkan %u.%u, 1.2 is needed", info->api_major, info->api_minor);
        return;
    }
    rr_extensions extensions = {0};
    VkResult result = read_extensions(handle, &extensions);
    if (result != VK_SUCCESS) {
        unusable(info, "vkEnumerateDeviceExtensionProperties: %s", rr_vk_result_name(result));
        return;
    }
    rr_report report;
    read_report(instance, probe, &extensions, &report);
    probe->has_budget = has_extension(&extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    probe->has_pinning = report.features.subgroup_size.subgroupSizeControl &&
        (report.subgroup_size.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    probe->has_scalar_layout = report.features.v12.scalarBlockLayout;
    bool core13 = probe->api >= VK_API_VERSION_1_3;
    probe->ext_subgroup_size =
        !core13 && has_extension(&extensions, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    probe->ext_dot =
        !core13 && has_extension(&extensions, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    probe->ext_feedback =
        !core13 && has_extension(&extensions, VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME);
    probe->has_feedback = core13 || probe->ext_feedback;
    probe->has_statistics = report.features.statistics.pipelineExecutableInfo;
    probe->ext_portability = has_extension(&extensions, "VK_KHR_portability_subset");
    vkGetPhysicalDeviceMemoryProperties(handle, &probe->memory);

    fill_report(&report, info);
    fill_memory(probe, info);
    if (!choose_queue(probe)) {
        unusable(info, "no compute queue");
    }
    if (!(properties.limits.timestampPeriod > 0.0f && properties.limits.timestampPeriod < 1e6f)) {
        probe->timestamp_bits = 0; /* a driver without a clock divides by zero */
    }
    info->timestamp_ns = probe->timestamp_bits > 0 ? properties.limits.timestampPeriod : 0.0f;
    check_floor(&report, probe, info);
    info->dot_emulated = report.features.dot.shaderIntegerDotProduct &&
        !report.dot.integerDotProduct4x8BitPackedSignedAccelerated;
    info->caps_reported = caps_of(instance, probe, &report, info);
    rr_quirks_apply(info);
    free(extensions.list);
}
