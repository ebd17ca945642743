/* The feature structures in which a driver says what a device can do, and in which it is told what
 * to enable when the device is opened. Owns: which features a capability needs. Private to runtime/vk. */
#ifndef RR_VK_FEATURES_H
#define RR_VK_FEATURES_H

#include "runtime/vk/internal.h"

typedef struct rr_vk_features {
    VkPhysicalDeviceFeatures2 core;
    VkPhysicalDeviceVulkan11Features v11;
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroup_size;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coop;
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV coop2;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics;
} rr_vk_features;

/* All features off, and nothing chained to `core` but v11 and v12. */
void rr_vk_features_start(rr_vk_features *features);
/* Chains one of the others. */
void rr_vk_features_chain(rr_vk_features *features, void *structure);

/* The capabilities whose features are all on; without those that need no feature. */
uint32_t rr_vk_features_caps(const rr_vk_features *features);
/* Turns on what these capabilities need, and chains it. */
void rr_vk_features_enable(rr_vk_features *features, uint32_t caps);

#endif
