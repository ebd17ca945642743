/* Compute pipelines from SPIR-V: specialization constants, one push-constant block, no
 * descriptors. */
#include "runtime/vk/internal.h"

#include <stdlib.h>

enum { SPIRV_MAGIC = 0x07230203, MAX_SPEC = 64 };

static rr_status check_params(
    const rr_vk_device *device, const rr_vk_kernel_params *params, rr_diag *diag) {
    if (params->spirv == NULL || params->spirv_bytes < 20 || params->spirv_bytes % 4 != 0 ||
        params->spirv[0] != SPIRV_MAGIC) {
        return rr_fail(
            diag, RR_E_INTERNAL, "found %zu bytes that are no SPIR-V module", params->spirv_bytes);
    }
    if (params->push_bytes > RR_VK_PUSH_BYTES || params->push_bytes % 4 != 0) {
        return rr_fail(diag, RR_E_INTERNAL,
            "%u bytes of push constants, expected a multiple of 4 up to %u", params->push_bytes,
            RR_VK_PUSH_BYTES);
    }
    if (params->n_spec > MAX_SPEC) {
        return rr_fail(diag, RR_E_INTERNAL, "%u specialization constants, expected at most %d",
            params->n_spec, MAX_SPEC);
    }
    uint32_t wanted = params->subgroup_size;
    const rr_device_info *info = &device->info;
    bool pinned = device->probe->has_pinning && wanted >= info->subgroup_size_min &&
        wanted <= info->subgroup_size_max && (wanted & (wanted - 1)) == 0;
    if (wanted != 0 && !pinned && wanted != info->subgroup_size) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "subgroups of %u are needed, this device has %u to %u%s", wanted,
            info->subgroup_size_min, info->subgroup_size_max,
            device->probe->has_pinning ? "" : " and cannot pin the size");
    }
    return RR_OK;
}

static VkResult create_pipeline(rr_vk_device *device, const rr_vk_kernel_params *params,
    VkShaderModule module, rr_vk_kernel *kernel) {
    VkSpecializationMapEntry entries[MAX_SPEC];
    for (uint32_t i = 0; i < params->n_spec; i++) {
        entries[i] = (VkSpecializationMapEntry){.constantID = i, .offset = i * 4, .size = 4};
    }
    const VkSpecializationInfo spec = {
        .mapEntryCount = params->n_spec,
        .pMapEntries = entries,
        .dataSize = params->n_spec * sizeof(uint32_t),
        .pData = params->spec,
    };
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo pin = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = params->subgroup_size,
    };
    bool pinned = params->subgroup_size != 0 && device->probe->has_pinning;
    VkPipelineCreationFeedback feedback = {0};
    const VkPipelineCreationFeedbackCreateInfo feedback_info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CREATION_FEEDBACK_CREATE_INFO,
        .pPipelineCreationFeedback = &feedback,
    };
    const VkComputePipelineCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .pNext = device->probe->has_feedback ? &feedback_info : NULL,
        .flags = device->statistics ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
                VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR
                                    : 0,
        .stage =
            {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .pNext = pinned ? &pin : NULL,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = "main",
                .pSpecializationInfo = params->n_spec > 0 ? &spec : NULL,
            },
        .layout = kernel->layout,
    };
    VkResult result = device->vk.vkCreateComputePipelines(
        device->handle, device->pipeline_cache, 1, &create, NULL, &kernel->pipeline);
    const VkPipelineCreationFeedbackFlags hit = VK_PIPELINE_CREATION_FEEDBACK_VALID_BIT |
        VK_PIPELINE_CREATION_FEEDBACK_APPLICATION_PIPELINE_CACHE_HIT_BIT;
    if ((feedback.flags & hit) != hit) {
        atomic_store(&device->cache_missed, true);
    }
    return result;
}

rr_status rr_vk_kernel_create(
    rr_vk_device *device, const rr_vk_kernel_params *params, rr_vk_kernel **out, rr_diag *diag) {
    const char *label = params->label != NULL ? params->label : "(unnamed)";
    VkShaderModule module = VK_NULL_HANDLE;
    const char *call = "vkCreateShaderModule";
    VkResult result = VK_SUCCESS;
    rr_vk_kernel *kernel = NULL;
    rr_status status = check_params(device, params, diag);
    if (status != RR_OK) {
        return rr_fail_context(diag, status, "kernel %s", label);
    }
    kernel = calloc(1, sizeof *kernel);
    if (kernel == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "kernel %s: out of memory", label);
    }
    kernel->push_bytes = params->push_bytes;
    const VkShaderModuleCreateInfo module_create = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = params->spirv_bytes,
        .pCode = params->spirv,
    };
    const VkPushConstantRange range = {
        .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        .size = params->push_bytes,
    };
    const VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .pushConstantRangeCount = params->push_bytes > 0 ? 1 : 0,
        .pPushConstantRanges = &range,
    };
    rr_attempt *guard = rr_vk_guard(device, params->caps);
    rr_attempt_begin(rr_vk_wide(device));
    rr_attempt_begin(guard);
    result = device->vk.vkCreateShaderModule(device->handle, &module_create, NULL, &module);
    if (result == VK_SUCCESS) {
        call = "vkCreatePipelineLayout";
        result = device->vk.vkCreatePipelineLayout(device->handle, &layout, NULL, &kernel->layout);
    }
    if (result == VK_SUCCESS) {
        call = "vkCreateComputePipelines";
        result = create_pipeline(device, params, module, kernel);
    }
    rr_attempt_end(guard);
    device->vk.vkDestroyShaderModule(device->handle, module, NULL);
    if (result != VK_SUCCESS) {
        status = rr_vk_fail(device, diag, call, result);
        rr_vk_kernel_destroy(device, &kernel);
        return rr_fail_context(diag, status, "kernel %s", label);
    }
    rr_vk_name(device, VK_OBJECT_TYPE_PIPELINE, (uint64_t)kernel->pipeline, label);
    *out = kernel;
    return RR_OK;
}

void rr_vk_kernel_destroy(rr_vk_device *device, rr_vk_kernel **kernel) {
    rr_vk_kernel *gone = *kernel;
    if (gone == NULL) {
        return;
    }
    device->vk.vkDestroyPipeline(device->handle, gone->pipeline, NULL);
    device->vk.vkDestroyPipelineLayout(device->handle, gone->layout, NULL);
    free(gone);
    *kernel = NULL;
}
