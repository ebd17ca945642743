/* Command lists: recording, one queue, timeline values, timestamps.
 * Every list begins with a barrier against all that was submitted before it and ends with one
 * towards the host, so callers think of barriers inside a list only. */
#include "runtime/vk/internal.h"

#include <assert.h>
#include <stdlib.h>

typedef enum rr_commands_state { EMPTY, RECORDING, RECORDED, IN_FLIGHT } rr_commands_state;

typedef struct rr_tick {
    uint64_t ticks;
    uint64_t available;
} rr_tick;

struct rr_vk_commands {
    rr_vk_device *device; /* borrowed */
    VkCommandPool pool;
    VkCommandBuffer buffer;
    VkSemaphore timeline;
    uint64_t value; /* of the last submit */
    rr_commands_state state;
    rr_status failure;   /* of a recording call without a result, reported by submit */
    VkQueryPool queries; /* made by the first timestamp */
    uint32_t n_slots;    /* slots below this were recorded */
    rr_tick *ticks;      /* RR_VK_TIMESTAMPS, of the last waited submit */
    uint32_t n_ticks;
};

rr_status rr_vk_commands_create(rr_vk_device *device, rr_vk_commands **out, rr_diag *diag) {
    rr_vk_commands *commands = calloc(1, sizeof *commands);
    if (commands == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    commands->device = device;
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = device->probe->queue_family,
    };
    const VkSemaphoreTypeCreateInfo type = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
        .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
    };
    const VkSemaphoreCreateInfo semaphore = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    const char *call = "vkCreateCommandPool";
    VkResult result = device->vk.vkCreateCommandPool(device->handle, &pool, NULL, &commands->pool);
    if (result == VK_SUCCESS) {
        const VkCommandBufferAllocateInfo allocate = {
            .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
            .commandPool = commands->pool,
            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
            .commandBufferCount = 1,
        };
        call = "vkAllocateCommandBuffers";
        result = device->vk.vkAllocateCommandBuffers(device->handle, &allocate, &commands->buffer);
    }
    if (result == VK_SUCCESS) {
        call = "vkCreateSemaphore";
        result =
            device->vk.vkCreateSemaphore(device->handle, &semaphore, NULL, &commands->timeline);
    }
    if (result != VK_SUCCESS) {
        rr_status status = rr_vk_fail(device, diag, call, result);
        rr_vk_commands_destroy(device, &commands);
        return status;
    }
    *out = commands;
    return RR_OK;
}

void rr_vk_commands_destroy(rr_vk_device *device, rr_vk_commands **commands) {
    rr_vk_commands *gone = *commands;
    if (gone == NULL) {
        return;
    }
    if (gone->state == IN_FLIGHT) {
        (void)rr_vk_wait(gone, 0, NULL);
    }
    device->vk.vkDestroyQueryPool(device->handle, gone->queries, NULL);
    device->vk.vkDestroySemaphore(device->handle, gone->timeline, NULL);
    device->vk.vkDestroyCommandPool(device->handle, gone->pool, NULL);
    free(gone->ticks);
    free(gone);
    *commands = NULL;
}

static void barrier(rr_vk_commands *commands, VkPipelineStageFlags to, VkAccessFlags access) {
    const VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = access,
    };
    commands->device->vk.vkCmdPipelineBarrier(commands->buffer,
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT, to, 0, 1, &memory, 0,
        NULL, 0, NULL);
}

void rr_vk_barrier(rr_vk_commands *commands) {
    assert(commands->state == RECORDING);
    barrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
            VK_ACCESS_TRANSFER_WRITE_BIT);
}

static rr_status lost(const rr_vk_device *device, rr_diag *diag) {
    return rr_fail(
        diag, RR_E_DEVICE, "the device %s is lost: close it and open it again", device->info.name);
}

rr_status rr_vk_begin(rr_vk_commands *commands, rr_diag *diag) {
    rr_vk_device *device = commands->device;
    if (commands->state == IN_FLIGHT) {
        return rr_fail(diag, RR_E_INTERNAL,
            "a command list was begun while its last submit is not waited for");
    }
    if (atomic_load(&device->lost)) {
        return lost(device, diag);
    }
    /* resetting the pool keeps its memory: recording again allocates nothing */
    VkResult result = device->vk.vkResetCommandPool(device->handle, commands->pool, 0);
    if (result != VK_SUCCESS) {
        return rr_vk_fail(device, diag, "vkResetCommandPool", result);
    }
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    result = device->vk.vkBeginCommandBuffer(commands->buffer, &begin);
    if (result != VK_SUCCESS) {
        return rr_vk_fail(device, diag, "vkBeginCommandBuffer", result);
    }
    commands->state = RECORDING;
    commands->failure = RR_OK;
    commands->n_slots = 0;
    commands->n_ticks = 0;
    rr_vk_barrier(commands);
    return RR_OK;
}

void rr_vk_dispatch(rr_vk_commands *commands, const rr_vk_kernel *kernel, const void *push,
    uint32_t x, uint32_t y, uint32_t z) {
    assert(commands->state == RECORDING);
    const struct VolkDeviceTable *vk = &commands->device->vk;
    const uint32_t *most = commands->device->info.max_workgroups;
    assert(x <= most[0] && y <= most[1] && z <= most[2]);
    vk->vkCmdBindPipeline(commands->buffer, VK_PIPELINE_BIND_POINT_COMPUTE, kernel->pipeline);
    if (kernel->push_bytes > 0) {
        vk->vkCmdPushConstants(commands->buffer, kernel->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
            kernel->push_bytes, push);
    }
    vk->vkCmdDispatch(commands->buffer, x, y, z);
}

void rr_vk_copy(rr_vk_commands *commands, const rr_vk_buffer *from, uint64_t from_offset,
    const rr_vk_buffer *to, uint64_t to_offset, uint64_t bytes) {
    assert(commands->state == RECORDING);
    assert(from_offset <= from->bytes && bytes <= from->bytes - from_offset);
    assert(to_offset <= to->bytes && bytes <= to->bytes - to_offset);
    if (bytes == 0) {
        return;
    }
    const rr_vk_block *source = from->handle;
    const rr_vk_block *target = to->handle;
    const VkBufferCopy region = {
        .srcOffset = source->offset + from_offset,
        .dstOffset = target->offset + to_offset,
        .size = bytes,
    };
    commands->device->vk.vkCmdCopyBuffer(
        commands->buffer, source->buffer, target->buffer, 1, &region);
}

static VkResult create_queries(rr_vk_commands *commands) {
    const VkQueryPoolCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = RR_VK_TIMESTAMPS,
    };
    rr_vk_device *device = commands->device;
    if (commands->ticks == NULL) {
        commands->ticks = calloc(RR_VK_TIMESTAMPS, sizeof *commands->ticks);
        if (commands->ticks == NULL) {
            return VK_ERROR_OUT_OF_HOST_MEMORY;
        }
    }
    return device->vk.vkCreateQueryPool(device->handle, &create, NULL, &commands->queries);
}

void rr_vk_timestamp(rr_vk_commands *commands, uint32_t slot) {
    assert(commands->state == RECORDING && slot < RR_VK_TIMESTAMPS);
    const struct VolkDeviceTable *vk = &commands->device->vk;
    if (commands->device->probe->timestamp_bits == 0 || commands->failure != RR_OK) {
        return;
    }
    if (commands->queries == VK_NULL_HANDLE) {
        VkResult result = create_queries(commands);
        if (result != VK_SUCCESS) {
            commands->failure = rr_vk_fail(commands->device, NULL, "vkCreateQueryPool", result);
            return;
        }
    }
    if (commands->n_slots == 0) {
        vk->vkCmdResetQueryPool(commands->buffer, commands->queries, 0, RR_VK_TIMESTAMPS);
    }
    vk->vkCmdWriteTimestamp(
        commands->buffer, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, commands->queries, slot);
    commands->n_slots = slot + 1 > commands->n_slots ? slot + 1 : commands->n_slots;
}

static rr_status end_recording(rr_vk_commands *commands, rr_diag *diag) {
    rr_vk_device *device = commands->device;
    barrier(commands, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    VkResult result = device->vk.vkEndCommandBuffer(commands->buffer);
    commands->state = EMPTY;
    if (result != VK_SUCCESS) {
        return rr_vk_fail(device, diag, "vkEndCommandBuffer", result);
    }
    if (commands->failure != RR_OK) {
        return rr_fail(diag, commands->failure,
            "the query pool for %d timestamps could not be made", RR_VK_TIMESTAMPS);
    }
    commands->state = RECORDED;
    return RR_OK;
}

rr_status rr_vk_submit(rr_vk_commands *commands, rr_diag *diag) {
    rr_vk_device *device = commands->device;
    if (commands->state == RECORDING) {
        RR_TRY(end_recording(commands, diag));
    }
    if (commands->state != RECORDED) {
        return rr_fail(diag, RR_E_INTERNAL, "a command list was submitted that is %s",
            commands->state == EMPTY ? "empty" : "still in flight");
    }
    if (atomic_load(&device->lost)) {
        return lost(device, diag);
    }
    if (device->lose != NULL && device->lose(device->lose_user)) {
        return rr_vk_fail(device, diag, "vkQueueSubmit", VK_ERROR_DEVICE_LOST);
    }
    const uint64_t value = commands->value + 1;
    const VkTimelineSemaphoreSubmitInfo timeline = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .signalSemaphoreValueCount = 1,
        .pSignalSemaphoreValues = &value,
    };
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .pNext = &timeline,
        .commandBufferCount = 1,
        .pCommandBuffers = &commands->buffer,
        .signalSemaphoreCount = 1,
        .pSignalSemaphores = &commands->timeline,
    };
    rr_mutex_lock(&device->queue_mutex);
    VkResult result = device->vk.vkQueueSubmit(device->queue, 1, &submit, VK_NULL_HANDLE);
    rr_mutex_unlock(&device->queue_mutex);
    if (result != VK_SUCCESS) {
        return rr_vk_fail(device, diag, "vkQueueSubmit", result);
    }
    commands->value = value;
    commands->state = IN_FLIGHT;
    return RR_OK;
}

static void read_ticks(rr_vk_commands *commands) {
    rr_vk_device *device = commands->device;
    if (commands->n_slots == 0) {
        return;
    }
    VkResult result = device->vk.vkGetQueryPoolResults(device->handle, commands->queries, 0,
        commands->n_slots, commands->n_slots * sizeof(rr_tick), commands->ticks, sizeof(rr_tick),
        VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WITH_AVAILABILITY_BIT);
    /* VK_NOT_READY: some slots between were never written, which `available` tells one by one */
    commands->n_ticks = result == VK_SUCCESS || result == VK_NOT_READY ? commands->n_slots : 0;
}

rr_status rr_vk_wait(rr_vk_commands *commands, uint64_t timeout_ns, rr_diag *diag) {
    rr_vk_device *device = commands->device;
    if (commands->state != IN_FLIGHT) {
        return commands->value > 0
            ? RR_OK
            : rr_fail(diag, RR_E_INTERNAL, "a command list was waited for before a submit");
    }
    const VkSemaphoreWaitInfo wait = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
        .semaphoreCount = 1,
        .pSemaphores = &commands->timeline,
        .pValues = &commands->value,
    };
    VkResult result = device->vk.vkWaitSemaphores(
        device->handle, &wait, timeout_ns == 0 ? UINT64_MAX : timeout_ns);
    if (result == VK_TIMEOUT) {
        return rr_fail(diag, RR_E_DEVICE, "the device %s did not finish within %.3f s",
            device->info.name, (double)timeout_ns * 1e-9);
    }
    if (result == VK_ERROR_DEVICE_LOST) {
        commands->state = RECORDED; /* nothing of it runs any more */
    }
    if (result != VK_SUCCESS) {
        return rr_vk_fail(device, diag, "vkWaitSemaphores", result);
    }
    commands->state = RECORDED;
    rr_attempt_end(rr_vk_wide(device));
    read_ticks(commands);
    return RR_OK;
}

uint64_t rr_vk_elapsed_ns(const rr_vk_commands *commands, uint32_t from_slot, uint32_t to_slot) {
    if (from_slot >= commands->n_ticks || to_slot >= commands->n_ticks ||
        !commands->ticks[from_slot].available || !commands->ticks[to_slot].available) {
        return 0;
    }
    uint32_t bits = commands->device->probe->timestamp_bits;
    uint64_t mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    uint64_t ticks = (commands->ticks[to_slot].ticks - commands->ticks[from_slot].ticks) & mask;
    return (uint64_t)((double)ticks * (double)commands->device->info.timestamp_ns);
}
