/* The Vulkan instance: loading, validation and its messages, the list of devices. */
#include "runtime/vk/internal.h"
#include "runtime/vk/quirks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

/* Processes in a row that may die with wider vectors before these are given up: some may have been
 * killed by a person. */
enum { MOST_DEATHS = 3, WIDE_LANES = 16 };

/* volk's function pointers are global: loading them is serialised. Those of an extension that only
 * some instances enable are kept by the instance. */
static rr_once load_once;
static rr_mutex load_mutex;
static rr_vk_set_variable_fn set_variable;
static bool is_widened; /* rr_quirks_wide was set for us */

static void make_load_mutex(void) {
    rr_mutex_create(&load_mutex);
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
    VkDebugUtilsMessageTypeFlagsEXT types, const VkDebugUtilsMessengerCallbackDataEXT *data,
    void *user) {
    rr_vk_instance *instance = user;
    (void)types;
    atomic_fetch_add(&instance->n_messages, 1);
    rr_log((severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) != 0 ? RR_LOG_ERROR
                                                                           : RR_LOG_WARN,
        "Vulkan validation: %s", data->pMessage != NULL ? data->pMessage : "(no text)");
    return VK_FALSE;
}

/* Enumerates the extensions of the loader (layer NULL) or of a layer; true when `name` is among
 * them. */
static bool has_instance_extension(const char *layer, const char *name) {
    uint32_t n = 0;
    if (vkEnumerateInstanceExtensionProperties(layer, &n, NULL) != VK_SUCCESS || n == 0) {
        return false;
    }
    VkExtensionProperties *list = calloc(n, sizeof *list);
    bool found = false;
    if (list != NULL && vkEnumerateInstanceExtensionProperties(layer, &n, list) >= 0) {
        for (uint32_t i = 0; i < n && !found; i++) {
            found = strcmp(list[i].extensionName, name) == 0;
        }
    }
    free(list);
    return found;
}

/* The version of Vulkan that the validation layer knows, 0 when it is not installed. */
static uint32_t validation_layer_version(void) {
    uint32_t n = 0;
    if (vkEnumerateInstanceLayerProperties(&n, NULL) != VK_SUCCESS || n == 0) {
        return 0;
    }
    VkLayerProperties *list = calloc(n, sizeof *list);
    uint32_t version = 0;
    if (list != NULL && vkEnumerateInstanceLayerProperties(&n, list) >= 0) {
        for (uint32_t i = 0; i < n; i++) {
            version =
                strcmp(list[i].layerName, VALIDATION_LAYER) == 0 ? list[i].specVersion : version;
        }
    }
    free(list);
    return version;
}

/* Never NULL where the instance was created with the extension. */
static void load_debug_utils(rr_vk_instance *instance) {
    const VkInstance of = instance->handle;
    instance->create_messenger = (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(
        of, "vkCreateDebugUtilsMessengerEXT");
    instance->destroy_messenger = (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(
        of, "vkDestroyDebugUtilsMessengerEXT");
    instance->set_object_name =
        (PFN_vkSetDebugUtilsObjectNameEXT)vkGetInstanceProcAddr(of, "vkSetDebugUtilsObjectNameEXT");
}

/* The loader's first error while it looks for drivers. */
typedef struct loader_error {
    char text[400];
} loader_error;

static VKAPI_ATTR VkBool32 VKAPI_CALL on_loader_message(
    VkDebugUtilsMessageSeverityFlagBitsEXT severity, VkDebugUtilsMessageTypeFlagsEXT types,
    const VkDebugUtilsMessengerCallbackDataEXT *data, void *user) {
    loader_error *error = user;
    (void)severity;
    (void)types;
    if (error->text[0] == '\0' && data->pMessage != NULL) {
        snprintf(error->text, sizeof error->text, "%s", data->pMessage);
    }
    return VK_FALSE;
}

/* Fails as `create` did, with what the loader says of it: of a driver's file that is missing or
 * malformed it tells here alone. */
static rr_status fail_instance(VkInstanceCreateInfo create, VkResult result, rr_diag *diag) {
    loader_error error = {{0}};
    const VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT,
        .pfnUserCallback = on_loader_message,
        .pUserData = &error,
    };
    const char *extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
    VkInstance instance;
    create.pNext = &messenger;
    create.flags = 0;
    create.enabledLayerCount = 0;
    create.enabledExtensionCount = 1;
    create.ppEnabledExtensionNames = extensions;
    /* then it was not the drivers */
    if (vkCreateInstance(&create, NULL, &instance) == VK_SUCCESS) {
        volkLoadInstanceOnly(instance);
        vkDestroyInstance(instance, NULL);
        return rr_vk_fail(NULL, diag, "vkCreateInstance", result);
    }
    const char *files = getenv("VK_DRIVER_FILES") != NULL ? "VK_DRIVER_FILES"
        : getenv("VK_ICD_FILENAMES") != NULL              ? "VK_ICD_FILENAMES"
                                                          : NULL;
    if (error.text[0] == '\0' || strstr(error.text, "no drivers") != NULL) {
        return rr_fail(diag, RR_E_DEVICE, "no Vulkan driver found (vkCreateInstance: %s): %s",
            rr_vk_result_name(result), rr_quirks_install_advice());
    }
    const rr_status status = rr_fail(diag, RR_E_DEVICE,
        "no Vulkan driver can be used (vkCreateInstance: %s); the loader says: %s",
        rr_vk_result_name(result), error.text);
    return files == NULL
        ? status
        : rr_fail_context(diag, status, "%s is set to \"%.200s\"; correct it or unset it", files,
              getenv(files));
}

static rr_status create_instance(rr_vk_instance *instance, rr_diag *diag) {
    const char *extensions[4];
    const char *layers[1] = {VALIDATION_LAYER};
    uint32_t n_extensions = 0;
    const VkValidationFeatureEnableEXT enables[] = {
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = instance,
    };
    VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .pNext = &messenger,
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = enables,
    };
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "rearank",
        .apiVersion = RR_VK_API,
    };
    VkInstanceCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &application,
        .ppEnabledLayerNames = layers,
        .ppEnabledExtensionNames = extensions,
    };
    if (instance->validation) {
        uint32_t version = validation_layer_version();
        if (version == 0) {
            return rr_fail(diag, RR_E_DEVICE,
                "validation was asked for, but " VALIDATION_LAYER " is not installed: %s",
                rr_quirks_validation_advice());
        }
        instance->hide_coop = version < VK_MAKE_API_VERSION(0, 1, 3, 255);
        create.pNext = &features;
        create.enabledLayerCount = 1;
        extensions[n_extensions++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME;
        extensions[n_extensions++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    }
    if (has_instance_extension(NULL, "VK_KHR_portability_enumeration")) {
        extensions[n_extensions++] = "VK_KHR_portability_enumeration";
        create.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
    create.enabledExtensionCount = n_extensions;
    VkResult result = vkCreateInstance(&create, NULL, &instance->handle);
    if (result != VK_SUCCESS) {
        return fail_instance(create, result, diag);
    }
    volkLoadInstanceOnly(instance->handle);
    if (instance->validation) {
        load_debug_utils(instance);
        result =
            instance->create_messenger(instance->handle, &messenger, NULL, &instance->messenger);
        if (result != VK_SUCCESS) {
            return rr_vk_fail(NULL, diag, "vkCreateDebugUtilsMessengerEXT", result);
        }
    }
    return RR_OK;
}

static rr_status list_devices(rr_vk_instance *instance, rr_diag *diag) {
    uint32_t n = 0;
    VkResult result = vkEnumeratePhysicalDevices(instance->handle, &n, NULL);
    if (result != VK_SUCCESS && result != VK_ERROR_INITIALIZATION_FAILED) {
        return rr_vk_fail(NULL, diag, "vkEnumeratePhysicalDevices", result);
    }
    if (result != VK_SUCCESS || n == 0) {
        return rr_fail(diag, RR_E_DEVICE,
            "Vulkan found no device (vkEnumeratePhysicalDevices: %s, %u devices): %s",
            rr_vk_result_name(result), n, rr_quirks_install_advice());
    }
    VkPhysicalDevice *handles = calloc(n, sizeof *handles);
    instance->infos = calloc(n, sizeof *instance->infos);
    instance->probes = calloc(n, sizeof *instance->probes);
    if (handles == NULL || instance->infos == NULL || instance->probes == NULL) {
        free(handles);
        return rr_fail(diag, RR_E_MEMORY, "out of memory listing %u devices", n);
    }
    result = vkEnumeratePhysicalDevices(instance->handle, &n, handles);
    if (result < 0) {
        free(handles);
        return rr_vk_fail(NULL, diag, "vkEnumeratePhysicalDevices", result);
    }
    for (uint32_t i = 0; i < n; i++) {
        rr_vk_probe_device(instance, handles[i], i, &instance->probes[i], &instance->infos[i]);
    }
    instance->n_devices = n;
    free(handles);
    return RR_OK;
}

/* Under load_mutex. */
static rr_status create(const rr_vk_instance_params *params, rr_vk_instance **out, rr_diag *diag) {
    rr_vk_instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    rr_status status = RR_OK;
    instance->validation = params->validation;
    instance->coop = params->coop;
    atomic_init(&instance->n_messages, 0);
    if (volkInitialize() != VK_SUCCESS) {
        status =
            rr_fail(diag, RR_E_DEVICE, "no Vulkan loader found: %s", rr_quirks_install_advice());
    } else if (volkGetInstanceVersion() < VK_API_VERSION_1_1) {
        status = rr_fail(diag, RR_E_DEVICE,
            "the Vulkan loader is of version 1.0, 1.1 is needed: %s", rr_quirks_install_advice());
    } else {
        status = create_instance(instance, diag);
    }
    RR_TRY_GOTO(status);
    RR_TRY_GOTO(list_devices(instance, diag));
    *out = instance;
    return RR_OK;

fail:
    rr_vk_instance_destroy(&instance);
    return status;
}

/* What is remembered of wider vectors on a device; NULL where they are not to be asked for. */
static rr_attempt *wide_attempt(const rr_device_info *info) {
    rr_attempt *attempt = NULL;
    rr_buf path = {0};
    rr_diag diag = {0};
    if (rr_vk_attempt_open("wide", info, ".txt", &path, &attempt, &diag) != RR_OK) {
        rr_log(RR_LOG_DEBUG,
            "%s: wider vectors are not asked for, since a crash could not be remembered: %s",
            info->name, diag.text);
    } else if (rr_attempt_n_died(attempt) >= MOST_DEATHS) {
        rr_log(RR_LOG_INFO,
            "%s: %u processes died with wider vectors, which are not asked for any more (until %s is removed)",
            info->name, rr_attempt_n_died(attempt), path.data);
        rr_attempt_close(&attempt);
    }
    rr_buf_destroy(&path);
    return attempt;
}

/* Whether wider vectors are or may be asked for: not where the user chose a width. */
static bool may_widen(void) {
    const char *found = getenv(rr_quirks_wide.name);
    return found == NULL || (is_widened && strcmp(found, rr_quirks_wide.value) == 0);
}

/* Asks for them, if we may; else says once what would be faster. */
static bool ask_for_wide(const rr_device_info *info) {
    static bool is_said;
    if (!is_widened && set_variable != NULL) {
        is_widened = set_variable(&rr_quirks_wide);
    } else if (!is_widened && !is_said) {
        is_said = true;
        rr_log(RR_LOG_WARN, "%s: faster with %s=%s in the environment of the process", info->name,
            rr_quirks_wide.name, rr_quirks_wide.value);
    }
    return is_widened;
}

/* A software driver takes its vectors' width from the environment when it is loaded: known by its
 * version, it is loaded again. */
static rr_status widen(rr_vk_instance **instance, rr_diag *diag) {
    const rr_device_info *found = NULL;
    for (size_t i = 0; i < (*instance)->n_devices && found == NULL; i++) {
        found = rr_quirks_can_widen(&(*instance)->infos[i]) ? &(*instance)->infos[i] : NULL;
    }
    rr_attempt *attempt = found != NULL && may_widen() ? wide_attempt(found) : NULL;
    if (attempt == NULL || !ask_for_wide(found)) {
        rr_attempt_close(&attempt);
        return RR_OK;
    }
    const rr_vk_instance_params params = {
        .coop = (*instance)->coop, .validation = (*instance)->validation};
    const bool is_narrow = found->subgroup_size < WIDE_LANES;
    if (is_narrow) {
        rr_vk_instance_destroy(instance);
    }
    const rr_status status = is_narrow ? create(&params, instance, diag) : RR_OK;
    if (status == RR_OK) {
        (*instance)->wide = attempt;
    } else {
        rr_attempt_close(&attempt);
    }
    return status;
}

void rr_vk_let_set_variables(rr_vk_set_variable_fn set) {
    set_variable = set;
}

rr_status rr_vk_instance_create(
    const rr_vk_instance_params *params, rr_vk_instance **out, rr_diag *diag) {
    rr_vk_instance *instance = NULL;
    rr_once_run(&load_once, make_load_mutex);
    if (!load_mutex.is_made) {
        return rr_fail(diag, RR_E_INTERNAL, "cannot make a lock");
    }
    rr_mutex_lock(&load_mutex);
    rr_status status =
        create(params != NULL ? params : &(rr_vk_instance_params){0}, &instance, diag);
    if (status == RR_OK) {
        status = widen(&instance, diag);
    }
    rr_mutex_unlock(&load_mutex);
    *out = status == RR_OK ? instance : *out;
    return status;
}

void rr_vk_instance_destroy(rr_vk_instance **instance) {
    rr_vk_instance *gone = *instance;
    if (gone == NULL) {
        return;
    }
    if (gone->messenger != VK_NULL_HANDLE) {
        gone->destroy_messenger(gone->handle, gone->messenger, NULL);
    }
    if (gone->handle != VK_NULL_HANDLE) {
        vkDestroyInstance(gone->handle, NULL);
    }
    rr_attempt_close(&gone->wide);
    free(gone->infos);
    free(gone->probes);
    free(gone);
    *instance = NULL;
}

size_t rr_vk_n_devices(const rr_vk_instance *instance) {
    return instance->n_devices;
}

const rr_device_info *rr_vk_device_info_at(const rr_vk_instance *instance, size_t index) {
    return index < instance->n_devices ? &instance->infos[index] : NULL;
}

uint64_t rr_vk_n_validation_messages(const rr_vk_instance *instance) {
    return atomic_load(&instance->n_messages);
}

rr_attempt *rr_vk_wide(const rr_vk_device *device) {
    return (device->info.caps & RR_CAP_CPU) != 0 ? device->instance->wide : NULL;
}
