/* The thin Vulkan layer: devices, capabilities, memory arenas, kernels, command lists.
 * Owns: every Vulkan object. No Vulkan type leaves this folder; only quirks.c names a vendor or
 * driver. Floor: Vulkan 1.2 with bufferDeviceAddress and timelineSemaphore, 128 bytes of push
 * constants, workgroups of 256 invocations, 32 KiB shared memory, any subgroup size. Buffers are
 * reached by device address only. */
#ifndef RR_VK_VK_H
#define RR_VK_VK_H

#include "runtime/base/log.h"
#include "runtime/base/memory.h"

/* Capabilities that variants may need. X(name, text used by --caps and `rearank info`). */
#define RR_CAPS(X)                                                                            \
    X(SUBGROUP, "subgroup")   /* shuffle and arithmetic in compute */                         \
    X(INT64, "int64")         /* shaderInt64 */                                               \
    X(INT16, "int16")         /* shaderInt16 and 16-bit storage */                            \
    X(INT8, "int8")           /* shaderInt8 and 8-bit storage */                              \
    X(F16, "f16")             /* shaderFloat16 */                                             \
    X(DOT, "dot")             /* 4×8-bit integer dot product; effective where accelerated */ \
    X(COOP, "coop")           /* VK_KHR_cooperative_matrix, f16 */                            \
    X(COOP_INT8, "coop-int8") /* … and signed 8-bit */                                      \
    X(CPU, "cpu")             /* the device is a software one */

typedef enum rr_cap_bit {
#define X(name, text) RR_CAP_BIT_##name,
    RR_CAPS(X)
#undef X
        RR_CAP_COUNT
} rr_cap_bit;
enum {
#define X(name, text) RR_CAP_##name = 1 << RR_CAP_BIT_##name,
    RR_CAPS(X)
#undef X
        RR_CAP_NONE = 0
};

const char *rr_cap_text(rr_cap_bit bit);
/* Applies a mask such as "-coop,-dot" or "none" to `caps` (bits can only be taken away: "+x" is an
 * error, "" and NULL change nothing). Errors: RR_E_USAGE naming the unknown word and the known
 * ones. */
rr_status rr_caps_mask(uint32_t caps, const char *mask, uint32_t *out, rr_diag *diag);

typedef enum rr_device_type {
    RR_DEVICE_OTHER,
    RR_DEVICE_INTEGRATED,
    RR_DEVICE_DISCRETE,
    RR_DEVICE_VIRTUAL,
    RR_DEVICE_CPU
} rr_device_type;

/* A size of cooperative matrices that a subgroup multiplies: A is m × k, B is k × n, the sum m ×
 * n. */
typedef struct rr_coop_shape {
    uint32_t m, n, k;
} rr_coop_shape;
/* The sizes of one pair of types, in the driver's order. */
enum { RR_COOP_SHAPES = 16 };
typedef struct rr_coop_shapes {
    rr_coop_shape at[RR_COOP_SHAPES];
    uint32_t n;
} rr_coop_shapes;
/* What a device reports, all that pick() and plans look at; plain data, so recorded devices can
 * stand in tests. */
typedef struct rr_device_info {
    uint32_t index; /* in enumeration order */
    char name[256];
    char driver[256]; /* driver's name */
    char driver_info[256];
    uint8_t uuid[16];
    uint8_t pipeline_cache_uuid[16];
    uint32_t vendor_id, device_id, driver_id, driver_version;
    uint32_t api_major, api_minor, api_patch;
    rr_device_type type;
    uint32_t caps;          /* reported − quirks */
    uint32_t caps_reported; /* what the driver says */
    /* those among `caps` that were asked for whatever is known of them: rr_caps_lift */
    uint32_t lifted;
    uint32_t subgroup_size, subgroup_size_min, subgroup_size_max;
    uint32_t max_workgroup_invocations;
    uint32_t max_workgroups[3];
    uint32_t shared_memory_bytes;
    uint32_t push_constant_bytes;
    /* the driver's list: factors f16 with an f32 sum, and signed 8-bit factors with a signed 32-bit
     * sum that wraps. Empty when the capability is not reported, or is so bad (a quirk) that the
     * driver is not asked; `caps` has the last word. */
    rr_coop_shapes coop_f16, coop_int8;
    uint64_t max_allocation_bytes;
    uint64_t device_memory_bytes; /* largest device-local heap */
    /* of it free for this process when listed: VK_EXT_memory_budget, else 80 % */
    uint64_t budget_bytes;
    float timestamp_ns;  /* per tick, 0 = none */
    bool unified_memory; /* all device-local memory can be mapped */
    bool dot_emulated;   /* integer dot product is offered, but not accelerated */
    bool usable;
    char reason[256]; /* why not usable */
    char quirks[512]; /* the quirks applied, "; "-separated, "" = none */
} rr_device_info;

/* The same of a device's caps, where "+coop" gives back what quirks took away and keeps the
 * self-test from taking it: for checks and benches. Which those are is kept in info->lifted and
 * logged as a warning. Errors: also RR_E_UNSUPPORTED for what the driver does not report. */
rr_status rr_caps_lift(rr_device_info *info, const char *mask, rr_diag *diag);

typedef struct rr_vk_instance rr_vk_instance;
typedef struct rr_vk_device rr_vk_device;

typedef struct rr_vk_instance_params {
    /* A size of matrices to use instead of the driver's list, where the driver lists it or takes
     * any size; 0 = its list. A pair of types that cannot have it has none. For checks. */
    rr_coop_shape coop;
    /* turn on validation and synchronization validation; needs the layer installed. A layer older
     * than cooperative matrices hides them */
    bool validation;
} rr_vk_instance_params;

/* A variable of the environment that a driver reads when it is loaded. */
typedef struct rr_vk_variable {
    const char *name, *value;
} rr_vk_variable;

/* For the program that owns the process: lets drivers be asked for more by variables of the
 * environment. rr_vk_instance_create calls `set`, before a device is opened, with a variable that
 * is not set and that the driver it found can bear; false = it could not be set. Processes that die
 * of it are counted, and after three in a row the driver is asked no more. Without `set` (NULL, as
 * at the start) the environment stays as it is, and the log says once what would be faster. To be
 * called before the first instance. */
typedef bool (*rr_vk_set_variable_fn)(const rr_vk_variable *variable);
void rr_vk_let_set_variables(rr_vk_set_variable_fn set);

/* Loads Vulkan and lists all devices, usable or not. Errors: RR_E_DEVICE (no loader, no driver:
 * says what to install). */
rr_status rr_vk_instance_create(
    const rr_vk_instance_params *params, rr_vk_instance **out, rr_diag *diag);
void rr_vk_instance_destroy(rr_vk_instance **instance);
size_t rr_vk_n_devices(const rr_vk_instance *instance);
/* NULL past the end. The infos stand side by side: that of index 0 is an array for rr_vk_pick. */
const rr_device_info *rr_vk_device_info_at(const rr_vk_instance *instance, size_t index);
/* Messages that validation printed so far (0 when off). */
uint64_t rr_vk_n_validation_messages(const rr_vk_instance *instance);

/* `wish`: NULL or "" = discrete, then integrated, then virtual, then software, the one with more
 * memory among equals; else an index, a UUID, or part of a name (any letter case; must match
 * exactly one device). Errors, listing what there is: RR_E_USAGE for a wish that does not name
 * exactly one, RR_E_DEVICE when there is none that is usable or the one named is not. Pure. */
rr_status rr_vk_pick(
    const rr_device_info *devices, size_t n, const char *wish, size_t *out, rr_diag *diag);

/* Opens a device with every capability in `caps` enabled. */
rr_status rr_vk_device_open(
    rr_vk_instance *instance, size_t index, uint32_t caps, rr_vk_device **out, rr_diag *diag);
/* The same, with options. `statistics`: kernels can be asked for what the compiler made of them
 * (rr_vk_kernel_report). They are then compiled anew each time and the pipeline cache stays
 * untouched; a device that could run everything but has no memory can be opened too, to compile for
 * it (rr_vk_can_compile). Errors: also RR_E_DEVICE when the driver tells nothing of its kernels. */
typedef struct rr_vk_device_params {
    uint32_t caps;
    uint32_t lifted; /* of rr_device_info */
    bool statistics;
    /* For tests: asked before each submit, from any thread; true = that submit finds the device
     * lost. NULL = never. */
    bool (*lose)(void *user);
    void *lose_user;
} rr_vk_device_params;
rr_status rr_vk_device_open_with(rr_vk_instance *instance, size_t index,
    const rr_vk_device_params *params, rr_vk_device **out, rr_diag *diag);
/* The device can be opened with `statistics`. */
bool rr_vk_can_compile(const rr_vk_instance *instance, size_t index);
void rr_vk_device_close(rr_vk_device **device);               /* waits for the device to be idle */
const rr_device_info *rr_vk_info(const rr_vk_device *device); /* caps = the enabled ones */
bool rr_vk_is_lost(const rr_vk_device *device);

/* Memory. One buffer = one allocation. `address` is a multiple of 256. Contents start undefined. */
typedef enum rr_vk_memory {
    /* device local; also mapped where the device has unified memory (mapped may be NULL) */
    RR_VK_MEMORY_DEVICE,
    RR_VK_MEMORY_UPLOAD,  /* host visible, coherent; the host writes, the device reads or copies */
    RR_VK_MEMORY_READBACK /* host visible, cached; the device writes, the host reads */
} rr_vk_memory;

typedef struct rr_vk_buffer {
    uint64_t address; /* device address */
    uint64_t bytes;
    void *mapped; /* host pointer or NULL */
    void *handle; /* private */
} rr_vk_buffer;

/* Errors: RR_E_MEMORY with the figures. A buffer larger than max_allocation_bytes is refused with
 * its size. */
rr_status rr_vk_buffer_create(rr_vk_device *device, rr_vk_memory kind, uint64_t bytes,
    const char *label, rr_vk_buffer *out, rr_diag *diag);
void rr_vk_buffer_destroy(rr_vk_device *device, rr_vk_buffer *buffer); /* accepts a zeroed buffer */
/* Bytes of the device-local heap that this process may still take now. */
uint64_t rr_vk_budget_left(const rr_vk_device *device);
/* Copies into any buffer, through a staging buffer where it is not mapped; waits. Pieces of at most
 * 32 MiB. */
rr_status rr_vk_upload(rr_vk_device *device, rr_vk_buffer *buffer, uint64_t offset,
    const void *data, uint64_t bytes, rr_diag *diag);
/* The same of bytes that `fill` puts at `to`, which may be slow to read: bytes [at, at + bytes) of
 * the whole, part by part in order, each part but the last 16 MiB or a multiple; where the buffer
 * is mapped, all at once. A part is filled while the device copies the one before. What `fill`
 * fails with ends it. */
typedef rr_status (*rr_vk_fill_fn)(
    void *user, uint64_t at, uint64_t bytes, void *to, rr_diag *diag);
rr_status rr_vk_upload_from(rr_vk_device *device, rr_vk_buffer *buffer, uint64_t offset,
    uint64_t bytes, rr_vk_fill_fn fill, void *user, rr_diag *diag);
rr_status rr_vk_download(rr_vk_device *device, const rr_vk_buffer *buffer, uint64_t offset,
    void *data, uint64_t bytes, rr_diag *diag);

/* Kernels. A kernel = one SPIR-V module, entry "main", specialization constants with ids 0…n−1
 * (32-bit each), one push constant block, no descriptors. Compiled at creation through the on-disk
 * pipeline cache. */
typedef struct rr_vk_kernel rr_vk_kernel;
typedef struct rr_vk_kernel_params {
    const char *label;
    const uint32_t *spirv;
    size_t spirv_bytes;
    const uint32_t *spec; /* values of constants 0…n_spec−1 */
    uint32_t n_spec;
    uint32_t push_bytes; /* ≤ 128, a multiple of 4 */
    /* 0 = the driver's choice, else required (where the device can pin it) */
    uint32_t subgroup_size;
    /* those that it needs: if the process dies while the kernel is made, rr_vk_take_deaths returns
     * them to the next process */
    uint32_t caps;
} rr_vk_kernel_params;
rr_status rr_vk_kernel_create(
    rr_vk_device *device, const rr_vk_kernel_params *params, rr_vk_kernel **out, rr_diag *diag);
void rr_vk_kernel_destroy(rr_vk_device *device, rr_vk_kernel **kernel);
/* Those of the device's capabilities whose kernels were being made when a process died. Each death
 * is returned once, and none while another process makes such a kernel. 0 on software devices. */
uint32_t rr_vk_take_deaths(const rr_device_info *info);

/* What the driver's compiler says of a kernel. Names, units and their number are the driver's
 * own. */
typedef struct rr_vk_statistic {
    char name[64];
    double value; /* whole numbers are exact up to 2^53 */
} rr_vk_statistic;
typedef struct rr_vk_listing { /* a representation of the code, such as its assembly */
    char name[64];
    char *text; /* terminated */
} rr_vk_listing;
/* one of the programs that the driver made of the kernel, mostly the only one */
typedef struct rr_vk_executable {
    char name[64];
    uint32_t subgroup_size; /* lanes; 0 = it does not say */
    rr_vk_statistic *statistics;
    size_t n_statistics;
    rr_vk_listing *listings;
    size_t n_listings;
} rr_vk_executable;
typedef struct rr_vk_report {
    rr_vk_executable *executables;
    size_t n_executables;
} rr_vk_report;
/* The kernel's device must have been opened with `statistics`. Errors: RR_E_UNSUPPORTED (it was
 * not), RR_E_MEMORY, RR_E_DEVICE. The caller owns *out. */
rr_status rr_vk_kernel_report(
    rr_vk_device *device, const rr_vk_kernel *kernel, rr_vk_report *out, rr_diag *diag);
void rr_vk_report_destroy(rr_vk_report *report); /* accepts a zeroed report */

/* Writes the pipeline cache back to the user's cache folder when it changed; failing to is only
 * logged. A cache file is keyed by pipelineCacheUUID, driver version and `shader_hash`; a damaged
 * one is ignored. Load before the first kernel; true = there was a good file. */
bool rr_vk_pipeline_cache_load(rr_vk_device *device, uint64_t shader_hash);
void rr_vk_pipeline_cache_save(rr_vk_device *device);

/* A command list: recorded once or again and again, submitted, waited for by timeline value.
 * One list belongs to one thread at a time; submission to the one queue is serialised inside. */
typedef struct rr_vk_commands rr_vk_commands;
rr_status rr_vk_commands_create(rr_vk_device *device, rr_vk_commands **out, rr_diag *diag);
void rr_vk_commands_destroy(rr_vk_device *device, rr_vk_commands **commands); /* waits for it */
rr_status rr_vk_begin(rr_vk_commands *commands, rr_diag *diag); /* the list must not be in flight */
void rr_vk_dispatch(rr_vk_commands *commands, const rr_vk_kernel *kernel, const void *push,
    uint32_t x, uint32_t y, uint32_t z);
/* Makes all earlier shader and copy writes visible to all later shader and copy reads. */
void rr_vk_barrier(rr_vk_commands *commands);
void rr_vk_copy(rr_vk_commands *commands, const rr_vk_buffer *from, uint64_t from_offset,
    const rr_vk_buffer *to, uint64_t to_offset, uint64_t bytes);
/* Marks a point in device time; `slot` below RR_VK_TIMESTAMPS. */
enum { RR_VK_TIMESTAMPS = 4096 };
void rr_vk_timestamp(rr_vk_commands *commands, uint32_t slot);
/* Submits; the host's earlier writes to mapped memory are visible to it, its writes to READBACK
 * memory are visible to the host after wait. */
rr_status rr_vk_submit(rr_vk_commands *commands, rr_diag *diag);
/* Waits for the last submit. Errors: RR_E_DEVICE when the device is lost or `timeout_ns` (0 = none)
 * runs out. */
rr_status rr_vk_wait(rr_vk_commands *commands, uint64_t timeout_ns, rr_diag *diag);
/* Device time between two slots of the last waited submit, 0 when not measured. */
uint64_t rr_vk_elapsed_ns(const rr_vk_commands *commands, uint32_t from_slot, uint32_t to_slot);

#endif
