/* What the driver's compiler says of a kernel: statistics and listings, by
 * VK_KHR_pipeline_executable_properties. */
#include "runtime/vk/internal.h"

#include <stdlib.h>
#include <string.h>

static void copy_name(char out[64], const char *name) {
    size_t n = 0;
    while (n < 63 && name[n] != '\0') {
        out[n] = name[n];
        n++;
    }
    out[n] = '\0';
}

static double value_of(const VkPipelineExecutableStatisticKHR *statistic) {
    switch (statistic->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
        return statistic->value.b32 ? 1.0 : 0.0;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
        return (double)statistic->value.i64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
        return (double)statistic->value.u64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR:
        return statistic->value.f64;
    default:
        return 0.0;
    }
}

static VkResult read_statistics(
    rr_vk_device *device, const VkPipelineExecutableInfoKHR *which, rr_vk_executable *out) {
    uint32_t n = 0;
    VkResult result =
        device->vk.vkGetPipelineExecutableStatisticsKHR(device->handle, which, &n, NULL);
    if (result != VK_SUCCESS || n == 0) {
        return result;
    }
    VkPipelineExecutableStatisticKHR *found = calloc(n, sizeof *found);
    out->statistics = calloc(n, sizeof *out->statistics);
    result = found == NULL || out->statistics == NULL ? VK_ERROR_OUT_OF_HOST_MEMORY : VK_SUCCESS;
    for (uint32_t i = 0; i < n && result == VK_SUCCESS; i++) {
        found[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    }
    if (result == VK_SUCCESS) {
        result = device->vk.vkGetPipelineExecutableStatisticsKHR(device->handle, which, &n, found);
    }
    for (uint32_t i = 0; i < n && result >= 0; i++) {
        copy_name(out->statistics[i].name, found[i].name);
        out->statistics[i].value = value_of(&found[i]);
        out->n_statistics++;
    }
    free(found);
    return result;
}

/* Asked three times: how many, how long, the texts. */
static VkResult read_listings(
    rr_vk_device *device, const VkPipelineExecutableInfoKHR *which, rr_vk_executable *out) {
    uint32_t n = 0;
    VkResult result = device->vk.vkGetPipelineExecutableInternalRepresentationsKHR(
        device->handle, which, &n, NULL);
    if (result != VK_SUCCESS || n == 0) {
        return result;
    }
    VkPipelineExecutableInternalRepresentationKHR *found = calloc(n, sizeof *found);
    out->listings = calloc(n, sizeof *out->listings);
    if (found == NULL || out->listings == NULL) {
        free(found);
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    }
    for (uint32_t i = 0; i < n; i++) {
        found[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
    }
    result = device->vk.vkGetPipelineExecutableInternalRepresentationsKHR(
        device->handle, which, &n, found);
    for (uint32_t i = 0; i < n && result >= 0; i++) {
        rr_vk_listing *listing = &out->listings[out->n_listings++];
        copy_name(listing->name, found[i].name);
        listing->text = calloc(1, found[i].dataSize + 1);
        if (listing->text == NULL) {
            result = VK_ERROR_OUT_OF_HOST_MEMORY;
        }
        /* what is no text stays an empty one */
        found[i].pData = found[i].isText ? listing->text : NULL;
    }
    if (result >= 0) {
        result = device->vk.vkGetPipelineExecutableInternalRepresentationsKHR(
            device->handle, which, &n, found);
    }
    free(found);
    return result;
}

rr_status rr_vk_kernel_report(
    rr_vk_device *device, const rr_vk_kernel *kernel, rr_vk_report *out, rr_diag *diag) {
    if (!device->statistics) {
        return rr_fail(diag, RR_E_UNSUPPORTED, "the device was not opened to tell of its kernels");
    }
    const VkPipelineInfoKHR pipeline = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = kernel->pipeline};
    rr_vk_report report = {0};
    uint32_t n = 0;
    const char *call = "vkGetPipelineExecutablePropertiesKHR";
    VkResult result =
        device->vk.vkGetPipelineExecutablePropertiesKHR(device->handle, &pipeline, &n, NULL);
    VkPipelineExecutablePropertiesKHR *properties = calloc((size_t)n + 1, sizeof *properties);
    report.executables = calloc((size_t)n + 1, sizeof *report.executables);
    if (result == VK_SUCCESS && (properties == NULL || report.executables == NULL)) {
        result = VK_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (result == VK_SUCCESS) {
        for (uint32_t i = 0; i < n; i++) {
            properties[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
        }
        result = device->vk.vkGetPipelineExecutablePropertiesKHR(
            device->handle, &pipeline, &n, properties);
    }
    for (uint32_t i = 0; i < n && result >= 0; i++) {
        rr_vk_executable *executable = &report.executables[report.n_executables++];
        copy_name(executable->name, properties[i].name);
        executable->subgroup_size = properties[i].subgroupSize;
        const VkPipelineExecutableInfoKHR which = {
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
            .pipeline = kernel->pipeline,
            .executableIndex = i};
        call = "vkGetPipelineExecutableStatisticsKHR";
        result = read_statistics(device, &which, executable);
        if (result >= 0) {
            call = "vkGetPipelineExecutableInternalRepresentationsKHR";
            result = read_listings(device, &which, executable);
        }
    }
    free(properties);
    if (result < 0) {
        rr_vk_report_destroy(&report);
        return rr_vk_fail(device, diag, call, result);
    }
    *out = report;
    return RR_OK;
}

void rr_vk_report_destroy(rr_vk_report *report) {
    for (size_t i = 0; i < report->n_executables; i++) {
        rr_vk_executable *executable = &report->executables[i];
        for (size_t l = 0; l < executable->n_listings; l++) {
            free(executable->listings[l].text);
        }
        free(executable->listings);
        free(executable->statistics);
    }
    free(report->executables);
    *report = (rr_vk_report){0};
}
