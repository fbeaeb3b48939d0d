/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for libFuzzer in ordinary builds: runs a fuzz target over every file of the given
 * folders (and over the empty input), so that each build proves what fuzzing once found. A folder
 * without inputs fails: a corpus that went missing must not look like one that passed.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_BYTES_MAX (16u << 20)

static int run_file(const char *path)
{
    int rc = -1;
    uint8_t *copy = NULL;
    uint8_t *data = malloc(INPUT_BYTES_MAX);
    FILE *f = fopen(path, "rb");
    if (!data || !f) {
        perror(path);
        goto out;
    }
    size_t size = fread(data, 1, INPUT_BYTES_MAX, f);
    if (ferror(f)) {
        perror(path);
        goto out;
    }
    /* In memory of its own size, so that a sanitizer sees one byte read too many. */
    copy = malloc(size ? size : 1);
    if (!copy) {
        perror(path);
        goto out;
    }
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    rc = 0;
out:
    if (f)
        fclose(f);
    free(copy);
    free(data);
    return rc;
}

static int run_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        perror(folder);
        return -1;
    }
    int count = 0;
    int rc = 0;
    for (const struct dirent *e; (e = readdir(dir));) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        int n = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (n < 0 || (size_t)n >= sizeof path || run_file(path))
            rc = -1;
        count++;
    }
    closedir(dir);
    printf("%s: %d inputs\n", folder, count);
    if (count == 0)
        fprintf(stderr, "%s: no inputs\n", folder);
    return count == 0 ? -1 : rc;
}

int main(int argc, char **argv)
{
    int rc = argc > 1 ? 0 : -1;
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        if (run_folder(argv[i]))
            rc = -1;
    return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
