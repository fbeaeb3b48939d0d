/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file_write.h"
#include "base/mem.h"
#include "package/folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static char dir[64];

const char *in_folder(const char *name)
{
    static char paths[16][256];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

int folder_set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/galley-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

int folder_tear_down(void **state)
{
    (void)state;
    return gal_dir_remove(dir, NULL) == GAL_OK ? 0 : -1;
}

void put_file(const char *name, struct gal_str bytes)
{
    char path[256];
    snprintf(path, sizeof path, "%s", in_folder(name));
    *strrchr(path, '/') = '\0';
    assert_int_equal(gal_dir_make_all(path, NULL), GAL_OK);
    assert_int_equal(gal_file_put(in_folder(name), bytes, NULL), GAL_OK);
}

void put_text(const char *name, const char *text)
{
    put_file(name, gal_str_of(text));
}

struct gal_buf get_file(const char *name)
{
    struct gal_buf b;
    struct gal_err err;
    if (gal_file_read(in_folder(name), 64u << 20, &b, &err) != GAL_OK)
        fail_msg("%s", err.message);
    return b;
}

bool is_there(const char *name)
{
    struct gal_file_info info;
    assert_int_equal(gal_file_stat_link(in_folder(name), &info, NULL), GAL_OK);
    return info.kind != GAL_FILE_NONE;
}

size_t count_names(void)
{
    size_t count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        count++;
    (void)closedir(d);
    return count - 2;
}

void put_package(const char *name)
{
    static const struct {
        const char *name, *text;
    } files[] = {
        {"galley.yaml", "galley: 1\n"
                        "name: fraud\n"
                        "version: 2.1.0\n"
                        "description: Whether a card payment is fraudulent\n"
                        "model: model.onnx\n"
                        "golden: {file: golden.json}\n"
                        "metadata: {owner: risk-team, licence: Apache-2.0}\n"
                        "provenance: {framework: scikit-learn 1.8.0, freeze: requirements.txt}\n"
                        "files: [README.md, docs]\n"},
        {"model.onnx", "not a model, but bytes are bytes here"},
        {"golden.json", "{\"cases\":[]}"},
        {"requirements.txt", "numpy==1.26.4\nscikit_learn==1.8.0\n"},
        {"README.md", "# Fraud\n"},
        {"docs/card.md", "A card.\n"},
        {"docs/deep/table.csv", "a,b\n1,2\n"},
        {"notes.txt", "Nobody names this one.\n"},
        {".hidden", "Nor this.\n"},
    };
    char path[128];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", name, files[i].name);
        put_text(path, files[i].text);
    }
}
