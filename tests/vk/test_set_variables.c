/* The environment is changed only through the function that the program gave, only where the user
 * set nothing, and not after three deaths in a row. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "runtime/base/cache.h"
#include "runtime/base/folder.h"
#include "runtime/vk/quirks.h"
#include "tests/check.h"

static int n_asked;

static bool set_variable(const rr_vk_variable *variable) {
    n_asked++;
    CHECK_TEXT(variable->name, rr_quirks_wide.name);
    return setenv(variable->name, variable->value, 0) == 0;
}

static bool refuse(const rr_vk_variable *variable) {
    (void)variable;
    n_asked++;
    return false;
}

/* Creates an instance and gives the device that bears wider vectors; false = there is none. */
static bool look(rr_device_info *found) {
    rr_vk_instance *instance = NULL;
    rr_diag diag = {0};
    bool is_there = false;
    n_asked = 0;
    if (rr_vk_instance_create(NULL, &instance, &diag) != RR_OK) {
        printf("%s\n", diag.text);
        return false;
    }
    for (size_t i = 0; i < rr_vk_n_devices(instance) && !is_there; i++) {
        *found = *rr_vk_device_info_at(instance, i);
        is_there = rr_quirks_can_widen(found);
    }
    rr_vk_instance_destroy(&instance);
    return is_there;
}

static void write_deaths(const rr_device_info *info, const char *count) {
    rr_buf path = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_cache_path_of("wide", info->uuid, ".txt", &path, &diag), diag);
    CHECK_OK(rr_cache_write(path.data, count, 1, &diag), diag);
    rr_buf_destroy(&path);
}

static void check_asking(void) {
    rr_device_info info;
    rr_vk_let_set_variables(refuse);
    CHECK(look(&info));
    CHECK_INT(n_asked, 1);
    CHECK(getenv(rr_quirks_wide.name) == NULL && info.subgroup_size < 16);

    rr_vk_let_set_variables(set_variable);
    write_deaths(&info, "3");
    CHECK(look(&info));
    CHECK_INT(n_asked, 0);
    write_deaths(&info, "2");
    CHECK(setenv(rr_quirks_wide.name, "128", 1) == 0); /* the user's choice */
    CHECK(look(&info));
    CHECK_INT(n_asked, 0);
    CHECK(unsetenv(rr_quirks_wide.name) == 0);
    CHECK(look(&info));
    CHECK_INT(n_asked, 1);
    CHECK_TEXT(getenv(rr_quirks_wide.name), rr_quirks_wide.value);
    CHECK_INT(info.subgroup_size, 16);
    CHECK(look(&info)); /* it is set: nobody is asked again */
    CHECK_INT(n_asked, 0);
    CHECK_INT(info.subgroup_size, 16);
}

int main(void) {
    rr_buf cache = {0};
    rr_diag diag = {0};
    rr_device_info info;
    CHECK_OK(rr_temp_folder_make("rearank-test", &cache, &diag), diag);
    CHECK(setenv("REARANK_CACHE", cache.data, 1) == 0 && unsetenv(rr_quirks_wide.name) == 0);
    rr_vk_let_set_variables(NULL);
    const bool is_there = look(&info);
    CHECK(getenv(rr_quirks_wide.name) == NULL);
    if (is_there) {
        check_asking();
    }
    rr_folder_remove(cache.data);
    rr_buf_destroy(&cache);
    if (!is_there) {
        CHECK_SKIP("no device that can be asked for wider vectors");
    }
    return CHECK_END();
}
