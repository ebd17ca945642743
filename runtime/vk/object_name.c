/* The names of objects that validation shows. */
#include "runtime/vk/internal.h"

void rr_vk_name(rr_vk_device *device, VkObjectType type, uint64_t handle, const char *label) {
    if (!device->instance->validation || label == NULL) {
        return;
    }
    const VkDebugUtilsObjectNameInfoEXT name = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
        .objectType = type,
        .objectHandle = handle,
        .pObjectName = label,
    };
    device->instance->set_object_name(device->handle, &name);
}
