/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/backend.h"

size_t gal_port_find(const struct gal_port *ports, size_t count, struct gal_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (gal_str_eq(ports[i].name, name))
            return i;
    }
    return SIZE_MAX;
}
