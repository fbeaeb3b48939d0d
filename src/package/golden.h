/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cases: inputs with the outputs that training produced. golden.json is
 * {"cases": [{"name": "...", "inputs": [TENSOR, ...], "outputs": [TENSOR, ...],
 *             "rtol": 1e-5, "atol": 1e-6}]}
 * where TENSOR is the Open Inference Protocol's {"name", "datatype", "shape", "data"}. A case may
 * hold many rows. NaN, Infinity and -Infinity are texts. */
#ifndef GAL_PACKAGE_GOLDEN_H
#define GAL_PACKAGE_GOLDEN_H

#include "backend/backend.h"
#include "base/buf.h"

struct gal_golden_case {
    struct gal_str name;
    const struct gal_value *inputs, *outputs; /* by name, in the file's order */
    size_t input_count, output_count;
    double rtol, atol; /* |got - want| <= atol + rtol * |want| */
};

struct gal_golden {
    const struct gal_golden_case *cases;
    size_t case_count;
};

/* Memory from the arena. INVALID names the place: "golden.json: cases[3].outputs[0].data[7]". */
enum gal_status gal_golden_read(struct gal_str json, const char *path, double rtol, double atol,
                                struct gal_arena *arena, struct gal_golden **out,
                                struct gal_err *err);
/* UNSUPPORTED: a value is no tensor, or text that is no UTF-8; TOO_LARGE: out is full. */
enum gal_status gal_golden_write(struct gal_buf *out, const struct gal_golden *g,
                                 struct gal_err *err);

/* The worst of one output over all cases. */
struct gal_difference {
    struct gal_str output;
    uint64_t elements, differing;
    double abs_max, rel_max;          /* over all elements */
    size_t worst_case, worst_element; /* SIZE_MAX: none beyond tolerance */
    char want[64], got[64]; /* of the worst that is beyond tolerance, else of the largest */
};

struct gal_proof {
    struct gal_difference *outputs; /* arena's */
    size_t output_count, cases, failed_cases;
};

/* Runs every case through a session (its ports by name) and compares. INVALID when one is beyond
 * its tolerance, does not fit or fails: err names case, output, element, both values and tolerance.
 * proof may be NULL. */
enum gal_status gal_golden_prove(const struct gal_golden *g, const struct gal_backend_ops *ops,
                                 struct gal_session *session, struct gal_arena *arena,
                                 struct gal_proof *proof, struct gal_err *err);
/* Runs the inputs of `asked` through a session and keeps what it answers: all outputs, or those
 * named (names NULL: all). A case keeps its name and its tolerance. Memory from the arena; inputs
 * are borrowed. INVALID names the case; UNSUPPORTED: an output that is no tensor. */
enum gal_status gal_golden_record(const struct gal_golden *asked, const struct gal_backend_ops *ops,
                                  struct gal_session *session, const struct gal_str *names,
                                  size_t name_count, struct gal_arena *arena,
                                  struct gal_golden **out, struct gal_err *err);
/* Compares two tensors of one name; adds to d. */
bool gal_golden_compare(const struct gal_value *want, const struct gal_value *got, double rtol,
                        double atol, struct gal_difference *d);

/* --- of a package (golden_package.c) --- */
struct gal_package;

/* Those that its manifest names; *out NULL when it names none. They live as long as the arena and
 * the package. NOT_FOUND: the file has gone meanwhile. */
enum gal_status gal_package_golden(struct gal_package *p, struct gal_arena *arena,
                                   struct gal_golden **out, struct gal_err *err);
/* Does it answer as it promises? Reads them and runs them through a session of it, as
 * gal_golden_prove; what load, `verify`, `pack`, `push`, `image build` and `init` all ask. *golden
 * NULL: its manifest names none, and all is well. INVALID also where the file that it names has no
 * cases. */
enum gal_status gal_package_prove(struct gal_package *p, const struct gal_backend_ops *ops,
                                  struct gal_session *session, struct gal_arena *arena,
                                  struct gal_golden **golden, struct gal_proof *proof,
                                  struct gal_err *err);

#endif
