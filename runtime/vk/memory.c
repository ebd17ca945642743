/* Device memory: one allocation a buffer, reached by device address. Which memory type, how much is
 * left. */
#include "runtime/vk/internal.h"

#include <stdlib.h>

enum { ADDRESS_ALIGN = 256 };

static int popcount(VkMemoryPropertyFlags flags) {
    return __builtin_popcount(flags);
}

uint32_t rr_vk_memory_type(const VkPhysicalDeviceMemoryProperties *memory, uint32_t type_bits,
    VkMemoryPropertyFlags required, VkMemoryPropertyFlags preferred,
    VkMemoryPropertyFlags avoided) {
    uint32_t best = UINT32_MAX;
    int best_score = 0;
    uint64_t best_heap = 0;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = memory->memoryTypes[i].propertyFlags;
        if ((type_bits & (1u << i)) == 0 || (flags & required) != required) {
            continue;
        }
        int score = popcount(flags & preferred) * 64 - popcount(flags & avoided);
        uint64_t heap = memory->memoryHeaps[memory->memoryTypes[i].heapIndex].size;
        if (best == UINT32_MAX || score > best_score || (score == best_score && heap > best_heap)) {
            best = i;
            best_score = score;
            best_heap = heap;
        }
    }
    return best;
}

/* Lazily allocated, protected and vendor-private memory is never wanted. */
static const VkMemoryPropertyFlags never_wanted =
    ~(VkMemoryPropertyFlags)(VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT |
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
        VK_MEMORY_PROPERTY_HOST_CACHED_BIT);

static uint32_t type_for(const rr_vk_device *device, rr_vk_memory kind, uint32_t type_bits) {
    const VkPhysicalDeviceMemoryProperties *memory = &device->probe->memory;
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    const VkMemoryPropertyFlags mapped =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    uint32_t usable = type_bits;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        bool wrong_heap =
            kind == RR_VK_MEMORY_DEVICE && memory->memoryTypes[i].heapIndex != device->probe->heap;
        if ((memory->memoryTypes[i].propertyFlags & never_wanted) != 0 || wrong_heap) {
            usable &= ~(1u << i);
        }
    }
    switch (kind) {
    case RR_VK_MEMORY_UPLOAD:
        return rr_vk_memory_type(memory, usable, mapped, 0, local | cached);
    case RR_VK_MEMORY_READBACK:
        return rr_vk_memory_type(memory, usable, mapped, cached, local);
    case RR_VK_MEMORY_DEVICE:
        break;
    }
    bool unified = device->info.unified_memory;
    /* cached memory makes the device look into the host's caches at each access */
    return rr_vk_memory_type(
        memory, usable, local, unified ? mapped : 0, unified ? cached : mapped | cached);
}

bool rr_vk_heap_budget(
    const rr_vk_probe *probe, uint32_t heap, uint64_t *budget_bytes, uint64_t *usage_bytes) {
    if (!probe->has_budget) {
        return false;
    }
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT,
    };
    VkPhysicalDeviceMemoryProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
        .pNext = &budget,
    };
    vkGetPhysicalDeviceMemoryProperties2(probe->handle, &properties);
    uint64_t size = probe->memory.memoryHeaps[heap].size;
    *budget_bytes = budget.heapBudget[heap] < size ? budget.heapBudget[heap] : size;
    *usage_bytes = budget.heapUsage[heap];
    return *budget_bytes > 0;
}

uint64_t rr_vk_budget_left(const rr_vk_device *device) {
    uint64_t taken = device->usage_before + atomic_load(&device->taken_bytes);
    uint64_t budget = device->info.budget_bytes;
    uint64_t usage = 0;
    /* some drivers count the whole machine's usage, some notice memory only after it was touched:
     * the larger counts */
    if (rr_vk_heap_budget(device->probe, device->probe->heap, &budget, &usage) && usage > taken) {
        taken = usage;
    }
    return budget > taken ? budget - taken : 0;
}

static void destroy_block(rr_vk_device *device, rr_vk_block *block) {
    if (block == NULL) {
        return;
    }
    device->vk.vkDestroyBuffer(device->handle, block->buffer, NULL);
    device->vk.vkFreeMemory(device->handle, block->memory, NULL); /* unmaps */
    if (block->heap == device->probe->heap) {
        atomic_fetch_sub(&device->taken_bytes, block->bytes);
    }
    free(block);
}

/* Makes buffer and memory of `bytes`; the caller checks the address. */
static rr_status create_block(rr_vk_device *device, rr_vk_memory kind, uint64_t bytes,
    const char *label, rr_vk_block **out, void **mapped, rr_diag *diag) {
    rr_vk_block *block = calloc(1, sizeof *block);
    if (block == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", label);
    }
    block->heap = UINT32_MAX;
    rr_status status = RR_OK;
    const VkBufferCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
            VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    VkResult result = device->vk.vkCreateBuffer(device->handle, &create, NULL, &block->buffer);
    if (result != VK_SUCCESS) {
        status = rr_vk_fail(device, diag, "vkCreateBuffer", result);
        goto fail;
    }
    VkMemoryRequirements needs;
    device->vk.vkGetBufferMemoryRequirements(device->handle, block->buffer, &needs);
    uint32_t type = type_for(device, kind, needs.memoryTypeBits);
    if (type == UINT32_MAX) {
        status = rr_fail(diag, RR_E_DEVICE, "no memory type of this device fits (type bits 0x%x)",
            needs.memoryTypeBits);
        goto fail;
    }
    const VkMemoryAllocateFlagsInfo flags = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
        .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT,
    };
    const VkMemoryAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .pNext = &flags,
        .allocationSize = needs.size,
        .memoryTypeIndex = type,
    };
    result = device->vk.vkAllocateMemory(device->handle, &allocate, NULL, &block->memory);
    if (result != VK_SUCCESS) {
        status = rr_vk_fail(device, diag, "vkAllocateMemory", result);
        goto fail;
    }
    VkMemoryPropertyFlags properties = device->probe->memory.memoryTypes[type].propertyFlags;
    block->bytes = needs.size;
    block->heap = device->probe->memory.memoryTypes[type].heapIndex;
    block->cached = (properties & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
    if (block->heap == device->probe->heap) {
        atomic_fetch_add(&device->taken_bytes, block->bytes);
    }
    result = device->vk.vkBindBufferMemory(device->handle, block->buffer, block->memory, 0);
    if (result != VK_SUCCESS) {
        status = rr_vk_fail(device, diag, "vkBindBufferMemory", result);
        goto fail;
    }
    const VkMemoryPropertyFlags mappable =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    bool want_map = kind != RR_VK_MEMORY_DEVICE || device->info.unified_memory;
    if (want_map && (properties & mappable) == mappable) {
        result = device->vk.vkMapMemory(device->handle, block->memory, 0, VK_WHOLE_SIZE, 0, mapped);
        if (result != VK_SUCCESS) {
            status = rr_vk_fail(device, diag, "vkMapMemory", result);
            goto fail;
        }
    }
    rr_vk_name(device, VK_OBJECT_TYPE_BUFFER, (uint64_t)block->buffer, label);
    *out = block;
    return RR_OK;

fail:
    destroy_block(device, block);
    return status;
}

static uint64_t address_of(rr_vk_device *device, const rr_vk_block *block) {
    const VkBufferDeviceAddressInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
        .buffer = block->buffer,
    };
    return device->vk.vkGetBufferDeviceAddress(device->handle, &info);
}

static rr_status check_size(
    rr_vk_device *device, rr_vk_memory kind, uint64_t bytes, const char *label, rr_diag *diag) {
    if (bytes == 0) {
        return rr_fail(
            diag, RR_E_USAGE, "buffer %s: found a size of 0 bytes, expected at least 1", label);
    }
    uint64_t most = device->info.max_allocation_bytes;
    if (bytes > most - (most < ADDRESS_ALIGN ? most : ADDRESS_ALIGN)) {
        return rr_fail(diag, RR_E_MEMORY,
            "buffer %s: %llu bytes, but this device (%s) allocates at most %llu at once", label,
            (unsigned long long)bytes, device->info.name, (unsigned long long)most);
    }
    uint64_t left = rr_vk_budget_left(device);
    if (kind == RR_VK_MEMORY_DEVICE && bytes > left) {
        return rr_fail(diag, RR_E_MEMORY,
            "buffer %s: %llu bytes, but only %llu of the device's %llu are left to this process: close other "
            "programs that use %s, or use a smaller model or context",
            label, (unsigned long long)bytes, (unsigned long long)left,
            (unsigned long long)device->info.device_memory_bytes, device->info.name);
    }
    return RR_OK;
}

rr_status rr_vk_buffer_create(rr_vk_device *device, rr_vk_memory kind, uint64_t bytes,
    const char *label, rr_vk_buffer *out, rr_diag *diag) {
    label = label != NULL ? label : "(unnamed)";
    RR_TRY(check_size(device, kind, bytes, label, diag));
    for (int attempt = 0;; attempt++) {
        bool padded = atomic_load(&device->pad_addresses);
        rr_vk_block *block = NULL;
        void *mapped = NULL;
        rr_status status = create_block(
            device, kind, bytes + (padded ? ADDRESS_ALIGN : 0), label, &block, &mapped, diag);
        if (status != RR_OK) {
            return rr_fail_context(diag, status,
                "buffer %s: %llu bytes, of which %llu are left on the device", label,
                (unsigned long long)bytes, (unsigned long long)rr_vk_budget_left(device));
        }
        uint64_t address = address_of(device, block);
        block->offset = rr_round_up(address, ADDRESS_ALIGN) - address;
        if (address == 0 || (block->offset != 0 && !padded && attempt > 0)) {
            destroy_block(device, block);
            return rr_fail(diag, RR_E_DEVICE, "buffer %s: vkGetBufferDeviceAddress gave 0x%llx",
                label, (unsigned long long)address);
        }
        if (block->offset != 0 && !padded) {
            /* once a device: from now on every buffer has room to align */
            destroy_block(device, block);
            atomic_store(&device->pad_addresses, true);
            continue;
        }
        *out = (rr_vk_buffer){
            .address = address + block->offset,
            .bytes = bytes,
            .mapped = mapped != NULL ? (char *)mapped + block->offset : NULL,
            .handle = block,
        };
        return RR_OK;
    }
}

void rr_vk_buffer_destroy(rr_vk_device *device, rr_vk_buffer *buffer) {
    destroy_block(device, buffer->handle);
    *buffer = (rr_vk_buffer){0};
}
