/* SPDX-License-Identifier: Apache-2.0 */
/* Does a model treat the rows of a batch apart? An open first dimension does not say so: a model
 * may sort, count or normalise over it. Requests of different clients may only run as one call when
 * each then gets what it would have got alone. */
#ifndef GAL_MODEL_ROWS_H
#define GAL_MODEL_ROWS_H

#include "backend/backend.h"

/* True when three different made-up rows give together, row by row, what each gives alone (numbers
 * within 1e-4 relative and 1e-5 absolute, integers, booleans and texts exactly; a sequence of maps
 * is a map a row). Texts are those that the model's encoder knows, where it tells them. open_size:
 * of open dimensions behind the first. False for what is not tried: inputs
 * that are no tensors, optional ones, rows over 1 MiB; and when the model refuses the rows or
 * answers with infinity or NaN. Integers are 0 or 1; where an answer is then no number (a mean
 * under a mask that is all 0), 1 or 2. Runs the model four times, or eight. */
bool gal_rows_are_apart(const struct gal_backend_ops *ops, struct gal_session *session,
                        int64_t open_size);
/* The same for a package whose steps make rows as long as the longest text of a call: true when
 * texts of one word, of ten and of a hundred give together what each gives alone. A model that does
 * not heed the mask, or answers token by token, gives something else. Runs the model four times. */
bool gal_rows_bear_padding(const struct gal_backend_ops *ops, struct gal_session *session);

#endif
