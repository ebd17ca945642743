/* VkResult in words.
 * Owns: the mapping from Vulkan's results to rr_status. */
#include "runtime/vk/internal.h"

const char *rr_vk_result_name(VkResult result) {
    switch (result) {
#define CASE(name) \
    case name:     \
        return #name
        CASE(VK_SUCCESS);
        CASE(VK_NOT_READY);
        CASE(VK_TIMEOUT);
        CASE(VK_INCOMPLETE);
        CASE(VK_ERROR_OUT_OF_HOST_MEMORY);
        CASE(VK_ERROR_OUT_OF_DEVICE_MEMORY);
        CASE(VK_ERROR_INITIALIZATION_FAILED);
        CASE(VK_ERROR_DEVICE_LOST);
        CASE(VK_ERROR_MEMORY_MAP_FAILED);
        CASE(VK_ERROR_LAYER_NOT_PRESENT);
        CASE(VK_ERROR_EXTENSION_NOT_PRESENT);
        CASE(VK_ERROR_FEATURE_NOT_PRESENT);
        CASE(VK_ERROR_INCOMPATIBLE_DRIVER);
        CASE(VK_ERROR_TOO_MANY_OBJECTS);
        CASE(VK_ERROR_FRAGMENTATION);
        CASE(VK_ERROR_UNKNOWN);
        CASE(VK_ERROR_INVALID_EXTERNAL_HANDLE);
        CASE(VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS);
        CASE(VK_PIPELINE_COMPILE_REQUIRED);
        CASE(VK_ERROR_VALIDATION_FAILED_EXT);
        CASE(VK_ERROR_INVALID_SHADER_NV);
#undef CASE
    default:
        return "an unknown VkResult";
    }
}

rr_status rr_vk_fail(rr_vk_device *device, rr_diag *diag, const char *call, VkResult result) {
    if (result == VK_ERROR_DEVICE_LOST) {
        if (device != NULL) {
            atomic_store(&device->lost, true);
        }
        return rr_fail(diag, RR_E_DEVICE,
            "%s: %s: the device is lost (a driver or hardware fault, or a submit that "
            "ran too long): close it and open it again",
            call, rr_vk_result_name(result));
    }
    bool memory = result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return rr_fail(diag, memory ? RR_E_MEMORY : RR_E_DEVICE, "%s: %s (%d)", call,
        rr_vk_result_name(result), (int)result);
}
