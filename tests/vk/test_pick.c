/* rr_vk_pick on made-up and recorded devices: order of types, index, UUID, names, and what the
 * messages say. */
#include "tests/check.h"
#include "tests/support/devices.h"

static rr_device_info device(uint32_t index, const char *name, rr_device_type type, bool usable) {
    rr_device_info info = {.index = index, .type = type, .usable = usable};
    snprintf(info.name, sizeof info.name, "%s", name);
    if (!usable) {
        snprintf(info.reason, sizeof info.reason, "no timeline semaphores");
    }
    for (uint8_t i = 0; i < 16; i++) {
        info.uuid[i] = (uint8_t)(0xa0 + index + i);
    }
    return info;
}

static void check_pick(const rr_device_info *devices, size_t n, const char *wish, size_t expected) {
    rr_diag diag = {0};
    size_t found = SIZE_MAX;
    CHECK_OK(rr_vk_pick(devices, n, wish, &found, &diag), diag);
    CHECK_MSG(found == expected, "wish \"%s\": found %zu, expected %zu",
        wish != NULL ? wish : "NULL", found, expected);
}

static void check_no_pick(const rr_device_info *devices, size_t n, const char *wish,
    rr_status expected, const char *says) {
    rr_diag diag = {0};
    size_t found = 12345;
    rr_status status = rr_vk_pick(devices, n, wish, &found, &diag);
    CHECK_INT(status, expected);
    CHECK_INT(found, 12345);
    CHECK_MSG(strstr(diag.text, says) != NULL, "wish \"%s\": \"%s\" does not say \"%s\"",
        wish != NULL ? wish : "NULL", diag.text, says);
}

static void test_order(void) {
    const rr_device_info all[] = {
        device(0, "Soft", RR_DEVICE_CPU, true),
        device(1, "Odd", RR_DEVICE_OTHER, true),
        device(2, "Cloud", RR_DEVICE_VIRTUAL, true),
        device(3, "Laptop", RR_DEVICE_INTEGRATED, true),
        device(4, "Big old", RR_DEVICE_DISCRETE, false),
        device(5, "Big new", RR_DEVICE_DISCRETE, true),
        device(6, "Big other", RR_DEVICE_DISCRETE, true),
    };
    check_pick(all, 7, NULL, 5);
    check_pick(all, 7, "", 5);
    check_pick(all, 5, NULL, 3);
    check_pick(all, 3, NULL, 2);
    check_pick(all, 2, NULL, 1);
    check_pick(all, 1, NULL, 0);
    rr_device_info cards[] = {all[5], all[6], all[3]};
    cards[0].device_memory_bytes = 8;
    cards[1].device_memory_bytes = 24;
    cards[2].device_memory_bytes = 96;
    check_pick(cards, 3, NULL, 1);
    cards[0].device_memory_bytes = 24;
    check_pick(cards, 3, NULL, 0);
    check_no_pick(all + 4, 1, NULL, RR_E_DEVICE, "no timeline semaphores");
    check_no_pick(all, 0, NULL, RR_E_DEVICE, "no usable");
}

static void test_wishes(void) {
    const rr_device_info two[] = {
        device(0, "Maker Fast 6800 XT", RR_DEVICE_DISCRETE, true),
        device(1, "Maker Slow 6800", RR_DEVICE_DISCRETE, true),
        device(2, "Broken One", RR_DEVICE_DISCRETE, false),
    };
    check_pick(two, 3, "1", 1);
    check_pick(two, 3, "0", 0);
    check_pick(two, 3, "fast", 0);
    check_pick(two, 3, "6800 xt", 0);
    check_pick(two, 3, "SLOW", 1);
    check_pick(two, 3, "a1a2a3a4-a5a6-a7a8-a9aa-abacadaeafb0", 1);
    check_pick(two, 3, "A0A1A2A3A4A5A6A7A8A9AAABACADAEAF", 0);
    check_no_pick(two, 3, "3", RR_E_USAGE, "matches 0 devices");
    check_no_pick(two, 3, "99999999999999999999999999", RR_E_USAGE, "matches 0 devices");
    check_no_pick(two, 3, "6800", RR_E_USAGE, "matches 2 devices");
    check_no_pick(two, 3, "maker", RR_E_USAGE, "0 = Maker Fast 6800 XT, 1 = Maker Slow 6800");
    check_no_pick(
        two, 3, "nothing like it", RR_E_USAGE, "Broken One (not usable: no timeline semaphores)");
    check_no_pick(two, 3, "2", RR_E_DEVICE, "is not usable");
    check_no_pick(two, 3, "broken", RR_E_DEVICE, "is not usable");
    check_no_pick(two, 3, "a1a2a3a4-a5a6-a7a8-a9aa-abacadaeafff", RR_E_USAGE, "matches 0 devices");
    check_no_pick(two, 3, "a1a2a3a4-a5a6-a7a8-a9aa-abacadaeafb", RR_E_USAGE, "matches 0 devices");
    const rr_device_info twins[] = {two[0], two[0]};
    check_no_pick(twins, 2, "fast", RR_E_USAGE, "matches 2 devices");
    check_pick(twins, 2, "1", 1);
}

/* A laptop with an integrated GPU, a discrete card and the software device, in the order that a
 * loader lists them. */
static void test_recorded(void) {
    static const char *const files[] = {"llvmpipe-25.0.7", "intel-tgl", "amd-navi21"};
    rr_device_info machine[3];
    for (size_t i = 0; i < 3; i++) {
        char path[256];
        rr_diag diag = {0};
        rr_device_info *devices = NULL;
        size_t n = 0;
        snprintf(path, sizeof path, "tests/data/devices/%s.json", files[i]);
        CHECK_OK(rr_devices_read(path, &devices, &n, &diag), diag);
        CHECK_INT(n, 1);
        if (n != 1) {
            return;
        }
        machine[i] = devices[0];
        machine[i].index = (uint32_t)i;
        free(devices);
    }
    check_pick(machine, 3, NULL, 2);
    check_pick(machine, 2, NULL, 1);
    check_pick(machine, 1, NULL, 0);
    check_pick(machine, 3, "llvmpipe", 0);
    check_pick(machine, 3, "iris", 1);
    check_pick(machine, 3, "rx 6800", 2);
    check_no_pick(machine, 3, "e", RR_E_USAGE, "matches 3 devices");
}

int main(void) {
    test_order();
    test_wishes();
    test_recorded();
    return CHECK_END();
}
