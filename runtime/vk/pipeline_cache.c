/* The pipeline cache on disk: one file a device in the user's cache folder,
 * pipelines/<pipelineCacheUUID>.bin. Layout, little endian: the header below, then the driver's
 * data. The driver trusts its data, so nothing reaches it that is not whole and of this device,
 * driver version and shader code. Failing is never an error: the cost is a slower start, of which
 * -v tells where the file cannot be written. */
#include "runtime/base/cache.h"
#include "runtime/base/hash.h"
#include "runtime/vk/internal.h"

#include "runtime/base/file.h"

#include <stdlib.h>
#include <string.h>

static const char magic[8] = {'R', 'R', 'P', 'C', 'A', 'C', 'H', '1'};

typedef struct rr_cache_header {
    char magic[8];
    uint8_t uuid[16];
    uint32_t vendor_id, device_id, driver_version, reserved;
    uint64_t shader_hash;
    uint64_t bytes; /* of the data behind the header */
    uint64_t checksum;
} rr_cache_header;

enum { MAX_CACHE_BYTES = 1 << 30 };

static rr_status cache_file(const rr_vk_device *device, rr_buf *out, rr_diag *diag) {
    return rr_cache_path_of("pipelines", device->info.pipeline_cache_uuid, ".bin", out, diag);
}

static rr_cache_header header_for(const rr_vk_device *device) {
    rr_cache_header header = {
        .vendor_id = device->info.vendor_id,
        .device_id = device->info.device_id,
        .driver_version = device->info.driver_version,
        .shader_hash = device->shader_hash,
    };
    memcpy(header.magic, magic, sizeof magic);
    memcpy(header.uuid, device->info.pipeline_cache_uuid, sizeof header.uuid);
    return header;
}

/* NULL when the file is good, else what is wrong with it. */
static const char *check_file(const rr_vk_device *device, const rr_mapping *map) {
    rr_cache_header found;
    rr_cache_header wanted = header_for(device);
    if (map->bytes < sizeof found) {
        return "is too short";
    }
    memcpy(&found, map->data, sizeof found);
    if (memcmp(found.magic, wanted.magic, sizeof magic) != 0) {
        return "is no pipeline cache of this version";
    }
    if (memcmp(found.uuid, wanted.uuid, sizeof found.uuid) != 0 ||
        found.vendor_id != wanted.vendor_id || found.device_id != wanted.device_id ||
        found.driver_version != wanted.driver_version || found.reserved != 0) {
        return "belongs to another device or driver";
    }
    if (found.shader_hash != wanted.shader_hash) {
        return "belongs to other shaders";
    }
    if (found.bytes != map->bytes - sizeof found) {
        return "is truncated";
    }
    if (rr_fnv1a(map->data + sizeof found, (size_t)found.bytes) != found.checksum) {
        return "is damaged";
    }
    return NULL;
}

static VkResult create_cache(rr_vk_device *device, const void *data, size_t bytes) {
    const VkPipelineCacheCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = bytes,
        .pInitialData = data,
    };
    return device->vk.vkCreatePipelineCache(device->handle, &create, NULL, &device->pipeline_cache);
}

/* What the cache holds now, the caller's to free(); NULL when it cannot be had. */
static uint8_t *read_data(rr_vk_device *device, size_t *bytes) {
    *bytes = 0;
    uint8_t *data = NULL;
    VkResult result =
        device->vk.vkGetPipelineCacheData(device->handle, device->pipeline_cache, bytes, NULL);
    if (result == VK_SUCCESS && *bytes > 0 && *bytes <= MAX_CACHE_BYTES) {
        data = malloc(*bytes);
        result = data == NULL ? VK_ERROR_OUT_OF_HOST_MEMORY
                              : device->vk.vkGetPipelineCacheData(
                                    device->handle, device->pipeline_cache, bytes, data);
    }
    if (data == NULL || result != VK_SUCCESS) {
        rr_log(RR_LOG_DEBUG, "pipeline cache: vkGetPipelineCacheData: %s, %zu bytes",
            rr_vk_result_name(result), *bytes);
        free(data);
        return NULL;
    }
    return data;
}

/* True when the cache was made from the file. */
static bool load_file(rr_vk_device *device) {
    rr_diag diag = {0};
    rr_buf path = {0};
    rr_mapping map = {0};
    bool loaded = false;
    if (cache_file(device, &path, &diag) != RR_OK || rr_file_map(path.data, &map, &diag) != RR_OK) {
        rr_log(RR_LOG_DEBUG, "pipeline cache: starting empty: %s", diag.text);
    } else {
        const char *fault = check_file(device, &map);
        if (fault == NULL) {
            VkResult result = create_cache(device, map.data + sizeof(rr_cache_header),
                (size_t)map.bytes - sizeof(rr_cache_header));
            loaded = result == VK_SUCCESS;
            fault = loaded ? NULL : "is refused by the driver";
        }
        if (fault != NULL) {
            rr_log(RR_LOG_DEBUG, "pipeline cache: %s %s, starting empty", path.data, fault);
        }
    }
    rr_file_unmap(&map);
    rr_buf_destroy(&path);
    return loaded;
}

bool rr_vk_pipeline_cache_load(rr_vk_device *device, uint64_t shader_hash) {
    rr_vk_pipeline_cache_destroy(device);
    if (device->statistics) {
        return false; /* a pipeline out of a cache has nothing to tell */
    }
    device->shader_hash = shader_hash;
    if (load_file(device)) {
        /* what the driver made of the file, which need not be as long: saving compares with this */
        free(read_data(device, &device->cache_bytes));
        return true;
    }
    VkResult result = create_cache(device, NULL, 0);
    if (result != VK_SUCCESS) {
        device->pipeline_cache = VK_NULL_HANDLE;
        rr_log(
            RR_LOG_DEBUG, "pipeline cache: vkCreatePipelineCache: %s", rr_vk_result_name(result));
    }
    return false;
}

static void write_file(rr_vk_device *device, rr_buf *file) {
    rr_diag diag = {0};
    rr_buf path = {0};
    rr_status status = cache_file(device, &path, &diag);
    if (status == RR_OK) {
        status = rr_cache_write(path.data, file->data, file->bytes, &diag);
    }
    if (status != RR_OK) {
        rr_log(RR_LOG_INFO, "pipeline cache: not written, each start makes its kernels anew: %s",
            diag.text);
    }
    rr_buf_destroy(&path);
}

void rr_vk_pipeline_cache_save(rr_vk_device *device) {
    if (device->pipeline_cache == VK_NULL_HANDLE || atomic_load(&device->lost) ||
        !atomic_exchange(&device->cache_missed, false)) {
        return;
    }
    size_t bytes;
    uint8_t *data = read_data(device, &bytes);
    if (data == NULL) {
        return;
    }
    /* drivers without hits report a miss each time: then the length tells whether a pipeline was
     * added, while the order of what is there may change at any time */
    if (bytes != device->cache_bytes) {
        rr_cache_header header = header_for(device);
        header.bytes = bytes;
        header.checksum = rr_fnv1a(data, bytes);
        rr_buf file = {0};
        rr_buf_append(&file, &header, sizeof header);
        rr_buf_append(&file, data, bytes);
        if (!file.failed) {
            write_file(device, &file);
            device->cache_bytes = bytes;
        }
        rr_buf_destroy(&file);
    }
    free(data);
}

void rr_vk_pipeline_cache_destroy(rr_vk_device *device) {
    device->vk.vkDestroyPipelineCache(device->handle, device->pipeline_cache, NULL);
    device->pipeline_cache = VK_NULL_HANDLE;
    device->cache_bytes = 0;
}
