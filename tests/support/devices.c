#include "tests/support/devices.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "runtime/base/file.h"

/* A field reader keeps the name of the first field that it could not read. */
typedef struct rr_fields {
    yyjson_val *object;
    const char *missing;
} rr_fields;

static void read_text(rr_fields *fields, const char *key, char *out, size_t out_bytes) {
    const char *text = yyjson_get_str(yyjson_obj_get(fields->object, key));
    if (text == NULL || strlen(text) >= out_bytes) {
        fields->missing = key;
    } else {
        memcpy(out, text, strlen(text) + 1);
    }
}

static uint64_t read_u64(rr_fields *fields, const char *key) {
    yyjson_val *value = yyjson_obj_get(fields->object, key);
    if (!yyjson_is_uint(value)) {
        fields->missing = key;
    }
    return yyjson_get_uint(value);
}

static uint32_t read_u32(rr_fields *fields, const char *key) {
    uint64_t value = read_u64(fields, key);
    if (value > UINT32_MAX) {
        fields->missing = key;
    }
    return (uint32_t)value;
}

static bool read_bool(rr_fields *fields, const char *key) {
    yyjson_val *value = yyjson_obj_get(fields->object, key);
    if (!yyjson_is_bool(value)) {
        fields->missing = key;
    }
    return yyjson_get_bool(value);
}

static uint32_t read_caps(rr_fields *fields, const char *key) {
    yyjson_val *list = yyjson_obj_get(fields->object, key);
    uint32_t caps = 0;
    if (!yyjson_is_arr(list)) {
        fields->missing = key;
    }
    size_t i, n;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, n, item) {
        int bit = 0;
        while (bit < RR_CAP_COUNT && !yyjson_equals_str(item, rr_cap_text((rr_cap_bit)bit))) {
            bit++;
        }
        if (bit == RR_CAP_COUNT) {
            fields->missing = key;
        } else {
            caps |= 1u << bit;
        }
    }
    return caps;
}

static void read_uuid(rr_fields *fields, const char *key, uint8_t out[16]) {
    const char *text = yyjson_get_str(yyjson_obj_get(fields->object, key));
    size_t n = 0;
    while (text != NULL && *text != '\0' && n < 16) {
        text += *text == '-';
        unsigned byte;
        if (sscanf(text, "%2x", &byte) != 1) {
            break;
        }
        out[n++] = (uint8_t)byte;
        text += 2;
    }
    if (n != 16) {
        fields->missing = key;
    }
}

static void read_shapes(rr_fields *fields, const char *key, rr_coop_shapes *out) {
    yyjson_val *list = yyjson_obj_get(fields->object, key);
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > RR_COOP_SHAPES) {
        fields->missing = key;
        return;
    }
    size_t i, n;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, n, item) {
        const rr_coop_shape shape = {(uint32_t)yyjson_get_uint(yyjson_arr_get(item, 0)),
            (uint32_t)yyjson_get_uint(yyjson_arr_get(item, 1)),
            (uint32_t)yyjson_get_uint(yyjson_arr_get(item, 2))};
        if (yyjson_arr_size(item) != 3 || shape.m == 0 || shape.n == 0 || shape.k == 0) {
            fields->missing = key;
        }
        out->at[out->n++] = shape;
    }
}

static rr_device_type read_type(rr_fields *fields) {
    static const char *const names[] = {"other", "integrated", "discrete", "virtual", "software"};
    for (int i = 0; i < 5; i++) {
        if (yyjson_equals_str(yyjson_obj_get(fields->object, "type"), names[i])) {
            return (rr_device_type)i;
        }
    }
    fields->missing = "type";
    return RR_DEVICE_OTHER;
}

static const char *read_device(yyjson_val *object, rr_device_info *d) {
    rr_fields fields = {.object = object};
    char version[48] = "";
    *d = (rr_device_info){0};
    d->index = read_u32(&fields, "index");
    read_text(&fields, "name", d->name, sizeof d->name);
    d->type = read_type(&fields);
    d->usable = read_bool(&fields, "usable");
    read_text(&fields, "reason", d->reason, sizeof d->reason);
    read_text(&fields, "driver", d->driver, sizeof d->driver);
    read_text(&fields, "driver_info", d->driver_info, sizeof d->driver_info);
    read_text(&fields, "vulkan", version, sizeof version);
    if (sscanf(version, "%u.%u.%u", &d->api_major, &d->api_minor, &d->api_patch) != 3) {
        fields.missing = "vulkan";
    }
    d->vendor_id = read_u32(&fields, "vendor_id");
    d->device_id = read_u32(&fields, "device_id");
    d->driver_id = read_u32(&fields, "driver_id");
    d->driver_version = read_u32(&fields, "driver_version");
    read_uuid(&fields, "uuid", d->uuid);
    read_uuid(&fields, "pipeline_cache_uuid", d->pipeline_cache_uuid);
    d->caps = read_caps(&fields, "caps");
    d->caps_reported = read_caps(&fields, "caps_reported");
    read_text(&fields, "quirks", d->quirks, sizeof d->quirks);
    d->subgroup_size = read_u32(&fields, "subgroup_size");
    d->subgroup_size_min = read_u32(&fields, "subgroup_size_min");
    d->subgroup_size_max = read_u32(&fields, "subgroup_size_max");
    read_shapes(&fields, "coop_f16", &d->coop_f16);
    read_shapes(&fields, "coop_int8", &d->coop_int8);
    d->max_workgroup_invocations = read_u32(&fields, "max_workgroup_invocations");
    for (size_t i = 0; i < 3; i++) {
        yyjson_val *groups = yyjson_arr_get(yyjson_obj_get(object, "max_workgroups"), i);
        fields.missing = yyjson_is_uint(groups) ? fields.missing : "max_workgroups";
        d->max_workgroups[i] = (uint32_t)yyjson_get_uint(groups);
    }
    d->shared_memory_bytes = read_u32(&fields, "shared_memory_bytes");
    d->push_constant_bytes = read_u32(&fields, "push_constant_bytes");
    d->max_allocation_bytes = read_u64(&fields, "max_allocation_bytes");
    d->device_memory_bytes = read_u64(&fields, "device_memory_bytes");
    d->budget_bytes = read_u64(&fields, "budget_bytes");
    d->timestamp_ns = (float)yyjson_get_num(yyjson_obj_get(object, "timestamp_ns"));
    d->unified_memory = read_bool(&fields, "unified_memory");
    return fields.missing;
}

rr_status rr_devices_read(const char *path, rr_device_info **out, size_t *n, rr_diag *diag) {
    rr_buf text = {0};
    rr_status status = rr_file_read(path, 1 << 20, &text, diag);
    yyjson_doc *doc = status == RR_OK ? yyjson_read(text.data, text.bytes, 0) : NULL;
    yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "devices");
    size_t n_devices = yyjson_arr_size(list);
    rr_device_info *devices = calloc(n_devices + 1, sizeof *devices);
    if (status == RR_OK && (!yyjson_is_arr(list) || devices == NULL)) {
        status =
            rr_fail(diag, RR_E_INPUT, "%s: expected an object with the list \"devices\"", path);
    }
    for (size_t i = 0; i < n_devices && status == RR_OK; i++) {
        const char *missing = read_device(yyjson_arr_get(list, i), &devices[i]);
        if (missing != NULL) {
            status = rr_fail(diag, RR_E_INPUT,
                "%s: device %zu: the field \"%s\" is missing or of the wrong kind", path, i,
                missing);
        }
    }
    if (status == RR_OK) {
        *out = devices;
        *n = n_devices;
    } else {
        free(devices);
    }
    yyjson_doc_free(doc);
    rr_buf_destroy(&text);
    return status;
}

static const char *const folder = "tests/data/devices";
enum { MAX_FILES = 64, MAX_NAME = 256 };

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

/* Names of the files without ".json", sorted. */
static rr_status list_names(char names[MAX_FILES][MAX_NAME], size_t *n, rr_diag *diag) {
    DIR *listing = opendir(folder);
    if (listing == NULL) {
        return rr_fail(
            diag, RR_E_IO, "%s: cannot list; run this test from the project's folder", folder);
    }
    *n = 0;
    for (struct dirent *entry; *n < MAX_FILES && (entry = readdir(listing)) != NULL;) {
        const char *end = strstr(entry->d_name, ".json");
        if (end != NULL) {
            snprintf(names[(*n)++], MAX_NAME, "%.*s", (int)(end - entry->d_name), entry->d_name);
        }
    }
    closedir(listing);
    qsort(names, *n, sizeof *names, by_name);
    return RR_OK;
}

rr_status rr_devices_visit(rr_devices_fn visit, void *user, size_t *n, rr_diag *diag) {
    char names[MAX_FILES][MAX_NAME];
    RR_TRY(list_names(names, n, diag));
    for (size_t i = 0; i < *n; i++) {
        char path[512];
        rr_device_info *devices = NULL;
        size_t n_devices = 0;
        snprintf(path, sizeof path, "%s/%s.json", folder, names[i]);
        RR_TRY(rr_devices_read(path, &devices, &n_devices, diag));
        if (n_devices == 1) {
            visit(user, names[i], &devices[0]);
        }
        free(devices);
        if (n_devices != 1) {
            return rr_fail(diag, RR_E_INPUT, "%s: %zu devices, expected 1", path, n_devices);
        }
    }
    return RR_OK;
}
