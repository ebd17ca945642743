#include "runtime/vk/features.h"

#include <stddef.h>

#define AT(member) offsetof(rr_vk_features, member)

/* Cooperative matrices load and store f16 or 8-bit elements and need the Vulkan memory model, under
 * which other kernels' counters need its device scope. */
static const struct {
    uint32_t cap;
    size_t at; /* of a VkBool32 in rr_vk_features */
} needs[] = {
    {RR_CAP_INT64, AT(core.features.shaderInt64)},
    {RR_CAP_INT16, AT(core.features.shaderInt16)},
    {RR_CAP_INT16 | RR_CAP_COOP, AT(v11.storageBuffer16BitAccess)},
    {RR_CAP_INT8 | RR_CAP_COOP_INT8, AT(v12.shaderInt8)},
    {RR_CAP_INT8 | RR_CAP_COOP_INT8, AT(v12.storageBuffer8BitAccess)},
    {RR_CAP_F16 | RR_CAP_COOP, AT(v12.shaderFloat16)},
    {RR_CAP_DOT, AT(dot.shaderIntegerDotProduct)},
    {RR_CAP_COOP | RR_CAP_COOP_INT8, AT(coop.cooperativeMatrix)},
    {RR_CAP_COOP | RR_CAP_COOP_INT8, AT(v12.vulkanMemoryModel)},
    {RR_CAP_COOP | RR_CAP_COOP_INT8, AT(v12.vulkanMemoryModelDeviceScope)},
};
enum { N_NEEDS = sizeof needs / sizeof needs[0] };

void rr_vk_features_start(rr_vk_features *features) {
    *features = (rr_vk_features){
        .core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
        .v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
        .v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .subgroup_size.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
        .dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
        .coop.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        .coop2.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV,
        .statistics.sType =
            VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
    };
    rr_vk_features_chain(features, &features->v11);
    rr_vk_features_chain(features, &features->v12);
}

void rr_vk_features_chain(rr_vk_features *features, void *structure) {
    VkBaseOutStructure *item = structure;
    item->pNext = features->core.pNext;
    features->core.pNext = item;
}

uint32_t rr_vk_features_caps(const rr_vk_features *features) {
    uint32_t named = 0, missing = 0;
    for (size_t i = 0; i < N_NEEDS; i++) {
        const VkBool32 *there =
            (const VkBool32 *)(const void *)((const char *)features + needs[i].at);
        named |= needs[i].cap;
        missing |= *there ? 0u : needs[i].cap;
    }
    return named & ~missing;
}

void rr_vk_features_enable(rr_vk_features *features, uint32_t caps) {
    for (size_t i = 0; i < N_NEEDS; i++) {
        if ((caps & needs[i].cap) != 0) {
            *(VkBool32 *)(void *)((char *)features + needs[i].at) = VK_TRUE;
        }
    }
    if (features->dot.shaderIntegerDotProduct) {
        rr_vk_features_chain(features, &features->dot);
    }
    if (features->coop.cooperativeMatrix) {
        rr_vk_features_chain(features, &features->coop);
    }
}
