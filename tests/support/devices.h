/* Recorded devices: what `rearank devices --format json` printed on real and pretended hardware,
 * read back. */
#ifndef RR_TESTS_SUPPORT_DEVICES_H
#define RR_TESTS_SUPPORT_DEVICES_H

#include "runtime/vk/vk.h"

/* Reads all devices of a file. `*out` is the caller's to free(). Errors: RR_E_IO, RR_E_INPUT naming
 * the file and the field that is missing or of the wrong kind. */
rr_status rr_devices_read(const char *path, rr_device_info **out, size_t *n, rr_diag *diag);

/* Calls `visit` for each device of tests/data/devices, one a file, in the order of their names (those
 * of the files without ".json"); returns how many there are. Errors: as above; RR_E_IO when the
 * program does not run in the project's folder. */
typedef void (*rr_devices_fn)(void *user, const char *name, const rr_device_info *device);
rr_status rr_devices_visit(rr_devices_fn visit, void *user, size_t *n, rr_diag *diag);

#endif
