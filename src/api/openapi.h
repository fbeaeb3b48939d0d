/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI document: made from the table of routes and the loaded models, kept by each loop
 * until its catalog or a model's state changes. */
#ifndef GAL_API_OPENAPI_H
#define GAL_API_OPENAPI_H

#include "api/exchange.h"

/* Appends the whole document. NO_MEMORY, or TOO_LARGE when out is full. */
enum gal_status gal_openapi_write(const struct gal_api *api, const struct gal_catalog *catalog,
                                  struct gal_str default_model, struct gal_arena *arena,
                                  struct gal_buf *out, struct gal_err *err);
/* Gives back what the loop has kept. */
void gal_openapi_free(struct gal_api *api);

/* --- parts of the document --- */

/* Writes JSON members; a comma goes before what needs one. */
void gal_doc_open(struct gal_buf *out, const char *key, char bracket); /* key NULL: in an array */
void gal_doc_close(struct gal_buf *out, char bracket);
void gal_doc_text(struct gal_buf *out, const char *key, const char *text);
void gal_doc_str(struct gal_buf *out, const char *key, struct gal_str text);
void gal_doc_raw(struct gal_buf *out, const char *key, const char *json);
/* "key":{"$ref":"#/components/SECTION/PREFIXNAME"} */
void gal_doc_ref(struct gal_buf *out, const char *key, const char *section, const char *prefix,
                 const char *name);

/* Members of components/schemas: those that all share, and a READY model's, "PREFIX" + Features,
 * PredictRequest, PredictBatchRequest, Prediction, PredictResponse, InferRequest, InferResponse. */
void gal_doc_shared_schemas(struct gal_buf *out);
void gal_doc_model_schemas(struct gal_buf *out, const struct gal_model *m, const char *prefix);
/* True when a row may be an object of named features. */
bool gal_doc_has_names(const struct gal_model *m);

/* True when the output has a part for each row of a request. */
bool gal_doc_is_in_row(const struct gal_model *m, const struct gal_port *port);
/* True when the output is one value a row. */
bool gal_doc_is_bare(const struct gal_model *m, const struct gal_port *port);

/* One element of a package's feature, as a schema. */
void gal_doc_feature(struct gal_buf *out, const char *key, const struct gal_feature *f);
/* Appends ,"parameters":{...}: the same in the flat form of the Open Inference Protocol's
 * parameters; `values` is a JSON array as text. Nothing where there is nothing to tell. */
void gal_doc_feature_parameters(struct gal_buf *out, const struct gal_feature *f);
/* Appends a value that the feature takes, as an array's next item; false when it tells of none. */
bool gal_doc_feature_example(struct gal_buf *out, const struct gal_feature *f);
/* What a package's manifest says of an output; NULL: nothing. */
const struct gal_output *gal_doc_output(const struct gal_model *m, struct gal_str name);

/* KServe v1 and TensorFlow Serving. Request and answers of an operation, with the examples that the
 * model (NULL: not known) answers; false, and nothing, for another dialect's route. */
bool gal_doc_tfs(struct gal_buf *out, const struct gal_route *r, const struct gal_model *m);
/* True when the route runs a model. */
bool gal_doc_tfs_runs(const struct gal_route *r);
void gal_doc_tfs_schemas(struct gal_buf *out);

/* CloudEvents: for operations of which gal_event_takes is true, parts of parameters, of the content
 * of a body or an answer, of an answer's headers; and the components that these name. */
void gal_doc_event_parameters(struct gal_buf *out);
void gal_doc_event_content(struct gal_buf *out, bool is_answer);
void gal_doc_event_headers(struct gal_buf *out);
void gal_doc_event_schemas(struct gal_buf *out);
void gal_doc_event_parameter_list(struct gal_buf *out);
void gal_doc_event_header_list(struct gal_buf *out);

enum gal_doc_form {
    GAL_DOC_FEATURES,
    GAL_DOC_INSTANCES,
    GAL_DOC_INFER,
    GAL_DOC_ROWS,     /* "instances", an object of inputs a row */
    GAL_DOC_COLUMNS,  /* "inputs", whole tensors by name */
    GAL_DOC_EXAMPLES, /* as ROWS, called "examples" */
};
/* Appends a request that the model answers: its warm-up's input. False, and nothing, when there is
 * none that is short and can be sent. */
bool gal_doc_example(struct gal_buf *out, const struct gal_model *m, enum gal_doc_form form);

#endif
