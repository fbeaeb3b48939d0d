/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own, its files, and packages made of them. cmocka is included before. */
#ifndef TESTS_PACKAGE_FOLDER_H
#define TESTS_PACKAGE_FOLDER_H

#include "base/buf.h"

/* "/tmp/galley-test-XXXXXX/NAME"; stays until the 16th call after. */
const char *in_folder(const char *name);
int folder_set_up(void **state);
int folder_tear_down(void **state);
/* Directories on the way are made. */
void put_file(const char *name, struct gal_str bytes);
void put_text(const char *name, const char *text);
/* Owned. */
struct gal_buf get_file(const char *name);
bool is_there(const char *name);
/* Names in the folder, hidden ones too, but for "." and "..". */
size_t count_names(void);
/* NAME/: galley.yaml, model.onnx (some bytes), golden.json, requirements.txt, docs/. */
void put_package(const char *name);

#endif
