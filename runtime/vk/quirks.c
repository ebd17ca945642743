/* The table of known faults: which driver, which devices, what is taken away, why.
 * A row needs a reason that a user can read and that says what was seen. */
#include "runtime/vk/quirks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values of VkDriverId: numbers of the registry, so that this file needs no Vulkan header and
 * recorded devices suffice. */
enum {
    DRIVER_ANY = 0,
    DRIVER_AMD_PROPRIETARY = 1,
    DRIVER_AMD_OPEN_SOURCE = 2,
    DRIVER_INTEL_PROPRIETARY_WINDOWS = 5,
    DRIVER_INTEL_MESA = 6,
    DRIVER_MESA_LLVMPIPE = 13
};

/* Mesa packs its version as Vulkan packs API versions. */
#define MESA(major, minor, patch) \
    (((uint32_t)(major) << 22) | ((uint32_t)(minor) << 12) | (uint32_t)(patch))

enum { COOP = RR_CAP_COOP | RR_CAP_COOP_INT8 };

typedef struct rr_quirk {
    uint32_t driver_id;
    /* applies to driver versions below this; 0 = to all */
    uint32_t below_version;
    bool (*devices)(const rr_device_info *info); /* NULL = all of that driver */
    uint32_t caps;                               /* taken away */
    const char *reason;
} rr_quirk;

/* Before the Xe2 generation subgroups of 8 exist. */
static bool is_intel_before_xe2(const rr_device_info *info) {
    return info->subgroup_size_min < 16;
}

/* Of the older generations only Arc A (DG2) and Arrow Lake H have matrix units. */
static bool is_intel_without_matrix_units(const rr_device_info *info) {
    bool arrow_lake_h = info->device_id == 0x7d51 || info->device_id == 0x7dd1;
    return is_intel_before_xe2(info) && !arrow_lake_h && strstr(info->name, "(DG2)") == NULL;
}

static bool emulates_dot(const rr_device_info *info) {
    return info->dot_emulated;
}

static const rr_quirk rr_quirk_table[] = {
    {DRIVER_ANY, 0, emulates_dot, RR_CAP_DOT,
        "integer dot product off: this GPU has no instruction for it, the driver emulates it"},
    {DRIVER_AMD_PROPRIETARY, 0, NULL, COOP,
        "cooperative matrices off: this driver reports them on GPUs without matrix units, and asking for their shapes "
        "crashes on some integrated GPUs"},
    {DRIVER_AMD_OPEN_SOURCE, 0, NULL, COOP,
        "cooperative matrices off: this driver reports them on GPUs without matrix units"},
    {DRIVER_INTEL_MESA, MESA(24, 3, 1), NULL, COOP,
        "cooperative matrices off: before Mesa 24.3.1 they run on the shader cores, at half the speed of plain kernels"},
    {DRIVER_INTEL_MESA, 0, is_intel_without_matrix_units, COOP,
        "cooperative matrices off: this GPU has no matrix units, the driver emulates them"},
    {DRIVER_INTEL_PROPRIETARY_WINDOWS, 0, is_intel_before_xe2, COOP,
        "cooperative matrices off: on GPUs before Xe2 this driver runs some shapes 1000 times slower than plain kernels"},
    {DRIVER_MESA_LLVMPIPE, 0, NULL, COOP,
        "cooperative matrices off: a software device emulates them one element at a time"},
};

static bool applies(const rr_quirk *quirk, const rr_device_info *info) {
    return (quirk->driver_id == DRIVER_ANY || quirk->driver_id == info->driver_id) &&
        (quirk->below_version == 0 || info->driver_version < quirk->below_version) &&
        (quirk->devices == NULL || quirk->devices(info));
}

bool rr_quirks_can_list_coop(const rr_device_info *info) {
    for (size_t i = 0; i < sizeof rr_quirk_table / sizeof rr_quirk_table[0]; i++) {
        const rr_quirk *quirk = &rr_quirk_table[i];
        /* who lifts it (rr_caps_lift) wants the sizes */
        const bool is_only_slow = quirk->driver_id == DRIVER_MESA_LLVMPIPE;
        if ((quirk->caps & COOP) != 0 && !is_only_slow && applies(quirk, info)) {
            return false;
        }
    }
    return true;
}

void rr_quirks_apply(rr_device_info *info) {
    info->caps = info->caps_reported;
    info->quirks[0] = '\0';
    size_t used = 0;
    for (size_t i = 0; i < sizeof rr_quirk_table / sizeof rr_quirk_table[0]; i++) {
        const rr_quirk *quirk = &rr_quirk_table[i];
        if ((info->caps_reported & quirk->caps) == 0 || !applies(quirk, info)) {
            continue;
        }
        info->caps &= ~quirk->caps;
        int n = snprintf(info->quirks + used, sizeof info->quirks - used, "%s%s",
            used > 0 ? "; " : "", quirk->reason);
        if (n > 0) {
            used += (size_t)n;
        }
        if (used >= sizeof info->quirks) {
            break; /* truncated, still terminated */
        }
    }
}

static bool has_wide_registers(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

/* Mesa's software device keeps 8 lanes even where the processor has registers for 16; with 16 a
 * prompt takes three quarters of the time (docs/speed-log.md) and every kernel passes its check. So
 * with 22.3.6 and 25.0.7 (LLVM 15 and 19); 26.1.6 and 26.2.6 end the process ("stack smashing
 * detected") when they make pipelines of 16 lanes. Those between were not at hand. */
bool rr_quirks_can_widen(const rr_device_info *info) {
    unsigned major, minor;
    return info->driver_id == DRIVER_MESA_LLVMPIPE && has_wide_registers() &&
        sscanf(info->driver_info, "Mesa %u.%u", &major, &minor) == 2 &&
        (major < 25 || (major == 25 && minor == 0));
}

const rr_vk_variable rr_quirks_wide = {"LP_NATIVE_VECTOR_WIDTH", "512"};

const char *rr_quirks_install_advice(void) {
    return "install the Vulkan loader and a driver for the GPU (on Debian and Ubuntu: libvulkan1 and "
           "mesa-vulkan-drivers, which also brings a software device; or the GPU maker's own driver)";
}

const char *rr_quirks_validation_advice(void) {
    return "install the Khronos validation layer (on Debian and Ubuntu: vulkan-validationlayers)";
}
