/* `rearank devices`: every Vulkan device, what it offers, why it is not usable if it is not, and
 * which one is picked. Owns: the formats. The JSON is also the form of recorded devices
 * (tests/data/devices). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "runtime/vk/vk.h"
#include "tools/cli.h"

static const char *const type_names[] = {"other", "integrated", "discrete", "virtual", "software"};

static void print_caps(const char *label, uint32_t caps) {
    rr_out_printf("   %-12s", label);
    for (int bit = 0; bit < RR_CAP_COUNT; bit++) {
        if ((caps >> bit & 1u) != 0) {
            rr_out_printf(" %s", rr_cap_text((rr_cap_bit)bit));
        }
    }
    rr_out_text(caps == 0 ? " none\n" : "\n");
}

static void uuid_text(const uint8_t uuid[16], char out[37]) {
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }
        *out++ = hex[uuid[i] >> 4];
        *out++ = hex[uuid[i] & 15];
    }
    *out = '\0';
}

/* "16×16×16, …" of a capability that is in use. */
static void print_shapes(const char *label, bool used, const rr_coop_shapes *shapes) {
    if (!used || shapes->n == 0) {
        return;
    }
    rr_out_printf("   %-12s", label);
    for (uint32_t i = 0; i < shapes->n; i++) {
        rr_out_printf(
            "%s%u×%u×%u", i > 0 ? ", " : " ", shapes->at[i].m, shapes->at[i].n, shapes->at[i].k);
    }
    rr_out_text("\n");
}

/* One block a device; `*` marks the one that runs without --device. */
static void print_device(const rr_device_info *d, bool picked) {
    char uuid[37];
    uuid_text(d->uuid, uuid);
    rr_out_printf("%c%2u %s (%s)\n", picked ? '*' : ' ', d->index, d->name, type_names[d->type]);
    if (!d->usable) {
        rr_out_printf("   %-12s %s\n", "not usable", d->reason);
    }
    rr_out_printf("   %-12s %s%s%s, Vulkan %u.%u.%u\n", "driver",
        d->driver[0] != '\0' ? d->driver : "unknown", d->driver_info[0] != '\0' ? ", " : "",
        d->driver_info, d->api_major, d->api_minor, d->api_patch);
    rr_out_printf("   %-12s %.2f GiB, %.2f GiB for this program, at most %.2f GiB a buffer%s\n",
        "memory", (double)d->device_memory_bytes / 1073741824.0,
        (double)d->budget_bytes / 1073741824.0, (double)d->max_allocation_bytes / 1073741824.0,
        d->unified_memory ? ", unified" : "");
    rr_out_printf("   %-12s subgroups of %u", "compute", d->subgroup_size);
    if (d->subgroup_size_min != d->subgroup_size_max) {
        rr_out_printf(" (%u to %u)", d->subgroup_size_min, d->subgroup_size_max);
    }
    rr_out_printf(", workgroups of %u, %u KiB shared\n", d->max_workgroup_invocations,
        d->shared_memory_bytes / 1024);
    print_caps("capabilities", d->caps);
    print_shapes("coop", (d->caps & RR_CAP_COOP) != 0, &d->coop_f16);
    print_shapes("coop-int8", (d->caps & RR_CAP_COOP_INT8) != 0, &d->coop_int8);
    if (d->quirks[0] != '\0') {
        rr_out_printf("   %-12s %s\n", "quirks", d->quirks);
    }
    rr_out_printf("   %-12s %s\n", "uuid", uuid);
}

static void add_caps(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, uint32_t caps) {
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, object, key);
    for (int bit = 0; bit < RR_CAP_COUNT; bit++) {
        if ((caps >> bit & 1u) != 0) {
            yyjson_mut_arr_add_str(doc, list, rr_cap_text((rr_cap_bit)bit));
        }
    }
}

static void add_uuid(
    yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const uint8_t uuid[16]) {
    char text[37];
    uuid_text(uuid, text);
    yyjson_mut_obj_add_strcpy(doc, object, key, text);
}

/* [[m, n, k], …] */
static void add_shapes(
    yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const rr_coop_shapes *shapes) {
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, object, key);
    for (uint32_t i = 0; i < shapes->n; i++) {
        yyjson_mut_val *shape = yyjson_mut_arr_add_arr(doc, list);
        yyjson_mut_arr_add_uint(doc, shape, shapes->at[i].m);
        yyjson_mut_arr_add_uint(doc, shape, shapes->at[i].n);
        yyjson_mut_arr_add_uint(doc, shape, shapes->at[i].k);
    }
}

static void add_identity(yyjson_mut_doc *doc, yyjson_mut_val *o, const rr_device_info *d) {
    char version[48];
    snprintf(version, sizeof version, "%u.%u.%u", d->api_major, d->api_minor, d->api_patch);
    yyjson_mut_obj_add_uint(doc, o, "index", d->index);
    yyjson_mut_obj_add_str(doc, o, "name", d->name);
    yyjson_mut_obj_add_str(doc, o, "type", type_names[d->type]);
    yyjson_mut_obj_add_bool(doc, o, "usable", d->usable);
    yyjson_mut_obj_add_str(doc, o, "reason", d->reason);
    yyjson_mut_obj_add_str(doc, o, "driver", d->driver);
    yyjson_mut_obj_add_str(doc, o, "driver_info", d->driver_info);
    yyjson_mut_obj_add_strcpy(doc, o, "vulkan", version);
    yyjson_mut_obj_add_uint(doc, o, "vendor_id", d->vendor_id);
    yyjson_mut_obj_add_uint(doc, o, "device_id", d->device_id);
    yyjson_mut_obj_add_uint(doc, o, "driver_id", d->driver_id);
    yyjson_mut_obj_add_uint(doc, o, "driver_version", d->driver_version);
    add_uuid(doc, o, "uuid", d->uuid);
    add_uuid(doc, o, "pipeline_cache_uuid", d->pipeline_cache_uuid);
}

static void add_device(yyjson_mut_doc *doc, yyjson_mut_val *list, const rr_device_info *d) {
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
    add_identity(doc, o, d);
    add_caps(doc, o, "caps", d->caps);
    add_caps(doc, o, "caps_reported", d->caps_reported);
    yyjson_mut_obj_add_str(doc, o, "quirks", d->quirks);
    yyjson_mut_obj_add_uint(doc, o, "subgroup_size", d->subgroup_size);
    yyjson_mut_obj_add_uint(doc, o, "subgroup_size_min", d->subgroup_size_min);
    yyjson_mut_obj_add_uint(doc, o, "subgroup_size_max", d->subgroup_size_max);
    add_shapes(doc, o, "coop_f16", &d->coop_f16);
    add_shapes(doc, o, "coop_int8", &d->coop_int8);
    yyjson_mut_obj_add_uint(doc, o, "max_workgroup_invocations", d->max_workgroup_invocations);
    yyjson_mut_val *groups = yyjson_mut_obj_add_arr(doc, o, "max_workgroups");
    for (int i = 0; i < 3; i++) {
        yyjson_mut_arr_add_uint(doc, groups, d->max_workgroups[i]);
    }
    yyjson_mut_obj_add_uint(doc, o, "shared_memory_bytes", d->shared_memory_bytes);
    yyjson_mut_obj_add_uint(doc, o, "push_constant_bytes", d->push_constant_bytes);
    yyjson_mut_obj_add_uint(doc, o, "max_allocation_bytes", d->max_allocation_bytes);
    yyjson_mut_obj_add_uint(doc, o, "device_memory_bytes", d->device_memory_bytes);
    yyjson_mut_obj_add_uint(doc, o, "budget_bytes", d->budget_bytes);
    yyjson_mut_obj_add_real(doc, o, "timestamp_ns", (double)d->timestamp_ns);
    yyjson_mut_obj_add_bool(doc, o, "unified_memory", d->unified_memory);
}

static rr_status print_json(
    const rr_vk_instance *instance, size_t n, size_t picked, rr_diag *diag) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = doc != NULL ? yyjson_mut_obj(doc) : NULL;
    yyjson_mut_val *list = root != NULL ? yyjson_mut_obj_add_arr(doc, root, "devices") : NULL;
    char *text = NULL;
    size_t bytes = 0;
    if (list != NULL) {
        yyjson_mut_doc_set_root(doc, root);
        for (size_t i = 0; i < n; i++) {
            add_device(doc, list, rr_vk_device_info_at(instance, i));
        }
        if (picked < n) {
            yyjson_mut_obj_add_uint(doc, root, "picked", picked);
        } else {
            yyjson_mut_obj_add_null(doc, root, "picked");
        }
        /* driver-given names may hold any bytes: escaping turns what is no UTF-8 into U+FFFD */
        const yyjson_write_flag flags = YYJSON_WRITE_PRETTY_TWO_SPACES |
            YYJSON_WRITE_ALLOW_INVALID_UNICODE | YYJSON_WRITE_ESCAPE_UNICODE;
        text = yyjson_mut_write(doc, flags, &bytes);
    }
    yyjson_mut_doc_free(doc);
    if (text == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory writing JSON");
    }
    rr_out_write(text, bytes);
    rr_out_text("\n");
    free(text);
    return RR_OK;
}

int rr_verb_devices(int argc, char **argv) {
    static const char *const formats[] = {"table", "json", NULL};
    int format = 0;
    const char *wish = NULL;
    const rr_opt options[] = {
        {.name = "format",
            .kind = RR_OPT_CHOICE,
            .target = &format,
            .value = "FORMAT",
            .choices = formats,
            .help = "table or json (default: table)"},
        {.name = "device",
            .kind = RR_OPT_TEXT,
            .target = &wish,
            .value = "WISH",
            .help = "mark what this index, UUID or part of a name picks"},
    };
    const rr_cli_spec spec = {
        .synopsis = "",
        .about =
            "Lists all Vulkan devices with what they offer. The one marked * runs when no --device is given;\n"
            "a device that cannot be used says why.",
        .groups = {rr_cli_options(options)},
    };
    rr_cli_args args;
    int code = rr_cli_parse(&spec, argc, argv, &args);
    if (code != RR_CLI_GO_ON) {
        return code;
    }
    rr_diag diag = {0};
    rr_vk_instance *instance = NULL;
    rr_status status = rr_vk_instance_create(NULL, &instance, &diag);
    if (status != RR_OK) {
        return rr_cli_fail(status, &diag);
    }
    size_t n = rr_vk_n_devices(instance);
    size_t picked = n;
    /* without a usable device the list is still the answer; a wish that fails is an error */
    status = rr_vk_pick(rr_vk_device_info_at(instance, 0), n, wish, &picked, &diag);
    if (status == RR_OK || wish == NULL) {
        status = RR_OK;
        if (format == 1) {
            status = print_json(instance, n, picked, &diag);
        }
        for (size_t i = 0; i < n && format == 0; i++) {
            print_device(rr_vk_device_info_at(instance, i), i == picked);
        }
    }
    rr_vk_instance_destroy(&instance);
    return status == RR_OK ? 0 : rr_cli_fail(status, &diag);
}
