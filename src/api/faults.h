/* SPDX-License-Identifier: Apache-2.0 */
/* All that is wrong with the fields of a request whose dialect has one text for its error: OIP over
 * REST, KServe v1, TensorFlow Serving, MLflow. A decoder notes what it finds and goes on with the
 * next field; gal_infer_run then refuses, and gal_exchange_fail writes the list. In the exchange's
 * arena; the loop's thread. (Native answers and gRPC have lists of their own.) */
#ifndef GAL_API_FAULTS_H
#define GAL_API_FAULTS_H

#include "api/infer.h"
#include "package/check.h"

#define GAL_FAULTS_BYTES_MAX 4096u /* of the text; what finds no room in it is counted */
#define GAL_FAULTS_SPOILT_MAX 64u

/* A value that could not be read; what stands in its place is not to be judged. */
struct gal_spoilt {
    size_t input, row;
};

struct gal_faults {
    char *text; /* "A; B; C" */
    size_t n;
    size_t told, count;
    bool full;      /* one found no room: later ones are counted, whatever their length */
    bool stopped;   /* then a decoder looked no further: what it has not set is not missing */
    bool uncounted; /* there are more than count says */
    bool *wrong;    /* a model's inputs of which nothing can be judged */
    struct gal_spoilt spoilt[GAL_FAULTS_SPOILT_MAX];
    size_t spoilt_count;
};

/* Does decoding go on behind err, which is about the named input? Only for a model with features,
 * and INVALID: then it is noted, and the input is judged no further. */
bool gal_faults_take(struct gal_exchange *x, struct gal_str name, const struct gal_err *err);
/* The same of a row's value alone: the others of the input are judged. */
bool gal_faults_take_row(struct gal_exchange *x, size_t input, size_t row,
                         const struct gal_err *err);
/* Will nothing more be told? For a decoder, before each field: it then stops and ends with OK, and
 * settle refuses. One request of very many wrong fields would hold the loop otherwise. */
bool gal_faults_stop(struct gal_exchange *x);
/* What ends decoding, and was not taken, is told with what was noted before it. */
void gal_faults_end(struct gal_exchange *x, const struct gal_err *err);
/* Who decoded looked no further: there may be more than were noted, and none knows how many. */
void gal_faults_cut(struct gal_exchange *x);
/* Notes a text, whatever the model; NULL: there was no memory for it, it is counted. */
void gal_faults_add(struct gal_exchange *x, const char *text);
/* Before a run: with what was noted, inputs that are missing and what the features refuse of the
 * others. OK when nothing was noted and nothing is missing, or the model has no features; else
 * INVALID, with the first in err. */
enum gal_status gal_faults_settle(struct gal_exchange *x, const struct gal_infer *inf,
                                  struct gal_err *err);
/* Notes what findings refuse, of a request of x->rows rows. */
void gal_faults_find(struct gal_exchange *x, const struct gal_findings *findings);
/* The whole text, with how many more there are; p NULL: nothing was noted, or memory is out. */
struct gal_str gal_faults_text(struct gal_exchange *x);

#endif
