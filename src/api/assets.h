/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are part of the binary, gzip-compressed (serve them with "Content-Encoding: gzip")
 * unless they say else.
 * tools/embed makes them when galley is built. A size of 0 means that the file could not be had at
 * that time: show something simpler in its place. Read-only, valid for the life of the process,
 * safe from any thread.
 */
#ifndef GAL_API_ASSETS_H
#define GAL_API_ASSETS_H

#include "base/str.h"

/* What starts the explorer on its page (src/api/assets/explorer.js), text/javascript. */
extern const unsigned char gal_asset_explorer_js[];
extern const size_t gal_asset_explorer_js_size;

/* Swagger UI's script, text/javascript. */
extern const unsigned char gal_asset_swagger_ui_js[];
extern const size_t gal_asset_swagger_ui_js_size;

/* Swagger UI's style sheet, text/css. */
extern const unsigned char gal_asset_swagger_ui_css[];
extern const size_t gal_asset_swagger_ui_css_size;

/* Swagger UI's licence (Apache-2.0), text/plain: it must go where Swagger UI goes. */
extern const unsigned char gal_asset_swagger_ui_license[];
extern const size_t gal_asset_swagger_ui_license_size;

/* google.protobuf.FileDescriptorSet of proto/, not compressed. */
extern const unsigned char gal_asset_descriptors[];
extern const size_t gal_asset_descriptors_size;

#endif
