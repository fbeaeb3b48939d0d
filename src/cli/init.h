/* SPDX-License-Identifier: Apache-2.0 */
/* `galley init`: what it makes of a source, filled step by step. A source (an ONNX file, an MLflow
 * or Triton directory, a file that a converter has turned to ONNX) names the model file and what it
 * knows beside it; init.c describes the model, draws up the manifest and writes the directory. */
#ifndef GAL_CLI_INIT_H
#define GAL_CLI_INIT_H

#include "cli/command.h"
#include "package/draft.h"

#define GAL_INIT_FILES_MAX 128u
#define GAL_INIT_JSON_BYTES_MAX (64u << 20)

/* A file that goes into the package's directory under a name. */
struct gal_init_file {
    const char *from; /* path */
    struct gal_str name;
};

/* What a source knows of a feature and the model's file does not say. */
struct gal_init_hint {
    struct gal_str name;
    bool nullable;
    const struct gal_str *values;
    size_t value_count;
    bool values_open;
    struct gal_str example; /* YAML; empty: none */
    const char *note;
};

struct gal_init {
    struct gal_cli *cli;
    struct gal_config config;
    struct gal_arena arena;
    const char *source; /* the operand */
    char *work;         /* temporary directory; owned; NULL: none. Goes with everything in it */
    const char *dir;    /* where the package is written */
    bool dir_beside;    /* dir is the model's own directory: nothing is copied */
    const char *model;  /* path of the ONNX file */
    struct gal_draft draft;
    const struct gal_str *names; /* of a vector's elements */
    size_t name_count;
    struct gal_str *labels; /* of the output labels_of; NULL: the model's own */
    size_t label_count;
    struct gal_str labels_of;
    struct gal_init_hint *hints;
    size_t hint_count;
    struct gal_init_file files[GAL_INIT_FILES_MAX];
    size_t file_count;
    const char *rows; /* JSON file with inputs from which golden cases are recorded; NULL: none */
    bool proven;      /* golden cases come from the framework, not from the model itself */
    const char *notes[16]; /* told at the end */
    size_t note_count;
};

/* --- sources; each fills model, draft and files --- */
bool gal_init_is_mlflow(const char *path);
enum gal_status gal_init_onnx(struct gal_init *in, const char *path, struct gal_err *err);
enum gal_status gal_init_mlflow(struct gal_init *in, struct gal_err *err);
/* A directory as Triton's and galley's model repositories have them. */
enum gal_status gal_init_repository(struct gal_init *in, struct gal_err *err);
/* Any other file or a SavedModel: converted, where --convert allows it. */
enum gal_status gal_init_convert(struct gal_init *in, const char *path, struct gal_err *err);

/* --- what sources share --- */
/* Adds a file; INVALID when there are too many. */
enum gal_status gal_init_add(struct gal_init *in, const char *from, struct gal_str name,
                             struct gal_err *err);
/* The ONNX file with all files that hold its weights. */
enum gal_status gal_init_take_model(struct gal_init *in, const char *path, struct gal_err *err);
void gal_init_note(struct gal_init *in, const char *text);
/* Text in the arena; empty when memory is out. */
struct gal_str gal_init_copy(struct gal_init *in, const char *text, size_t n);
/* "DIR/NAME" in the arena; NULL when memory is out. */
const char *gal_init_path(struct gal_init *in, const char *dir, const char *name);
bool gal_init_exists(struct gal_init *in, const char *dir, const char *name);

/* --- golden cases (init_golden.c) --- */
/* Holds the framework's cases in in->work/out against the model. INVALID when one is beyond its
 * tolerance. */
enum gal_status gal_init_prove(struct gal_init *in, struct gal_session *session,
                               struct gal_err *err);
/* Runs the rows of in->rows and keeps what the model answers. */
enum gal_status gal_init_record(struct gal_init *in, struct gal_session *session,
                                struct gal_err *err);

/* Training data, a CSV file whose first line names its columns: of each feature of one number that
 * is a column, what one row in a hundred is below or above becomes an outlier (init_data.c).
 * INVALID: no column is a feature, or a number is none, with the line. */
enum gal_status gal_init_data(struct gal_init *in, const char *path, struct gal_err *err);

/* Opens what was written as a server does and runs its golden cases (init_check.c). */
enum gal_status gal_init_check(struct gal_init *in, struct gal_err *err);

/* --- files (init_files.c) --- */
/* Writes `text` under PATH, complete or not at all. */
enum gal_status gal_init_write(const char *path, struct gal_str text, struct gal_err *err);
/* Copies every file that is not already in its place. CONFLICT when one is there and force is not.
 */
enum gal_status gal_init_place(struct gal_init *in, bool force, struct gal_err *err);

#endif
