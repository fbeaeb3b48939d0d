/* SPDX-License-Identifier: Apache-2.0 */
/* Counting and logging a finished exchange: the one place where requests meet metrics. */
#ifndef GAL_API_ACCOUNT_H
#define GAL_API_ACCOUNT_H

#include "api/exchange.h"

enum gal_status gal_account_new(struct gal_api *api, struct gal_err *err);
void gal_account_free(struct gal_api *api);
/* Called by finish, once an exchange; resp is complete. */
void gal_account(struct gal_exchange *x);

#endif
