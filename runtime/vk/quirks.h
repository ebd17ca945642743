/* Known faults of drivers and devices.
 * quirks.c is the one file of the tree that names a vendor, a driver or a package of one. */
#ifndef RR_VK_QUIRKS_H
#define RR_VK_QUIRKS_H

#include "runtime/vk/vk.h"

/* Takes from info->caps what is known to be bad on this device and writes the reasons to
 * info->quirks. Looks at the identity, type, subgroup and caps_reported fields. Pure: recorded
 * devices can be tested. */
void rr_quirks_apply(rr_device_info *info);

/* Whether the driver is to be asked for its sizes of cooperative matrices, by the identity, type
 * and subgroup fields alone: not where they are known to be bad, since with some drivers the
 * question itself crashes. Pure. */
bool rr_quirks_can_list_coop(const rr_device_info *info);

/* Whether this is a software device whose driver can be asked for vectors as wide as this
 * processor's and is known to bear it. Pure but for the processor. */
bool rr_quirks_can_widen(const rr_device_info *info);
/* The variable that asks for them, for instances that are created after it is set. */
extern const rr_vk_variable rr_quirks_wide;

/* What to install when there is no loader or no driver. */
const char *rr_quirks_install_advice(void);
const char *rr_quirks_validation_advice(void);

#endif
