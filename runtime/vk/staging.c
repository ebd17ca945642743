/* Copies between the host and any buffer: straight where it is mapped, else through staging buffers
 * made on first use. One transfer at a time on a device. */
#include "runtime/vk/internal.h"

#include <string.h>

enum { PIECE_BYTES = 16 << 20, FIRST_BYTES = 64 << 10 };

void rr_vk_staging_destroy(rr_vk_device *device) {
    for (int i = 0; i < RR_VK_STAGING_COUNT; i++) {
        rr_vk_commands_destroy(device, &device->staging[i].commands);
        rr_vk_buffer_destroy(device, &device->staging[i].buffer);
    }
}

/* Room for `bytes` (at most a piece) and a command list. */
static rr_status prepare(rr_vk_device *device, int slot, uint64_t bytes, rr_diag *diag) {
    rr_vk_staging *staging = &device->staging[slot];
    if (staging->commands == NULL) {
        RR_TRY(rr_vk_commands_create(device, &staging->commands, diag));
    }
    if (staging->buffer.bytes < bytes) {
        uint64_t size = FIRST_BYTES;
        while (size < bytes) {
            size *= 2;
        }
        rr_vk_buffer_destroy(device, &staging->buffer);
        rr_vk_memory kind =
            slot == RR_VK_STAGING_DOWN ? RR_VK_MEMORY_READBACK : RR_VK_MEMORY_UPLOAD;
        RR_TRY(rr_vk_buffer_create(device, kind, size, "staging", &staging->buffer, diag));
    }
    return RR_OK;
}

static rr_status wait_for(rr_vk_staging *staging, rr_diag *diag) {
    if (!staging->pending) {
        return RR_OK;
    }
    staging->pending = false;
    return rr_vk_wait(staging->commands, 0, diag);
}

static rr_status check_range(
    const rr_vk_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what, rr_diag *diag) {
    if (buffer->handle == NULL || offset > buffer->bytes || bytes > buffer->bytes - offset) {
        return rr_fail(diag, RR_E_USAGE, "%s: bytes %llu to %llu of a buffer of %llu", what,
            (unsigned long long)offset, (unsigned long long)(offset + bytes),
            (unsigned long long)buffer->bytes);
    }
    return RR_OK;
}

/* The host fills one half while the device copies the other. */
static rr_status upload_pieces(rr_vk_device *device, rr_vk_buffer *buffer, uint64_t offset,
    uint64_t bytes, rr_vk_fill_fn fill, void *user, rr_diag *diag) {
    rr_status status = RR_OK;
    for (uint64_t done = 0, slot = 0; done < bytes; slot ^= 1) {
        uint64_t piece = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;
        rr_vk_staging *staging = &device->staging[RR_VK_STAGING_UP0 + slot];
        RR_TRY_GOTO(wait_for(staging, diag));
        RR_TRY_GOTO(prepare(device, RR_VK_STAGING_UP0 + (int)slot, piece, diag));
        RR_TRY_GOTO(fill(user, done, piece, staging->buffer.mapped, diag));
        RR_TRY_GOTO(rr_vk_begin(staging->commands, diag));
        rr_vk_copy(staging->commands, &staging->buffer, 0, buffer, offset + done, piece);
        RR_TRY_GOTO(rr_vk_submit(staging->commands, diag));
        staging->pending = true;
        done += piece;
    }
fail:
    /* on failure too: the buffers must not be in use when the caller goes on */
    for (int i = RR_VK_STAGING_UP0; i <= RR_VK_STAGING_UP1; i++) {
        rr_status waited = wait_for(&device->staging[i], status == RR_OK ? diag : NULL);
        status = status == RR_OK ? waited : status;
    }
    return status;
}

rr_status rr_vk_upload_from(rr_vk_device *device, rr_vk_buffer *buffer, uint64_t offset,
    uint64_t bytes, rr_vk_fill_fn fill, void *user, rr_diag *diag) {
    RR_TRY(check_range(buffer, offset, bytes, "upload", diag));
    if (bytes == 0) {
        return RR_OK;
    }
    if (buffer->mapped != NULL) {
        return fill(user, 0, bytes, (char *)buffer->mapped + offset, diag);
    }
    rr_mutex_lock(&device->staging_mutex);
    rr_status status = upload_pieces(device, buffer, offset, bytes, fill, user, diag);
    rr_mutex_unlock(&device->staging_mutex);
    return status;
}

static rr_status fill_from_memory(
    void *user, uint64_t at, uint64_t bytes, void *to, rr_diag *diag) {
    (void)diag;
    memcpy(to, (const char *)user + at, (size_t)bytes);
    return RR_OK;
}

rr_status rr_vk_upload(rr_vk_device *device, rr_vk_buffer *buffer, uint64_t offset,
    const void *data, uint64_t bytes, rr_diag *diag) {
    return rr_vk_upload_from(
        device, buffer, offset, bytes, fill_from_memory, (void *)(uintptr_t)data, diag);
}

static rr_status download_piece(rr_vk_device *device, const rr_vk_buffer *buffer, uint64_t offset,
    char *data, uint64_t bytes, rr_diag *diag) {
    rr_vk_staging *staging = &device->staging[RR_VK_STAGING_DOWN];
    RR_TRY(prepare(device, RR_VK_STAGING_DOWN, bytes, diag));
    RR_TRY(rr_vk_begin(staging->commands, diag));
    rr_vk_copy(staging->commands, buffer, offset, &staging->buffer, 0, bytes);
    RR_TRY(rr_vk_submit(staging->commands, diag));
    RR_TRY(rr_vk_wait(staging->commands, 0, diag));
    memcpy(data, staging->buffer.mapped, (size_t)bytes);
    return RR_OK;
}

rr_status rr_vk_download(rr_vk_device *device, const rr_vk_buffer *buffer, uint64_t offset,
    void *data, uint64_t bytes, rr_diag *diag) {
    RR_TRY(check_range(buffer, offset, bytes, "download", diag));
    if (bytes == 0) {
        return RR_OK;
    }
    const rr_vk_block *block = buffer->handle;
    if (buffer->mapped != NULL && block->cached) {
        memcpy(data, (const char *)buffer->mapped + offset, (size_t)bytes);
        return RR_OK;
    }
    rr_status status = RR_OK;
    rr_mutex_lock(&device->staging_mutex);
    for (uint64_t done = 0; done < bytes && status == RR_OK;) {
        uint64_t piece = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;
        status = download_piece(device, buffer, offset + done, (char *)data + done, piece, diag);
        done += piece;
    }
    rr_mutex_unlock(&device->staging_mutex);
    return status;
}
