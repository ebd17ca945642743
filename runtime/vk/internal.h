/* What the files of this folder share. Nothing outside runtime/vk includes it.
 * Vulkan functions of an instance are volk's globals; those of a device stand in its own table
 * (device->vk). */
#ifndef RR_VK_INTERNAL_H
#define RR_VK_INTERNAL_H

#include "runtime/base/attempt.h"
#include "runtime/base/thread.h"
#include "runtime/vk/coop.h"
#include "runtime/vk/vk.h"

#include <stdatomic.h>

/* The newest version whose features are used; a device may be older (down to 1.2) or newer. */
#define RR_VK_API VK_API_VERSION_1_3
#define RR_VK_PUSH_BYTES 128u

/* What is known of a physical device beyond the plain data of rr_device_info. */
typedef struct rr_vk_probe {
    VkPhysicalDevice handle;
    uint32_t api; /* the device's version, at most RR_VK_API */
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t heap; /* the largest device-local heap */
    uint32_t queue_family;
    uint32_t timestamp_bits;
    bool has_budget;        /* VK_EXT_memory_budget */
    bool has_pinning;       /* a compute pipeline can require its subgroup size */
    bool has_scalar_layout; /* scalarBlockLayout */
    bool has_feedback;      /* pipeline creation tells whether the cache had it */
    bool has_statistics;    /* VK_KHR_pipeline_executable_properties */
    bool can_compile;       /* all of the floor is there but perhaps memory */
    /* matrices of a size that the driver does not list were asked for and can be had */
    bool flexible_coop;
    bool ext_subgroup_size; /* extensions that exist and are to be enabled on opening */
    bool ext_dot;
    bool ext_feedback;
    bool ext_portability;
} rr_vk_probe;

struct rr_vk_instance {
    VkInstance handle;
    VkDebugUtilsMessengerEXT messenger;
    /* With validation only. Of this instance: volk's globals are those of the instance that was
     * created last. */
    PFN_vkCreateDebugUtilsMessengerEXT create_messenger;
    PFN_vkDestroyDebugUtilsMessengerEXT destroy_messenger;
    PFN_vkSetDebugUtilsObjectNameEXT set_object_name;
    bool validation;
    rr_coop_shape coop; /* of rr_vk_instance_params */
    /* of making kernels and running them first with wider vectors; NULL unless these were asked
     * for */
    rr_attempt *wide;
    /* the validation layer is older than cooperative matrices and would complain of them */
    bool hide_coop;
    atomic_uint_least64_t n_messages;
    size_t n_devices;
    rr_device_info *infos; /* n_devices, parallel to probes */
    rr_vk_probe *probes;
};

/* A piece of memory with its buffer: what rr_vk_buffer.handle points to. */
typedef struct rr_vk_block {
    VkBuffer buffer;
    VkDeviceMemory memory;
    uint64_t offset; /* of the caller's byte 0 in the buffer: makes `address` a multiple of 256 */
    uint64_t bytes;  /* taken from the heap */
    uint32_t heap;
    bool cached; /* mapped memory that the host reads at full speed */
} rr_vk_block;

/* Staging: two upload halves so that the host fills one while the device copies the other, and one
 * for downloads. */
enum { RR_VK_STAGING_UP0, RR_VK_STAGING_UP1, RR_VK_STAGING_DOWN, RR_VK_STAGING_COUNT };
typedef struct rr_vk_staging {
    rr_vk_buffer buffer;
    rr_vk_commands *commands;
    bool pending;
} rr_vk_staging;

/* capabilities whose kernels may end the process while they are made: guard.c */
enum { RR_VK_GUARDS = 4 };

struct rr_vk_device {
    rr_vk_instance *instance; /* borrowed */
    const rr_vk_probe *probe; /* borrowed from the instance */
    rr_device_info info;
    bool statistics; /* kernels keep what the compiler says of them */
    VkDevice handle;
    VkQueue queue;
    struct VolkDeviceTable vk;
    atomic_bool lost;
    bool (*lose)(void *user); /* of rr_vk_device_params */
    void *lose_user;
    rr_mutex queue_mutex;
    rr_mutex guard_mutex;
    rr_attempt *guards[RR_VK_GUARDS]; /* opened with the first kernel of their capability */
    rr_mutex staging_mutex;
    rr_vk_staging staging[RR_VK_STAGING_COUNT];
    /* of the main heap when the device was opened, by its driver's count */
    uint64_t usage_before;
    atomic_uint_least64_t taken_bytes; /* of the main heap, by buffers of this device */
    /* the driver hands out addresses that are no multiples of 256 */
    atomic_bool pad_addresses;
    VkPipelineCache pipeline_cache;
    uint64_t shader_hash;
    /* a pipeline was made that the cache did not have, as far as the driver tells */
    atomic_bool cache_missed;
    size_t cache_bytes; /* of the data that is on disk, as the driver gives it back; 0 = none */
};

struct rr_vk_kernel {
    VkPipelineLayout layout;
    VkPipeline pipeline;
    uint32_t push_bytes;
};

/* result.c */
const char *rr_vk_result_name(VkResult result);
/* Turns a failed call into status and text; remembers a lost device (`device` may be NULL). */
rr_status rr_vk_fail(rr_vk_device *device, rr_diag *diag, const char *call, VkResult result);

/* caps.c: fills info and probe; never fails, a device that cannot be used says so in
 * info->reason. */
void rr_vk_probe_device(const rr_vk_instance *instance, VkPhysicalDevice handle, uint32_t index,
    rr_vk_probe *probe, rr_device_info *info);

/* memory.c */
/* The memory type among `type_bits` that has all of `required`, then most of `preferred`, then
 * fewest of `avoided`, then lies in the larger heap; UINT32_MAX when none has `required`. Pure. */
uint32_t rr_vk_memory_type(const VkPhysicalDeviceMemoryProperties *memory, uint32_t type_bits,
    VkMemoryPropertyFlags required, VkMemoryPropertyFlags preferred, VkMemoryPropertyFlags avoided);
/* Budget and usage of a heap by VK_EXT_memory_budget; false when the device does not have it. */
bool rr_vk_heap_budget(
    const rr_vk_probe *probe, uint32_t heap, uint64_t *budget_bytes, uint64_t *usage_bytes);

/* staging.c */
void rr_vk_staging_destroy(rr_vk_device *device);

/* pipeline_cache.c */
void rr_vk_pipeline_cache_destroy(rr_vk_device *device);

/* guard.c: the count of a device in the cache, <folder>/<uuid><ending>; its path too, which the
 * caller destroys. Errors: RR_E_IO, RR_E_MEMORY, RR_E_INTERNAL. */
rr_status rr_vk_attempt_open(const char *folder, const rr_device_info *info, const char *ending,
    rr_buf *path, rr_attempt **out, rr_diag *diag);
/* guard.c: of making a kernel that needs `caps`; NULL = nothing to remember. */
rr_attempt *rr_vk_guard(rr_vk_device *device, uint32_t caps);
void rr_vk_guards_close(rr_vk_device *device);

/* instance.c: the attempt that making kernels and first running them is on this device, since its
 * driver was asked for wide vectors; NULL = none. */
rr_attempt *rr_vk_wide(const rr_vk_device *device);
/* object_name.c: names an object for validation messages; does nothing without them. */
void rr_vk_name(rr_vk_device *device, VkObjectType type, uint64_t handle, const char *label);

#endif
