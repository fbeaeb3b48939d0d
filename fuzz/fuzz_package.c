/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a package's file: what opens has names that are safe and bytes that are there. */
#include "base/file.h"
#include "oci/tar.h"
#include "package/package.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_package *p = NULL;
    struct gal_str bytes;
    struct gal_err err;
    char path[40], name[4200];
    int fd = memfd_create("package", MFD_CLOEXEC);
    GAL_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    gal_err_clear(&err);
    if (gal_package_open_bare(path, &p, &err) != GAL_OK)
        GAL_ASSERT(!p && err.message[0]);
    for (size_t i = 0; p && i < p->file_count; i++) {
        const struct gal_package_file *f = &p->files[i];
        snprintf(name, sizeof name, "%.*s", GAL_STR_ARG(f->name));
        GAL_ASSERT(gal_tar_path_safe(name) && strlen(name) == f->name.n);
        GAL_ASSERT(gal_package_find(p, f->name) == f);
        if (gal_package_bytes(p, f, &bytes, &err) == GAL_OK)
            GAL_ASSERT(bytes.n == f->size);
    }
    if (p)
        (void)gal_package_check(p, 1, NULL, NULL, &err);
    gal_package_close(p);
    (void)close(fd);
    return 0;
}
