/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX project's backend test data through galley's ONNX Runtime backend.
 *
 *     test_onnx_testdata [--list FILE] [DATA]
 *
 * DATA is a folder of GROUP/CASE/ (default: what Debian's libonnx-testdata installs; without it the
 * test is skipped, exit 77). FILE names the cases that cannot pass, "GROUP/CASE reason" a line; the
 * file beside it, onnx_tolerances.txt, those that need another absolute tolerance. The test fails
 * when a case that is not listed fails, and when a listed one passes or is not there. Data of
 * another version than the lists are about is run and reported, and then counts as skipped. */
#include "backend/onnx.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "support/onnx_case.h"

#include <stdio.h>
#include <stdlib.h>

#define DATA_DEFAULT "/usr/share/libonnx-testdata/data"
#define LIST_DEFAULT "tests/backend/onnx_not_supported.txt"
#define TOLERANCES "tests/backend/onnx_tolerances.txt"
#define SKIPPED 77
#define LISTED_VERSION "1.12" /* of libonnx-testdata, and how many cases it has */
#define LISTED_CASES 1072

static const char *const groups[] = {"node", "simple", "pytorch-converted", "pytorch-operator"};
#define GROUPS (sizeof groups / sizeof *groups)

struct tally {
    unsigned passed, failed, listed;
};

/* "GROUP/CASE text" a line. */
struct list {
    struct gal_buf file;
    struct gal_map of;      /* case -> the text behind it */
    struct gal_arena arena; /* the texts */
    unsigned met;           /* cases of the list that were run */
};

struct runner {
    struct list not_supported, tolerances;
    struct tally tally;
};

static void list_read(struct list *l, const char *path)
{
    struct gal_err err;
    gal_map_init(&l->of);
    gal_arena_init(&l->arena, 65536, 0, 16u << 20);
    l->met = 0;
    if (gal_file_read(path, 1u << 20, &l->file, &err)) {
        fprintf(stderr, "%s: %s\n", path, err.message);
        exit(1);
    }
    struct gal_str rest = gal_buf_str(&l->file), line, name;
    while (gal_str_cut(&rest, '\n', &line)) {
        line = gal_str_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        gal_str_cut(&line, ' ', &name);
        char *text = gal_arena_strdup(&l->arena, gal_str_trim(line));
        if (!text || text[0] == '\0' || gal_map_get(&l->of, name) ||
            gal_map_set(&l->of, name, text)) {
            fprintf(stderr, "%s: nothing behind %.*s, or it stands there twice\n", path,
                    GAL_STR_ARG(name));
            exit(1);
        }
    }
}

static const char *list_find(struct list *l, const char *key)
{
    const char *text = gal_map_get(&l->of, gal_str_of(key));
    l->met += text != NULL;
    return text;
}

static void list_release(struct list *l)
{
    gal_map_release(&l->of);
    gal_arena_release(&l->arena);
    gal_buf_release(&l->file);
}

static void run_case(struct runner *r, const char *data, const char *group, const char *name)
{
    char path[4096], key[512];
    struct gal_err err;
    snprintf(path, sizeof path, "%s/%s/%s", data, group, name);
    snprintf(key, sizeof key, "%s/%s", group, name);
    gal_err_clear(&err);
    const char *reason = list_find(&r->not_supported, key);
    const char *tolerance = list_find(&r->tolerances, key);
    const struct gal_backend_options options = {.intra_op_threads = 1};
    enum gal_status status =
        onnx_case_run(&gal_backend_onnx, &options, path,
                      tolerance ? strtod(tolerance, NULL) : ONNX_CASE_ATOL, &err);
    if (status && reason)
        r->tally.listed++;
    if (status && !reason) {
        r->tally.failed++;
        printf("FAILED %s: %s: %s%s%s\n", key, gal_status_name(status), err.place,
               err.place[0] ? ": " : "", err.message);
    } else if (!status && reason) {
        r->tally.failed++;
        printf("FAILED %s: passes, but is listed as not supported (%s)\n", key, reason);
    } else if (!status) {
        r->tally.passed++;
    }
}

static void run_group(struct runner *r, const char *data, const char *group)
{
    char path[4096];
    char **names = NULL;
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s", data, group);
    r->tally = (struct tally){0};
    if (gal_dir_list(path, &names, &count, NULL)) {
        printf("FAILED %s: cannot be read\n", path);
        r->tally.failed++;
        return;
    }
    for (size_t i = 0; i < count; i++)
        run_case(r, data, group, names[i]);
    gal_free(names);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* an engine that crashes takes no lines with it */
    const char *list = LIST_DEFAULT, *data = DATA_DEFAULT;
    struct runner r = {.tally = {0}};
    struct tally all = {0}, of[GROUPS];
    struct gal_file_info info;
    if (argc > 2 && strcmp(argv[1], "--list") == 0) {
        list = argv[2];
        argc -= 2;
        argv += 2;
    }
    if (argc > 1)
        data = argv[1];
    if (gal_file_stat(data, &info, NULL) || info.kind != GAL_FILE_DIR) {
        printf("skipped: no %s (tools/setup test installs libonnx-testdata)\n", data);
        return SKIPPED;
    }
    list_read(&r.not_supported, list);
    list_read(&r.tolerances, TOLERANCES);
    for (size_t i = 0; i < GROUPS; i++) {
        run_group(&r, data, groups[i]);
        of[i] = r.tally;
        all.passed += of[i].passed, all.failed += of[i].failed, all.listed += of[i].listed;
    }
    printf("%-20s %8s %8s %14s\n", "group", "passed", "failed", "not supported");
    for (size_t i = 0; i < GROUPS; i++)
        printf("%-20s %8u %8u %14u\n", groups[i], of[i].passed, of[i].failed, of[i].listed);
    printf("%-20s %8u %8u %14u\n", "all", all.passed, all.failed, all.listed);
    size_t listed = r.not_supported.of.count + r.tolerances.of.count;
    unsigned met = r.not_supported.met + r.tolerances.met;
    bool is_whole = listed == met;
    if (!is_whole)
        printf("FAILED: %zu cases are listed, %u of them are there\n", listed, met);
    list_release(&r.not_supported);
    list_release(&r.tolerances);
    if (all.passed + all.failed + all.listed != LISTED_CASES && all.passed > 0) {
        printf("skipped: the lists are about the %d cases of version " LISTED_VERSION "\n",
               LISTED_CASES);
        return SKIPPED;
    }
    return all.failed || all.passed == 0 || !is_whole;
}
